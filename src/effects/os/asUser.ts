/**
 * A process of another user. No thread of the supervisor may bear the user's uid, for kill(2) looks at that; so what is
 * spawned is Node with this program's smallest part (src/cli/asUserMain.ts), which changes its own credentials and becomes
 * the program.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { append, newMemfd } from '../upgrade/memfd.ts';
import { orderFormat } from './becomeUser.ts';
import { debuggerFlag } from './debugger.ts';
import { closeAll, makePipe, moveUp } from './descriptors.ts';
import { type ExecOutcome, execOutcomeOf } from './execOutcome.ts';
import { nativeFile } from './libc.ts';
import { startLimit } from './openFiles.ts';
import { ownNode } from './ownNode.ts';
import { type SpawnSpec, spawnProcess, variablesOf } from './spawn.ts';
import type { User } from './user.ts';

/** Where the built program lies, in tests of the source. */
declare const SOCKETMASTER_DIST: string;

const dist = typeof SOCKETMASTER_DIST === 'undefined' ? dirname(import.meta.url) : SOCKETMASTER_DIST;

/**
 * With the flag for an older Node about one birth in 300 under attack never ended; without it 500 of 500 do. Nobody but
 * root can signal such a process before it is the user's, and then a debugger would be the user's too.
 */
const execFlags = debuggerFlag === '--disable-sigusr1' ? [debuggerFlag] : [];

/** The program and the native half of koffi, in memory: what is installed may be removed or replaced at any time. */
let inMemory: { code: number; native: number } | null = null;

/** Runs it from there: its own arguments are ORDER ANSWER CODE NATIVE, each an fd. */
const loader = `const [, , , code, native] = process.argv; const file = (fd) => '/proc/self/fd/' + fd; const koffi = { exports: {} };
process.dlopen(koffi, file(native)); globalThis.socketmasterKoffi = koffi.exports; process.argv.splice(1, 0, 'as-user');
new Function('require', '__filename', require('node:fs').readFileSync(file(code), 'utf8'))(require, '/as-user.cjs');`;

/** Keeps what is needed for it: to be called at the start. @throws {Error} */
export function keepAsUser(): void {
	if (inMemory !== null || nativeFile === null || !existsSync('/proc/self/fd')) return;
	const keep = (path: string) => {
		const fd = newMemfd('');
		append(fd, readFileSync(path));
		return moveUp(fd);
	};
	inMemory = { code: keep(join(dist, 'as-user.cjs')), native: keep(nativeFile) };
}

/** Whether what is needed for it is installed, and speaks as we do. @throws {Error} */
export function checkAsUser(): void {
	const { execFileSync } = createRequire(import.meta.url)('node:child_process') as typeof import('node:child_process');
	const words = [debuggerFlag, join(dist, 'as-user.cjs')];
	const said = execFileSync(process.execPath, words, { encoding: 'utf8', stdio: 'pipe', env: {} });
	if (said !== orderFormat) throw new Error('as-user.cjs is not sound');
}

/**
 * Starts a process that is to become the program. Its environment is not the program's until then, so that nothing
 * in that is obeyed with our rights; `mark` is what tells a recovering supervisor whose it is.
 * @throws {SyscallError}
 */
export function spawnAsUser(spec: SpawnSpec, user: User, mark: Record<string, string>): ExecOutcome {
	const fds: number[] = [];
	try {
		const order = newMemfd('');
		fds.push(order);
		append(order, orderOf(spec, user));
		const ends = makePipe();
		fds.push(...ends);
		const [read, write] = ends;
		const first = spec.fds.length;
		const kept = inMemory === null ? [] : [inMemory.code, inMemory.native];
		const program = inMemory === null ? [join(dist, 'as-user.cjs')] : ['-e', loader];
		const numbers = [order, write, ...kept].map((_, index) => String(first + index));
		const pid = spawnProcess({
			path: ownNode(),
			args: [...execFlags, ...program, ...numbers],
			env: mark,
			fds: [...spec.fds, order, write, ...kept],
			directory: spec.directory,
			isSession: true,
		});
		closeAll([order, write]);
		return execOutcomeOf(pid, read, (said) => Number(said.toString('latin1')));
	} catch (error) {
		closeAll(fds);
		throw error;
	}
}

/** Everything the process needs, parted by NUL, which no argument and no variable can hold. */
function orderOf({ path, args, env }: SpawnSpec, { uid, gid, groups }: User): Buffer {
	const fields = [
		orderFormat,
		`${uid}`,
		`${gid}`,
		groups.join(),
		`${startLimit() ?? ''}`,
		path,
		`${args.length}`,
		...args,
		...variablesOf(env),
	];
	return Buffer.concat(fields.flatMap((field) => [Buffer.from(field as string), Buffer.from([0])]));
}
