/** The log on a file descriptor, written without ever waiting for it. */
import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';
import { call, constants as libcConstants, onceWritable } from '../os/libc.ts';
import type { Writer } from './sink.ts';

/** Where texts become bytes: one is written at a time, so one place is enough. */
let scratch = Buffer.alloc(0);

/** More than this is rare (a stall that ends) and gets memory of its own. */
const largestScratch = 512 * 1024;

/** How long until a socket or a terminal that took nothing is tried again, in milliseconds. */
const pause = 20;

/** How much of the bytes was taken: at once where that is known at once. */
type Attempt = (bytes: Buffer, taken: (count: number) => void, failed: (error: unknown) => void) => void;

/**
 * A writer for an open fd, which stays the caller's. A pipe is opened anew, so that O_NONBLOCK is set for nobody else,
 * and waited for in the event loop. A socket is asked not to wait, and asked again after a pause while it is full: a
 * poll by libuv would make it non-blocking for all who share it. Files, terminals (a stopped one blocks its writer)
 * and pipes of another user are written by the thread pool.
 */
export function fdWriter(fd: number): Writer {
	const stat = fstatSync(fd);
	if (stat.isSocket()) return writerOf(toSocket(fd), later);
	const own = stat.isFIFO() ? reopen(fd) : null;
	return own === null ? writerOf(byThread(fd), later) : writerOf(toPipe(own), (again) => onceWritable(own, again));
}

/** Whether the fd is systemd's journal: it puts a stamp of its own before each line (systemd.exec(5), $JOURNAL_STREAM). */
export function isJournalStream(fd: number, { JOURNAL_STREAM }: NodeJS.ProcessEnv): boolean {
	const { dev, ino } = fstatSync(fd);
	return JOURNAL_STREAM === `${dev}:${ino}`;
}

/**
 * @param whenReady calls once it may be tried again
 */
function writerOf(attempt: Attempt, whenReady: (again: () => void) => void): Writer {
	return (text, done) => {
		function goOn(rest: Buffer) {
			attempt(
				rest,
				(count) => (count === rest.length ? done() : goOn(rest.subarray(count))),
				(error) => {
					if ((error as { code?: string }).code === 'EAGAIN') whenReady(() => goOn(rest));
					else done({ lines: linesIn(rest), bytes: rest.length });
				},
			);
		}
		goOn(toBytes(text));
	};
}

function toPipe(fd: number): Attempt {
	return (bytes, taken, failed) => now(() => writeSync(fd, bytes), taken, failed);
}

function toSocket(fd: number): Attempt {
	const flags = libcConstants.MSG_NOSIGNAL | libcConstants.MSG_DONTWAIT;
	return (bytes, taken, failed) => now(() => call('send', fd, bytes, bytes.length, flags), taken, failed);
}

function byThread(fd: number): Attempt {
	return (bytes, taken, failed) =>
		write(fd, bytes, 0, bytes.length, null, (error, count) => (error ? failed(error) : taken(count)));
}

function now(work: () => number, taken: (count: number) => void, failed: (error: unknown) => void) {
	let count: number;
	try {
		count = work();
	} catch (error) {
		failed(error);
		return;
	}
	taken(count);
}

function later(again: () => void) {
	setTimeout(again, pause);
}

/** Null where there is no reader any more, or the pipe is another user's. */
function reopen(fd: number): number | null {
	try {
		return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
	} catch {
		return null;
	}
}

function toBytes(text: string): Buffer {
	if (text.length > largestScratch) return Buffer.from(text, 'latin1');
	if (scratch.length < text.length) scratch = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(text.length)));
	return scratch.subarray(0, scratch.write(text, 'latin1'));
}

function linesIn(bytes: Buffer): number {
	let count = 0;
	for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, end + 1)) count += 1;
	return count;
}
