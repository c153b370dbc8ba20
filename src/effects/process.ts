/** Processes: spawned with posix_spawn, reaped with waitpid, known by pid and start time. */
import { closeSync, readFileSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { c, call, callReturningError, errno, libc, SyscallError, stringArray } from './libc.ts';
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
 * File actions run in order, so a target below 64 is never the source of a later one: sources that are
 * to become 3 and more lie above.
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

/** A pipe: `[read end, write end]`, both close-on-exec and blocking. @throws {SyscallError} */
export function makePipe(): [number, number] {
	const fds = Buffer.alloc(8);
	call('pipe2', fds, c.O_CLOEXEC);
	return [fds.readInt32LE(0), fds.readInt32LE(4)];
}

/**
 * Marks every open fd close-on-exec, so that no child sees one it was not given. Node does so for the
 * fds below 16 or so that it was started with; a shell may well have opened others (close_range(2)).
 */
export function sealDescriptors(): void {
	const [closeRange, setCloseOnExec] = [436, 4];
	libc('syscall')(closeRange, 3, 2 ** 31 - 1, setCloseOnExec, null);
}

/** Closes fds, also some that are closed already. */
export function closeAll(fds: number[]): void {
	for (const fd of fds) {
		try {
			closeSync(fd);
		} catch {
			// Closed already.
		}
	}
}

/** Sends a signal by its name without SIG; false when there is no such process. @throws {SyscallError} */
export function signalProcess(pid: number, signal: string): boolean {
	try {
		call('kill', pid, signalNumber(signal) ?? 0);
		return true;
	} catch (error) {
		if (error instanceof SyscallError && error.errno === errno('ESRCH')) return false;
		throw error;
	}
}

/** 15 for `TERM`; null for what is no signal. */
export function signalNumber(name: string): number | null {
	return (constants.signals as Record<string, number>)[`SIG${name}`] ?? null;
}

export interface Exit {
	pid: number;
	/** The exit code; null when a signal ended the process. */
	code: number | null;
	/** libc's words for the signal, as `killed`, with ` (core dumped)` after them where so. */
	signal: string | null;
	/** What a shell would call its status: the code, or 128 plus the signal's number. */
	status: number;
}

/** The words of the log for the way a child ended. */
export function howItEnded({ code, signal }: Pick<Exit, 'code' | 'signal'>): string {
	if (signal !== null) return `signal: ${signal}`;
	return code === null ? 'exit status unknown' : `exit status ${code}`;
}

/** Reaps every child that has ended, also orphans that were given to us as PID 1. Never waits. */
export function* reap(): Generator<Exit> {
	const status = Buffer.alloc(4);
	for (;;) {
		const pid: number = libc('waitpid')(-1, status, c.WNOHANG);
		if (pid <= 0) return;
		yield readStatus(pid, status.readInt32LE());
	}
}

function readStatus(pid: number, status: number): Exit {
	const signal = status & 0x7f;
	if (signal === 0) {
		const code = (status >> 8) & 0xff;
		return { pid, code, signal: null, status: code };
	}
	const text: string = libc('strsignal')(signal);
	const words = text.charAt(0).toLowerCase() + text.slice(1);
	return { pid, code: null, signal: status & 0x80 ? `${words} (core dumped)` : words, status: 128 + signal };
}

/**
 * What /proc tells of a process: its start in clock ticks since boot (field 22 of /proc/PID/stat), and
 * whether it still runs, as a zombie does not. Null when there is no such process.
 */
export function lookUp(pid: number): { startTime: number; isAlive: boolean } | null {
	try {
		const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
		const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
		return { startTime: Number(fields[19]), isAlive: !['Z', 'X'].includes(fields[0] ?? '') };
	} catch {
		return null;
	}
}
