/** Writes the log to a file descriptor without blocking the event loop. */
import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';
import { call, constants as libcConstants, onceWritable } from '../os/libc.ts';
import type { Writer } from './sink.ts';

/** Texts are encoded here. The log writes one text at a time, so one buffer is enough. */
let scratch = Buffer.alloc(0);

/** In bytes. A longer text is rare (after a stall) and gets its own buffer. */
const largestScratch = 512 * 1024;

/** The pause before the next attempt after EAGAIN from a socket or a terminal, in milliseconds. */
const retryPauseMs = 20;

/**
 * Tries to write the bytes. Calls `taken` with the number of bytes written, or `failed`; both can be called
 * synchronously.
 */
type Attempt = (bytes: Buffer, taken: (count: number) => void, failed: (error: unknown) => void) => void;

/**
 * A writer for an open fd. The caller keeps the fd.
 * - A pipe is opened again, so that O_NONBLOCK affects no other process. The event loop waits until it is writable.
 * - A socket is written with MSG_DONTWAIT, and again after a pause while it is full. libuv would set O_NONBLOCK to poll
 *   the socket, for all processes that share it.
 * - Files, terminals (a stopped terminal blocks its writer) and pipes of another user are written by the thread pool.
 */
export function fdWriter(fd: number): Writer {
	const stat = fstatSync(fd);
	if (stat.isSocket()) return writerOf(toSocket(fd), later);
	const own = stat.isFIFO() ? reopen(fd) : null;
	return own === null ? writerOf(byThread(fd), later) : writerOf(toPipe(own), (again) => onceWritable(own, again));
}

/**
 * Whether the fd is the journal of systemd, which adds its own stamp to each line (systemd.exec(5), $JOURNAL_STREAM).
 */
export function isJournalStream(fd: number, { JOURNAL_STREAM }: NodeJS.ProcessEnv): boolean {
	const { dev, ino } = fstatSync(fd);
	return JOURNAL_STREAM === `${dev}:${ino}`;
}

/** @param whenReady calls its argument when the next attempt can be made */
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
	setTimeout(again, retryPauseMs);
}

/** Null if the pipe has no reader, or if its owner is another user. */
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
