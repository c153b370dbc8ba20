/** What poll(2) knows of an fd at once. */
import { call, errno, SyscallError } from './libc.ts';

const [POLLIN, POLLHUP, POLLRDHUP] = [0x1, 0x10, 0x2000];

/** Whether a socket was shut down for reading. */
export function isHungUp(fd: number): boolean {
	return (eventsOf(fd) & (POLLHUP | POLLRDHUP)) !== 0;
}

/** Whether there is something to read, or to accept. */
export function isReadable(fd: number): boolean {
	return (eventsOf(fd) & POLLIN) !== 0;
}

/** Waits, for so many milliseconds at the most, until nobody has the other end of a pipe any more: for a start alone. */
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

/** False where a signal has interrupted it, which it does without waiting, too. */
function isPolled(entry: Buffer, millis: number): boolean {
	try {
		call('poll', entry, 1, millis);
		return true;
	} catch (error) {
		if (error instanceof SyscallError && error.errno === errno('EINTR')) return false;
		throw error;
	}
}
