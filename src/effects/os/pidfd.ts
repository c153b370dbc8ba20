/** Access to non-child processes by pidfd. A pidfd refers to one process even if its pid is reused. */
import { closeSync } from 'node:fs';
import { isThere, requireSignal } from './kill.ts';
import { call, poll, SyscallError } from './libc.ts';
import { isReadable } from './poll.ts';
import { lookAt, lookUp } from './proc.ts';

/** System call numbers; they are the same on every architecture. */
const numbers = { pidfdSendSignal: 424, pidfdOpen: 434, pidfdGetfd: 438 };

/**
 * Opens a pidfd for a live process with this pid and start time. Returns `gone` if no such process is alive. Returns
 * `hidden` if a process with this pid is alive and /proc does not show its start time.
 * @param startTime in clock ticks since boot
 * @throws {SyscallError}
 */
export function findProcess(pid: number, startTime: number): number | 'gone' | 'hidden' {
	const pidfd = pidfdOf(pid);
	if (pidfd === null) return 'gone';
	// /proc is read after the open: it shows the process of the pidfd, or that process has exited.
	const found = lookAt(pid);
	if (typeof found === 'object' && found.isAlive && found.startTime === startTime) return pidfd;
	// The pidfd of an exited process is readable (pidfd_open(2)).
	const isHidden = (found === 'hidden' || found === 'unknown') && !isReadable(pidfd);
	closeSync(pidfd);
	return isHidden ? 'hidden' : 'gone';
}

/** @returns null if no process has the pid: the number may be that of a thread (EINVAL, since Linux 6.9 ENOENT). @throws {SyscallError} */
function pidfdOf(pid: number): number | null {
	try {
		return call('syscall', numbers.pidfdOpen, pid, 0, 0, null);
	} catch (error) {
		if (error instanceof SyscallError && ['ESRCH', 'ENOENT', 'EINVAL'].includes(error.code)) return null;
		throw error;
	}
}

/** Like `findProcess`; null if the process is gone or hidden. @throws {SyscallError} */
export function openPidfd(pid: number, startTime: number): number | null {
	const found = findProcess(pid, startTime);
	return typeof found === 'number' ? found : null;
}

/**
 * Duplicates an fd of another process, close-on-exec.
 * @throws {SyscallError} EPERM without the right to trace the process
 */
function takeFd(pidfd: number, fd: number): number {
	return call('syscall', numbers.pidfdGetfd, pidfd, fd, 0, null);
}

/** Like `takeFd`; null if the process has no such fd, or is exiting. @throws {SyscallError} */
export function takeFdIfOpen(pidfd: number, fd: number): number | null {
	try {
		return takeFd(pidfd, fd);
	} catch (error) {
		if (error instanceof SyscallError && ['EBADF', 'ESRCH'].includes(error.code)) return null;
		throw error;
	}
}

/** Like `takeFdIfOpen`, by pid; null also if the process is gone or hidden. @throws {SyscallError} */
export function takeFrom(pid: number, fd: number): number | null {
	const pidfd = openPidfd(pid, lookUp(pid)?.startTime ?? 0);
	if (pidfd === null) return null;
	try {
		return takeFdIfOpen(pidfd, fd);
	} finally {
		closeSync(pidfd);
	}
}

/** Sends a signal, named without SIG; does nothing if the process is gone. @throws {SyscallError} */
export function signalPidfd(pidfd: number, signal: string): void {
	isThere(() => call('syscall', numbers.pidfdSendSignal, pidfd, requireSignal(signal), 0, null));
}

/** Whether the process still has its pid: the process is alive or a zombie. @throws {SyscallError} */
export function isHeld(pidfd: number): boolean {
	try {
		return isThere(() => call('syscall', numbers.pidfdSendSignal, pidfd, 0, 0, null));
	} catch (error) {
		if (error instanceof SyscallError && error.code === 'EPERM') return true;
		throw error;
	}
}

/**
 * Waits in the event loop until the process exits, then closes the pidfd and calls `ended`.
 * @returns a function that cancels the wait and closes the pidfd
 */
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
