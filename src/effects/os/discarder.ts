/** A helper process that discards the data of a pipe. */
import { findCommand } from './findCommand.ts';
import { ownNode } from './ownNode.ts';
import { spawnProcess } from './spawn.ts';

/** The directories in which cat(1) is searched. */
const defaultSearchPath = () => [process.env.PATH ?? '', '/bin', '/usr/bin'].join(':');

/** Replaces cat(1) if it is missing. The Node process is 10 times as large. */
const code = 'const b = Buffer.alloc(65536); try { while (require("fs").readSync(0, b) > 0); } catch {}';

/**
 * Starts a process that reads its fd 0 until end of file, and holds the other fds until then.
 * @param fds source fds; the second must be /dev/null, because cat(1) copies fd 0 to fd 1
 * @throws {SyscallError}
 */
export function startDiscarder(fds: number[], searchPath = defaultSearchPath()): void {
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
