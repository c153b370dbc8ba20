/** Processes that are not our children, held by pidfd: a number that is used again is another pidfd. */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { c, call, errno, libc, SyscallError } from './libc.ts';
import { lookUp, signalNumber } from './process.ts';

/** The same on every architecture. */
const numbers = { pidfdSendSignal: 424, pidfdOpen: 434, pidfdGetfd: 438 };

/** Opens a process that is alive and began when it should have; null when there is no such one. @throws {SyscallError} */
export function openPidfd(pid: number, startTime: number): number | null {
	let pidfd: number;
	try {
		pidfd = call('syscall', numbers.pidfdOpen, pid, 0, 0, null);
	} catch (error) {
		if (error instanceof SyscallError && error.errno === errno('ESRCH')) return null;
		throw error;
	}
	// Looked up after it was opened: what is found now is what the pidfd holds, or that one is gone.
	const found = lookUp(pid);
	if (found?.isAlive && found.startTime === startTime) return pidfd;
	closeSync(pidfd);
	return null;
}

/** A duplicate of another process's fd, close-on-exec. @throws {SyscallError} EPERM without the right to trace it */
export function takeFd(pidfd: number, fd: number): number {
	return call('syscall', numbers.pidfdGetfd, pidfd, fd, 0, null);
}

/** Sends a signal by its name without SIG; nothing when the process is gone. @throws {SyscallError} */
export function signalPidfd(pidfd: number, signal: string): void {
	try {
		call('syscall', numbers.pidfdSendSignal, pidfd, signalNumber(signal) ?? 0, 0, null);
	} catch (error) {
		if (!(error instanceof SyscallError && error.errno === errno('ESRCH'))) throw error;
	}
}

/** Opens a pipe that somebody writes to a second time, for reading: O_NONBLOCK on it is then nobody else's. */
export function reopenForReading(fd: number): number {
	return openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY | constants.O_NONBLOCK);
}

const POLLIN = 1;

/**
 * Waits for many processes in one thread of the pool, by poll(2) without a timeout: nothing runs until
 * one of them ends. An eventfd wakes it when the set changes.
 */
export function pidfdWatch() {
	const watched = new Map<number, () => void>();
	let wake = -1;
	let isWaiting = false;

	function watch(pidfd: number, onEnd: () => void) {
		watched.set(pidfd, onEnd);
		if (isWaiting) writeSync(wake, one);
		else wait();
	}

	function wait() {
		if (watched.size === 0) return;
		if (wake < 0) wake = call('eventfd', 0, c.O_NONBLOCK | c.O_CLOEXEC);
		const fds = [wake, ...watched.keys()];
		const set = Buffer.alloc(fds.length * 8);
		fds.forEach((fd, index) => {
			set.writeInt32LE(fd, index * 8);
			set.writeInt16LE(POLLIN, index * 8 + 4);
		});
		isWaiting = true;
		libc('poll').async(set, fds.length, -1, () => {
			isWaiting = false;
			drain();
			fds.forEach((fd, index) => {
				if (index > 0 && set.readInt16LE(index * 8 + 6) !== 0) end(fd);
			});
			wait();
		});
	}

	function end(pidfd: number) {
		const onEnd = watched.get(pidfd);
		watched.delete(pidfd);
		closeSync(pidfd);
		onEnd?.();
	}

	function drain() {
		const count = Buffer.alloc(8);
		libc('read')(wake, count, 8);
	}

	/** Nothing is waited for any more, so that the process can end. */
	function close() {
		watched.clear();
		if (isWaiting) writeSync(wake, one);
	}

	return { watch, close };
}

const one = Buffer.from(new BigUint64Array([1n]).buffer);
