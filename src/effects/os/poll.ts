/** Checks of single fds with poll(2). */
import { call, errno, SyscallError } from './libc.ts';

const [POLLIN, POLLHUP, POLLRDHUP] = [0x1, 0x10, 0x2000];

/** Whether reading from a socket was shut down, by a holder of the socket or by the peer. */
export function isHungUp(fd: number): boolean {
	return (eventsOf(fd) & (POLLHUP | POLLRDHUP)) !== 0;
}

/** Whether data can be read or a connection can be accepted. */
export function isReadable(fd: number): boolean {
	return (eventsOf(fd) & POLLIN) !== 0;
}

/**
 * Blocks until all write ends of a pipe are closed, for at most `millis` milliseconds. Call only during startup: the
 * event loop does not run meanwhile.
 */
export function awaitHangUp(fd: number, millis: number): void {
	const entry = entryFor(fd);
	const end = performance.now() + millis;
	for (let left = millis; left > 0; left = Math.ceil(end - performance.now())) {
		if (isPolled(entry, left) && (entry.readInt16LE(6) & POLLHUP) !== 0) return;
	}
}

function eventsOf(fd: number): number {
	const entry = entryFor(fd);
	while (!isPolled(entry, 0));
	return entry.readInt16LE(6);
}

/** struct pollfd */
function entryFor(fd: number): Buffer {
	const entry = Buffer.alloc(8);
	entry.writeInt32LE(fd);
	entry.writeInt16LE(POLLIN | POLLRDHUP, 4);
	return entry;
}

/** Returns false if a signal interrupted poll(2), which is possible even with a timeout of 0. */
function isPolled(entry: Buffer, millis: number): boolean {
	try {
		call('poll', entry, 1, millis);
		return true;
	} catch (error) {
		if (error instanceof SyscallError && error.errno === errno('EINTR')) return false;
		throw error;
	}
}
