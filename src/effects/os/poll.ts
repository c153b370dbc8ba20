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

function eventsOf(fd: number): number {
	const entry = Buffer.alloc(8);
	entry.writeInt32LE(fd);
	entry.writeInt16LE(POLLIN | POLLRDHUP, 4);
	while (!isPolled(entry));
	return entry.readInt16LE(6);
}

/** False where a signal has interrupted it, which it does without waiting, too. */
function isPolled(entry: Buffer): boolean {
	try {
		call('poll', entry, 1, 0);
		return true;
	} catch (error) {
		if (error instanceof SyscallError && error.errno === errno('EINTR')) return false;
		throw error;
	}
}
