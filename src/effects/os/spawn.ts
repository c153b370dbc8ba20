/** Processes, spawned with posix_spawn. */
import { statSync } from 'node:fs';
import { closeAll, copyUp } from './descriptors.ts';
import { call, callReturningError, cString, errno, libc, SyscallError, stringArray } from './libc.ts';

export interface SpawnSpec {
	/** The executable's path, as it was resolved. */
	path: string | Buffer;
	/** The file to execute, where it is another one. */
	file?: string;
	/** argv from 1 on; argv[0] is the path. */
	args: (string | Buffer)[];
	env: Variables;
	/** What the child gets as its fds 0, 1, 2, 3, ... */
	fds: number[];
	/** The directory to start in, by its logical path, or open; null is ours. */
	directory: string | number | null;
	/** It leads a session of its own, too: then it has no terminal. */
	isSession?: boolean;
}

/** An environment; bytes stand for what is no UTF-8. */
export type Variables = Record<string, string | Buffer | undefined>;

/**
 * Starts a program in a process group of its own, with an empty signal mask and default dispositions.
 * File actions run in order, so no target may be the source of a later one: sources among the targets are copied
 * above them for that time.
 * @returns its pid
 * @throws {SyscallError} also for what only shows at exec, as ENOENT or ENOEXEC
 */
export function spawnProcess(spec: SpawnSpec): number {
	// 80 and 336 bytes on glibc and musl; more does no harm.
	const actions = Buffer.alloc(256);
	const attributes = Buffer.alloc(512);
	const pid = Buffer.alloc(4);
	const file = cString(spec.file ?? spec.path);
	const argv = stringArray([spec.path, ...spec.args]);
	const envp = stringArray(variablesOf(spec.env));
	const copies: number[] = [];
	const sourceOf = (from: number, to: number) => {
		if (from === to || from >= spec.fds.length) return from;
		copies.push(copyUp(from, spec.fds.length));
		return copies.at(-1);
	};
	callReturningError('posix_spawn_file_actions_init', actions);
	callReturningError('posix_spawnattr_init', attributes);
	try {
		if (typeof spec.directory === 'number') {
			callReturningError('posix_spawn_file_actions_addfchdir_np', actions, spec.directory);
		} else if (spec.directory !== null && !isCurrentDirectory(spec.directory)) {
			callReturningError('posix_spawn_file_actions_addchdir_np', actions, spec.directory);
		}
		spec.fds.forEach((from, to) => {
			addDup(actions, Number(sourceOf(from, to)), to);
		});
		setAttributes(attributes, spec.isSession ?? false);
		callReturningError('posix_spawn', pid, file, actions, attributes, argv.pointers, envp.pointers);
		return pid.readInt32LE();
	} finally {
		closeAll(copies);
		libc('posix_spawn_file_actions_destroy')(actions);
		libc('posix_spawnattr_destroy')(attributes);
	}
}

/** A target beyond what is allowed (RLIMIT_NOFILE) is said to be bad: there are too many. @throws {SyscallError} */
function addDup(actions: Buffer, from: number, to: number) {
	const name = 'posix_spawn_file_actions_adddup2';
	try {
		callReturningError(name, actions, from, to);
	} catch (error) {
		const isBad = error instanceof SyscallError && error.errno === errno('EBADF');
		throw isBad ? new SyscallError(name, errno('EMFILE')) : error;
	}
}

/** `NAME=value` of each that has a value. */
export function variablesOf(variables: Variables): (string | Buffer)[] {
	return Object.entries(variables).flatMap(([name, value]) => {
		if (value === undefined) return [];
		return typeof value === 'string' ? `${name}=${value}` : Buffer.concat([Buffer.from(`${name}=`), value]);
	});
}

function setAttributes(attributes: Buffer, isSession: boolean) {
	const [SETPGROUP, SETSIGDEF, SETSIGMASK, SETSID] = [2, 4, 8, 128];
	const all = Buffer.alloc(128);
	call('sigfillset', all);
	callReturningError('posix_spawnattr_setsigmask', attributes, Buffer.alloc(128));
	callReturningError('posix_spawnattr_setsigdefault', attributes, all);
	callReturningError('posix_spawnattr_setpgroup', attributes, 0);
	callReturningError('posix_spawnattr_setflags', attributes, (isSession ? SETSID : SETPGROUP) | SETSIGDEF | SETSIGMASK);
}

/** A directory that went away, or is the one we are in, needs no chdir: the child inherits ours. */
function isCurrentDirectory(directory: string): boolean {
	try {
		const [there, here] = [statSync(directory), statSync('.')];
		return there.dev === here.dev && there.ino === here.ino;
	} catch {
		return true;
	}
}

/**
 * The directory the program was started in, by the name the shell has for it, so that links in it stay
 * links. One that has been removed has no name but that.
 */
export function logicalDirectory(env: Record<string, string | undefined> = process.env): string {
	const { PWD = '' } = env;
	if (PWD.startsWith('/') && isCurrentDirectory(PWD)) return PWD;
	try {
		return process.cwd();
	} catch {
		return PWD || '/';
	}
}
