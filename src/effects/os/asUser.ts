/**
 * Starts a process of another user. kill(2) compares uids: that user could kill a supervisor thread that has the
 * user's uid. So the supervisor spawns Node with a small program (src/cli/asUserMain.ts). The small program changes
 * its own credentials and executes the child's program.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
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

/** The directory of the built program; defined only in tests of the source. */
declare const SOCKETMASTER_DIST: string;

const dist = typeof SOCKETMASTER_DIST === 'undefined' ? dirname(import.meta.url) : SOCKETMASTER_DIST;

/**
 * An older Node runs here without its debugger flag. With the flag, about 1 start in 300 hung while processes of the
 * user attacked the start with signals; without the flag, 500 of 500 starts complete. Until the uid changes, only root
 * can signal the process. After the change, a debugger has only the user's own rights.
 */
const execFlags = debuggerFlag === '--disable-sigusr1' ? [debuggerFlag] : [];

/** Memfds with as-user.cjs and koffi's native library. The installed files may be removed or replaced at any time. */
let inMemory: { code: number; native: number } | null = null;

/** Node source that runs as-user.cjs from the memfds. Its arguments ORDER ANSWER CODE NATIVE are fds. */
const loader = `const [, , , code, native] = process.argv; const file = (fd) => '/proc/self/fd/' + fd; const koffi = { exports: {} };
process.dlopen(koffi, file(native)); globalThis.socketmasterKoffi = koffi.exports; process.argv.splice(1, 0, 'as-user');
new Function('require', '__filename', require('node:fs').readFileSync(file(code), 'utf8'))(require, '/as-user.cjs');`;

/** Copies as-user.cjs and koffi's native library to memfds. Call at startup. @throws {Error} */
export function keepAsUser(): void {
	if (inMemory !== null || nativeFile === null || !existsSync('/proc/self/fd')) return;
	const keep = (path: string) => {
		const fd = newMemfd('');
		append(fd, readFileSync(path));
		return moveUp(fd);
	};
	inMemory = { code: keep(join(dist, 'as-user.cjs')), native: keep(nativeFile) };
}

/** Checks that as-user.cjs is installed and has the same order format. @throws {Error} if not */
export function checkAsUser(): void {
	const args = [debuggerFlag, join(dist, 'as-user.cjs')];
	const format = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: 'pipe', env: {} });
	if (format !== orderFormat) throw new Error('as-user.cjs is not sound');
}

/**
 * Starts a process that executes the program. The process receives the program's environment only at execve(2), so no
 * variable takes effect with the supervisor's rights. Until then `mark` is the environment: a recovering supervisor
 * identifies the process by `mark`.
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
		return execOutcomeOf(pid, read, (report) => Number(report.toString('latin1')));
	} catch (error) {
		closeAll(fds);
		throw error;
	}
}

/** The input of as-user.cjs, as NUL-terminated fields: an argument or a variable cannot contain NUL. */
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
