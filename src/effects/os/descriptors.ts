/** File descriptors: made, moved, marked and closed. */
import { closeSync, constants as fs, openSync } from 'node:fs';
import { call, constants, libc, SyscallError } from './libc.ts';

/** Children get their sockets from `firstGivenFd` on; the sockets that the supervisor holds lie from `firstOwnFd` on. */
export const [firstGivenFd, firstOwnFd] = [3, 64];

/** After stdin, stdout and stderr. */
const firstFree = 3;

/** A pipe: `[read end, write end]`, both close-on-exec and blocking. @throws {SyscallError} */
export function makePipe(): [number, number] {
	const fds = Buffer.alloc(8);
	call('pipe2', fds, constants.O_CLOEXEC);
	return [fds.readInt32LE(0), fds.readInt32LE(4)];
}

/** Moves an fd above those that children get; the old number is closed. @throws {SyscallError} */
export function moveUp(fd: number): number {
	try {
		return copyUp(fd);
	} finally {
		closeSync(fd);
	}
}

/** The same file under a second number above those that children get (`above` or more), close-on-exec. @throws {SyscallError} */
export function copyUp(fd: number, above = firstOwnFd): number {
	try {
		return call('fcntl', fd, constants.F_DUPFD_CLOEXEC, Math.max(above, firstOwnFd));
	} catch (error) {
		// So many are not allowed (RLIMIT_NOFILE): anywhere is right, as a spawn parts sources and targets itself.
		if (!(error instanceof SyscallError) || error.code !== 'EINVAL') throw error;
		return call('fcntl', fd, constants.F_DUPFD_CLOEXEC, Math.min(above, firstFree));
	}
}

/** Opens a pipe that somebody writes to a second time, for reading: O_NONBLOCK on it is then nobody else's. */
export function reopenForReading(fd: number): number {
	return openSync(`/proc/self/fd/${fd}`, fs.O_RDONLY | fs.O_NONBLOCK);
}

/** The same, for somebody who waits. */
export function reopenBlocking(fd: number): number {
	return openSync(`/proc/self/fd/${fd}`, fs.O_RDONLY);
}

/**
 * Marks every open fd close-on-exec, so that no child sees one it was not given. Node does so for the
 * fds below 16 or so that it was started with; a shell may well have opened others (close_range(2)).
 */
export function sealDescriptors(): void {
	const [closeRange, setCloseOnExec] = [436, 4];
	libc('syscall')(closeRange, 3, 2 ** 31 - 1, setCloseOnExec, null);
}

/** Whether an fd goes on in the program that execve(2) starts. @throws {SyscallError} */
export function setKept(fd: number, isKept: boolean): void {
	call('fcntl', fd, constants.F_SETFD, isKept ? 0 : constants.FD_CLOEXEC);
}

/** O_NONBLOCK on the description: for everybody who shares it. @throws {SyscallError} */
export function setNonBlocking(fd: number): void {
	call('fcntl', fd, constants.F_SETFL, call('fcntl', fd, constants.F_GETFL, 0) | constants.O_NONBLOCK);
}

/** Whether O_NONBLOCK is set on the description. @throws {SyscallError} */
export function isNonBlocking(fd: number): boolean {
	return (call('fcntl', fd, constants.F_GETFL, 0) & constants.O_NONBLOCK) !== 0;
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
