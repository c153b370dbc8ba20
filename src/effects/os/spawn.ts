/** Spawns processes with posix_spawn(3). */
import { statSync } from 'node:fs';
import { closeAll, copyUp } from './descriptors.ts';
import { call, callReturningError, cString, errno, libc, SyscallError, stringArray } from './libc.ts';

export interface SpawnSpec {
	/** The resolved path of the executable. */
	path: string | Buffer;
	/** The file to execute, if it differs from `path`. */
	file?: string;
	/** argv from index 1 on; argv[0] is `path`. */
	args: (string | Buffer)[];
	env: Variables;
	/** The source fds of the process's fds 0, 1, 2, 3, ... */
	fds: number[];
	/** The working directory, as a logical path or an open fd; null inherits the current directory. */
	directory: string | number | null;
	/** The process also leads its own session, and has no controlling terminal. */
	isSession?: boolean;
}

/** An environment. A value that is not valid UTF-8 is a Buffer. */
export type Variables = Record<string, string | Buffer | undefined>;

/**
 * Starts a program in its own process group, with an empty signal mask and default signal actions.
 * File actions run in order, so a target must not be the source of a later action. Sources in the range of targets are
 * duplicated above the range during the spawn.
 * @returns the pid
 * @throws {SyscallError} also for errors of execve(2), such as ENOENT or ENOEXEC
 */
export function spawnProcess(spec: SpawnSpec): number {
	// The structures have 80 and 336 bytes on glibc and musl; larger Buffers are harmless.
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

/** libc reports a target above RLIMIT_NOFILE as EBADF; EMFILE describes the cause. @throws {SyscallError} */
function addDup(actions: Buffer, from: number, to: number) {
	const name = 'posix_spawn_file_actions_adddup2';
	try {
		callReturningError(name, actions, from, to);
	} catch (error) {
		const isBad = error instanceof SyscallError && error.errno === errno('EBADF');
		throw isBad ? new SyscallError(name, errno('EMFILE')) : error;
	}
}

/** `NAME=value` for each variable that has a value. */
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

/**
 * A removed directory counts as the current directory: without a chdir, the process inherits the current directory.
 */
function isCurrentDirectory(directory: string): boolean {
	try {
		const [there, here] = [statSync(directory), statSync('.')];
		return there.dev === here.dev && there.ino === here.ino;
	} catch {
		return true;
	}
}

/**
 * The directory in which the program was started, under the shell's name ($PWD), which preserves symbolic links. A
 * removed directory has only that name.
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
