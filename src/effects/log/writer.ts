/** The log on a file descriptor, written without ever waiting for it. */
import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type { Writer } from './sink.ts';

/** Where texts become bytes: one is written at a time, so one place is enough. */
let scratch = Buffer.alloc(0);

/** More than this is rare (a stall that ends) and gets memory of its own. */
const largestScratch = 512 * 1024;

/**
 * A writer for an open fd. A pipe is opened anew, so that O_NONBLOCK is set for nobody else; what it
 * does not take at once waits in the event loop, as does all that goes to a socket. Files and terminals
 * (a stopped terminal blocks its writer) are written by the thread pool.
 */
export function fdWriter(fd: number): Writer {
	const stat = fstatSync(fd);
	if (stat.isSocket()) return eventLoopWriter(fd, false);
	if (!stat.isFIFO()) return (text, done) => writeAll(fd, toBytes(text), done);
	try {
		const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
		return eventLoopWriter(own, true);
	} catch {
		// No reader any more, or the pipe is another user's: the fd itself has to do.
		return eventLoopWriter(fd, false);
	}
}

function eventLoopWriter(fd: number, canTry: boolean): Writer {
	let socket: Socket | undefined;
	let isBroken = false;
	return (text, done) => {
		const bytes = toBytes(text);
		const written = canTry ? tryWrite(fd, bytes) : 0;
		if (isBroken || written === bytes.length) return done();
		socket ??= newSocket(fd, () => {
			isBroken = true;
		});
		socket.write(bytes.subarray(written), () => done());
	};
}

/** Loaded by name when it is needed: most logs never stall, and a start is quicker without. */
function newSocket(fd: number, onError: () => void): Socket {
	const { Socket } = createRequire(import.meta.url)('node:net') as typeof import('node:net');
	return new Socket({ fd, readable: false, writable: true }).on('error', onError);
}

/** How much a non-blocking fd takes now. Of errors the socket will tell. */
function tryWrite(fd: number, bytes: Buffer): number {
	try {
		return writeSync(fd, bytes);
	} catch {
		return 0;
	}
}

function toBytes(text: string): Buffer {
	if (text.length > largestScratch) return Buffer.from(text, 'latin1');
	if (scratch.length < text.length) scratch = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(text.length)));
	return scratch.subarray(0, scratch.write(text, 'latin1'));
}

/** A full disk loses the text, as it would with any other writer. */
function writeAll(fd: number, bytes: Buffer, done: () => void) {
	write(fd, bytes, 0, bytes.length, null, (error, count) => {
		if (error || count === bytes.length) done();
		else writeAll(fd, bytes.subarray(count), done);
	});
}
