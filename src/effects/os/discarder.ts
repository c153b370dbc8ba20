/** A process that reads what nobody wants. */
import { findCommand } from './findCommand.ts';
import { ownNode } from './ownNode.ts';
import { spawnProcess } from './spawn.ts';

/** Where cat(1) is looked for. */
const slots = () => [process.env.PATH ?? '', '/bin', '/usr/bin'].join(':');

/** The same without cat(1), in a process ten times as large. */
const code = 'const b = Buffer.alloc(65536); try { while (require("fs").readSync(0, b) > 0); } catch {}';

/**
 * Starts a process that reads its fd 0 to the end, keeps nothing, and holds the other fds until then.
 * @throws {SyscallError}
 */
export function startDiscarder(fds: number[], searchPath = slots()): void {
	const cat = catIn(searchPath);
	const program = cat === null ? { path: ownNode(), args: ['-e', code] } : { path: cat, args: [] };
	spawnProcess({ ...program, env: {}, fds, directory: '/' });
}

function catIn(searchPath: string): string | Buffer | null {
	try {
		return findCommand('cat', searchPath);
	} catch {
		return null;
	}
}
