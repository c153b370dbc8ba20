/** Creates, moves, marks and closes file descriptors. */
import { closeSync, constants as fs, openSync } from 'node:fs';
import { call, constants, libc, SyscallError } from './libc.ts';

/** In a child, sockets start at fd `firstGivenFd`; in the supervisor, sockets start at fd `firstOwnFd`. */
export const [firstGivenFd, firstOwnFd] = [3, 64];

/** The first fd after stdin, stdout and stderr. */
const firstFree = 3;

/** Creates a pipe: `[read end, write end]`, both close-on-exec and blocking. @throws {SyscallError} */
export function makePipe(): [number, number] {
	const fds = Buffer.alloc(8);
	call('pipe2', fds, constants.O_CLOEXEC);
	return [fds.readInt32LE(0), fds.readInt32LE(4)];
}

/** Moves an fd above the numbers that children use, and closes the old number. @throws {SyscallError} */
export function moveUp(fd: number): number {
	try {
		return copyUp(fd);
	} finally {
		closeSync(fd);
	}
}

/** Duplicates an fd to a close-on-exec number that is at least `above` and `firstOwnFd`. @throws {SyscallError} */
export function copyUp(fd: number, above = firstOwnFd): number {
	try {
		return call('fcntl', fd, constants.F_DUPFD_CLOEXEC, Math.max(above, firstOwnFd));
	} catch (error) {
		// RLIMIT_NOFILE does not allow that number. Any number works: `spawnProcess` separates sources and targets.
		if (!(error instanceof SyscallError) || error.code !== 'EINVAL') throw error;
		return call('fcntl', fd, constants.F_DUPFD_CLOEXEC, Math.min(above, firstFree));
	}
}

/**
 * Opens a pipe again for reading, so that O_NONBLOCK does not affect other processes that share the old description.
 */
export function reopenForReading(fd: number): number {
	return openSync(`/proc/self/fd/${fd}`, fs.O_RDONLY | fs.O_NONBLOCK);
}

/** Opens a pipe again for blocking reads. */
export function reopenBlocking(fd: number): number {
	return openSync(`/proc/self/fd/${fd}`, fs.O_RDONLY);
}

/**
 * Marks every open fd from 3 up close-on-exec (close_range(2)), so that a child inherits only the fds meant for it.
 * Node marks only inherited fds below about 16; a shell may have opened higher fds.
 */
export function sealDescriptors(): void {
	const [closeRange, setCloseOnExec] = [436, 4];
	libc('syscall')(closeRange, 3, 2 ** 31 - 1, setCloseOnExec, null);
}

/** Sets whether an fd stays open across execve(2). @throws {SyscallError} */
export function setKept(fd: number, isKept: boolean): void {
	call('fcntl', fd, constants.F_SETFD, isKept ? 0 : constants.FD_CLOEXEC);
}

/** Sets O_NONBLOCK on the open file description, which all processes with a duplicate share. @throws {SyscallError} */
export function setNonBlocking(fd: number): void {
	call('fcntl', fd, constants.F_SETFL, call('fcntl', fd, constants.F_GETFL, 0) | constants.O_NONBLOCK);
}

/** Whether O_NONBLOCK is set on the open file description. @throws {SyscallError} */
export function isNonBlocking(fd: number): boolean {
	return (call('fcntl', fd, constants.F_GETFL, 0) & constants.O_NONBLOCK) !== 0;
}

/** Closes fds; ignores fds that are already closed. */
export function closeAll(fds: number[]): void {
	for (const fd of fds) {
		try {
			closeSync(fd);
		} catch {
			// The fd is already closed.
		}
	}
}
