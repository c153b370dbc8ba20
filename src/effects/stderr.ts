/** The log on a file descriptor, written without ever waiting for it. */
import { constants, fstatSync, openSync, write } from 'node:fs';
import { Socket } from 'node:net';
import type { Writer } from './sink.ts';

/**
 * A writer for an open fd: pipes and sockets through the event loop, all else (files, terminals:
 * a stopped terminal blocks its writer) through the thread pool. A pipe is opened anew, so that O_NONBLOCK is set for nobody else.
 */
export function fdWriter(fd: number): Writer {
	const stat = fstatSync(fd);
	if (!stat.isFIFO() && !stat.isSocket()) return (text, done) => writeAll(fd, Buffer.from(text, 'latin1'), done);
	const socket = new Socket({ fd: stat.isFIFO() ? reopen(fd) : fd, readable: false, writable: true });
	let isBroken = false;
	socket.on('error', () => {
		isBroken = true;
	});
	return (text, done) => {
		if (isBroken) done();
		else socket.write(text, 'latin1', () => done());
	};
}

function reopen(fd: number): number {
	try {
		return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
	} catch {
		// No reader any more, or the pipe is another user's: the fd itself has to do.
		return fd;
	}
}

/** A full disk loses the text, as it would with any other writer. */
function writeAll(fd: number, bytes: Buffer, done: () => void) {
	write(fd, bytes, 0, bytes.length, null, (error, count) => {
		if (error || count === bytes.length) done();
		else writeAll(fd, bytes.subarray(count), done);
	});
}
