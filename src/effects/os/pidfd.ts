/** Processes that are not our children, held by pidfd: a number that is used again is another pidfd. */
import { closeSync } from 'node:fs';
import { isThere, requireSignal } from './kill.ts';
import { call, poll, SyscallError } from './libc.ts';
import { isReadable } from './poll.ts';
import { lookAt, lookUp } from './proc.ts';

/** The same on every architecture. */
const numbers = { pidfdSendSignal: 424, pidfdOpen: 434, pidfdGetfd: 438 };

/**
 * Opens a process that is alive and began when it should have. `hidden`: a process of that number lives, and /proc does not
 * show when it began. @throws {SyscallError}
 */
export function findProcess(pid: number, startTime: number): number | 'gone' | 'hidden' {
	let pidfd = -1;
	const isOpen = isThere(() => {
		pidfd = call('syscall', numbers.pidfdOpen, pid, 0, 0, null);
	});
	if (!isOpen) return 'gone';
	// Looked at after it was opened: what is found now is what the pidfd holds, or that one is gone.
	const found = lookAt(pid);
	if (typeof found === 'object' && found.isAlive && found.startTime === startTime) return pidfd;
	// The pidfd of a process that has ended has something to read (pidfd_open(2)).
	const isHidden = (found === 'hidden' || found === 'unknown') && !isReadable(pidfd);
	closeSync(pidfd);
	return isHidden ? 'hidden' : 'gone';
}

/** The same; null where it is gone or hidden. @throws {SyscallError} */
export function openPidfd(pid: number, startTime: number): number | null {
	const found = findProcess(pid, startTime);
	return typeof found === 'number' ? found : null;
}

/** A duplicate of another process's fd, close-on-exec. @throws {SyscallError} EPERM without the right to trace it */
function takeFd(pidfd: number, fd: number): number {
	return call('syscall', numbers.pidfdGetfd, pidfd, fd, 0, null);
}

/** The same; null when the process has no such fd, or is just ending. @throws {SyscallError} */
export function takeFdIfOpen(pidfd: number, fd: number): number | null {
	try {
		return takeFd(pidfd, fd);
	} catch (error) {
		if (error instanceof SyscallError && ['EBADF', 'ESRCH'].includes(error.code)) return null;
		throw error;
	}
}

/** A duplicate of its fd; null when the process is just ending, or closing it. @throws {SyscallError} */
export function takeFrom(pid: number, fd: number): number | null {
	const pidfd = openPidfd(pid, lookUp(pid)?.startTime ?? 0);
	if (pidfd === null) return null;
	try {
		return takeFdIfOpen(pidfd, fd);
	} finally {
		closeSync(pidfd);
	}
}

/** Sends a signal by its name without SIG; nothing when the process is gone. @throws {SyscallError} */
export function signalPidfd(pidfd: number, signal: string): void {
	isThere(() => call('syscall', numbers.pidfdSendSignal, pidfd, requireSignal(signal), 0, null));
}

/** Whether the number of the process is its own still: it lives, or has ended and was not reaped. @throws {SyscallError} */
export function isHeld(pidfd: number): boolean {
	try {
		return isThere(() => call('syscall', numbers.pidfdSendSignal, pidfd, 0, 0, null));
	} catch (error) {
		if (error instanceof SyscallError && error.code === 'EPERM') return true;
		throw error;
	}
}

/** Waits for the process to end, in the event loop; closes the pidfd then. @returns how to wait no longer */
export function onEnd(pidfd: number, ended: () => void): () => void {
	let isOver = false;
	const handle = poll(pidfd, () => {
		stop();
		ended();
	});

	function stop() {
		if (isOver) return;
		isOver = true;
		handle.close();
		closeSync(pidfd);
	}

	return stop;
}
