/** Processes, spawned with posix_spawn. */
import { statSync } from 'node:fs';
import { call, callReturningError, libc, stringArray } from './libc.ts';
import { asUser, type User } from './user.ts';

export interface SpawnSpec {
	/** The executable's path, as it was resolved. */
	path: string;
	/** argv from 1 on; argv[0] is the path. */
	args: string[];
	env: Record<string, string | undefined>;
	/** What the child gets as its fds 0, 1, 2, 3, ... */
	fds: number[];
	/** The directory to start in, by its logical path. */
	directory: string;
	user: User | null;
}

/**
 * Starts a program in a process group of its own, with an empty signal mask and default dispositions.
 * File actions run in order, so a target must not be the source of a later one: sources that are to become
 * 3 and more lie above all targets (descriptors.ts).
 * @returns its pid
 * @throws {SyscallError} also for what only shows at exec, as ENOENT or ENOEXEC
 */
export function spawnProcess(spec: SpawnSpec): number {
	// 80 and 336 bytes on glibc and musl; more does no harm.
	const actions = Buffer.alloc(256);
	const attributes = Buffer.alloc(512);
	const pid = Buffer.alloc(4);
	const argv = stringArray([spec.path, ...spec.args]);
	const envp = stringArray(
		Object.entries(spec.env).flatMap(([key, value]) => (value === undefined ? [] : `${key}=${value}`)),
	);
	callReturningError('posix_spawn_file_actions_init', actions);
	callReturningError('posix_spawnattr_init', attributes);
	try {
		if (!isCurrentDirectory(spec.directory)) {
			callReturningError('posix_spawn_file_actions_addchdir_np', actions, spec.directory);
		}
		spec.fds.forEach((from, to) => {
			callReturningError('posix_spawn_file_actions_adddup2', actions, from, to);
		});
		setAttributes(attributes);
		const spawn = () =>
			callReturningError('posix_spawn', pid, spec.path, actions, attributes, argv.pointers, envp.pointers);
		if (spec.user) asUser(spec.user, spawn);
		else spawn();
		return pid.readInt32LE();
	} finally {
		libc('posix_spawn_file_actions_destroy')(actions);
		libc('posix_spawnattr_destroy')(attributes);
	}
}

function setAttributes(attributes: Buffer) {
	const [SETPGROUP, SETSIGDEF, SETSIGMASK] = [2, 4, 8];
	const all = Buffer.alloc(128);
	call('sigfillset', all);
	callReturningError('posix_spawnattr_setsigmask', attributes, Buffer.alloc(128));
	callReturningError('posix_spawnattr_setsigdefault', attributes, all);
	callReturningError('posix_spawnattr_setpgroup', attributes, 0);
	callReturningError('posix_spawnattr_setflags', attributes, SETPGROUP | SETSIGDEF | SETSIGMASK);
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
