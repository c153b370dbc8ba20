/** What children print: from their pipes, line by line, to the log. */
import { fchownSync, constants as fs, openSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { OnReadOpts, Socket, SocketConstructorOpts } from 'node:net';
import { array, number, object, string } from 'valibot';
import type { Log } from '../log/log.ts';
import type { Sink } from '../log/sink.ts';
import { closeAll, reopenBlocking } from '../os/descriptors.ts';
import { startDiscarder } from '../os/discarder.ts';
import { call, constants } from '../os/libc.ts';
import { type HandoverState, section } from '../upgrade/handoverState.ts';
import type { LastOutput } from './lastOutput.ts';

/** A pipe that is read, as it can be handed over to another program. */
export interface OpenPipe {
	/** The read end. */
	fd: number;
	/** Whose it is. */
	child: number;
	pid: number;
	generation: number;
	/** The beginning of a line whose end has not come yet; characters are bytes. */
	unfinished: string;
}

export interface Output {
	/**
	 * Reads what is in the pipe now, to the last byte: its child is gone. Where nobody else writes to it the last line
	 * ends; what others still write is read like any output.
	 */
	finish: (isWritten: boolean) => void;
}

const outputsSection = section('outputs', () =>
	array(object({ fd: number(), child: number(), pid: number(), generation: number(), unfinished: string() })),
);

/** A longer line is passed on in pieces of about this many bytes. */
const longestLine = 64 * 1024;

/** All pipes are read into this one: a chunk is done with before the next is read. */
const buffer = Buffer.allocUnsafeSlow(64 * 1024);

interface Reader {
	child: number;
	socket: Socket;
	output: Output;
	describe: () => OpenPipe;
}

export interface OutputsOptions {
	sink: Pick<Sink, 'isStalled' | 'onReady'>;
	log: Pick<Log, 'child'>;
	handoverState: HandoverState;
	lastOutput: Pick<LastOutput, 'begin' | 'add'>;
}

export type Outputs = ReturnType<typeof outputsOf>;

/**
 * Outputs that share one log and its sink: while that is stalled none of them is read, and the children
 * wait in write(2), as they would for any slow reader.
 */
export function outputsOf({ sink, log, handoverState, lastOutput }: OutputsOptions) {
	const readers = new Set<Reader>();
	const paused = new Set<Socket>();
	let isHeld = false;
	// A stall may end while the pipes are held: they stay so.
	sink.onReady(() => {
		if (!isHeld) resume();
	});

	/** Reads a pipe from now on. */
	function open({ fd, child, pid, generation, unfinished }: OpenPipe): Output {
		const say = log.child(pid, generation);
		lastOutput.begin(child, generation);
		const lines = newLines((whole) => {
			lastOutput.add(child, whole);
			say(whole);
		}, unfinished);
		const options: SocketConstructorOpts & { onread: OnReadOpts } = {
			fd,
			readable: true,
			writable: false,
			onread: {
				buffer,
				callback: (length: number) => {
					lines.add(buffer, length);
					if (!isHeld && !sink.isStalled()) return true;
					paused.add(socket);
					return false;
				},
			},
		};
		const socket = newSocket(options);
		const describe = () => ({ fd, child, pid, generation, unfinished: lines.unfinished() });
		const reader = { child, socket, output: { finish }, describe };
		readers.add(reader);
		socket.on('error', () => socket.destroy());
		socket.on('close', () => {
			readers.delete(reader);
			paused.delete(socket);
			lines.end();
		});

		/** A socket that is destroyed has read to the end of the file, and its fd may be another file's by now. */
		function finish(isWritten: boolean) {
			for (let left = socket.destroyed ? 0 : unreadIn(fd); left > 0; ) {
				const length = readNow(fd, Math.min(left, buffer.length));
				if (length === 0) break;
				lines.add(buffer, length);
				left -= length;
			}
			if (!isWritten) lines.end();
		}

		return reader.output;
	}

	/** The output of a child that an earlier program started; null where it could not be taken over. */
	function of(child: number): Output | null {
		for (const reader of readers) if (reader.child === child) return reader.output;
		return null;
	}

	/** The beginning of a line that a child has not ended yet. */
	function unfinishedOf(child: number): string {
		for (const reader of readers) if (reader.child === child) return reader.describe().unfinished;
		return '';
	}

	/** Whether a pipe is closed already, and the last word of its child not logged yet. */
	function isEnding(): boolean {
		for (const { socket } of readers) if (socket.destroyed) return true;
		return false;
	}

	/** Reads nothing further, until `resume`. */
	function hold() {
		isHeld = true;
		for (const { socket } of readers) {
			socket.pause();
			paused.add(socket);
		}
	}

	/**
	 * Leaves the pipes that others still write to, for good: they hold both ends, so a pipe that nobody reads would
	 * fill, and hang them. From now on a process reads it that keeps nothing, and ends with the last of them.
	 */
	function abandon() {
		for (const { describe } of readers) {
			const { fd } = describe();
			if (!isHeldByOthers(fd)) continue;
			const fds: number[] = [];
			try {
				// Another user's is not opened by root without CAP_DAC_OVERRIDE.
				if (process.geteuid?.() === 0) fchownSync(fd, 0, 0);
				fds.push(reopenBlocking(fd), openSync('/dev/null', fs.O_WRONLY));
				const [pipe = 0, nowhere = 0] = fds;
				startDiscarder([pipe, nowhere, nowhere]);
			} catch {
				// Nothing can be said any more, and nothing is served any more.
			} finally {
				closeAll(fds);
			}
		}
	}

	function resume() {
		isHeld = false;
		for (const socket of paused) socket.resume();
		paused.clear();
	}

	for (const pipe of handoverState.take(outputsSection) ?? []) open(pipe);
	handoverState.leave(outputsSection, () => {
		const state = [...readers].map(({ describe }) => describe());
		return { state, fds: state.map(({ fd }) => fd) };
	});

	return { open, of, unfinishedOf, isEnding, hold, resume, abandon };
}

/** Loaded by name, when the first child runs already: a start is quicker so. */
function newSocket(options: SocketConstructorOpts): Socket {
	const { Socket } = createRequire(import.meta.url)('node:net') as typeof import('node:net');
	return new Socket(options);
}

/** Zero at the end of the file, and while there is nothing to read: libuv has made the fd non-blocking. */
function readNow(fd: number, most: number): number {
	try {
		return readSync(fd, buffer, 0, most, null);
	} catch {
		return 0;
	}
}

/** Where nobody does, a read finds the end of the file. */
function isHeldByOthers(fd: number): boolean {
	try {
		return readSync(fd, buffer, 0, buffer.length, null) > 0;
	} catch {
		return true;
	}
}

/** How many bytes are in a pipe. */
function unreadIn(fd: number): number {
	const count = Buffer.alloc(4);
	call('ioctl', fd, constants.FIONREAD, count);
	return count.readInt32LE();
}

/** Chunks in, whole lines out: as many of them at a time as a chunk holds. */
function newLines(log: (lines: string) => void, begun: string) {
	let rest = begun;
	let wasCut = false;

	function add(chunk: Buffer, length: number) {
		const end = chunk.lastIndexOf(10, length - 1);
		if (end < 0) {
			rest += chunk.toString('latin1', 0, length);
			wasCut ||= rest.length >= longestLine;
			if (rest.length >= longestLine) cut();
			return;
		}
		const whole = rest + chunk.toString('latin1', 0, end);
		// The newline of a line that was passed on already is no line of its own.
		if (!wasCut) log(whole);
		else if (whole !== '') log(whole.startsWith('\n') ? whole.slice(1) : whole);
		wasCut = false;
		rest = chunk.toString('latin1', end + 1, length);
	}

	/** A character of UTF-8 is not parted. */
	function cut() {
		const end = rest.length - unfinishedCharacter(rest);
		log(rest.slice(0, end));
		rest = rest.slice(end);
	}

	function flush() {
		if (rest !== '') log(rest);
		rest = '';
	}

	return { add, end: flush, unfinished: () => rest };
}

/** How many bytes at the end begin a character of UTF-8 whose end has not come yet: 0 to 3. */
function unfinishedCharacter(bytes: string): number {
	for (let count = 1; count <= 3 && count <= bytes.length; count += 1) {
		const byte = bytes.charCodeAt(bytes.length - count);
		if (byte < 0x80) return 0;
		if (byte < 0xc0) continue;
		const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
		return length > count ? count : 0;
	}
	return 0;
}
