/** The output of children: read from their pipes and written to the log line by line. */
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

/** The state of an open output pipe, as it is handed over to another program. */
export interface OpenPipe {
	/** The read end. */
	fd: number;
	/** The child that writes to the pipe. */
	child: number;
	pid: number;
	generation: number;
	/** The beginning of a line whose newline has not arrived yet; each character is one byte. */
	unfinished: string;
}

export interface Output {
	/**
	 * Call when the leader has exited: reads all bytes that are in the pipe now. If no surviving process writes to the
	 * pipe, the last line ends. Otherwise the output of surviving processes is read as usual.
	 * @param isWritten whether there are surviving processes
	 */
	finish: (isWritten: boolean) => void;
}

const outputsSection = section('outputs', () =>
	array(object({ fd: number(), child: number(), pid: number(), generation: number(), unfinished: string() })),
);

/** A longer line is logged in pieces of about this many bytes. */
const longestLine = 64 * 1024;

/** All pipes share this buffer: each chunk is processed before the next is read. */
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
 * The outputs of all children share one log and its sink. While the sink is stalled no pipe is read, and a child that
 * writes blocks in write(2), as with any slow reader.
 */
export function outputsOf({ sink, log, handoverState, lastOutput }: OutputsOptions) {
	const readers = new Set<Reader>();
	const paused = new Set<Socket>();
	let isHeld = false;
	// If a stall ends while the pipes are held, the pipes stay held.
	sink.onReady(() => {
		if (!isHeld) resume();
	});

	/** Reads a pipe from now on. */
	function open({ fd, child, pid, generation, unfinished }: OpenPipe): Output {
		const logLines = log.child(pid, generation);
		lastOutput.begin(child, generation);
		const lines = newLines((whole) => {
			lastOutput.add(child, whole);
			logLines(whole);
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

		/** A destroyed socket has read to the end of the file. Its fd may belong to another file by now. */
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

	/** The output of a child that an earlier supervisor program started; null if it could not be taken over. */
	function of(child: number): Output | null {
		for (const reader of readers) if (reader.child === child) return reader.output;
		return null;
	}

	/** The beginning of a line whose newline the child has not written yet. */
	function unfinishedOf(child: number): string {
		for (const reader of readers) if (reader.child === child) return reader.describe().unfinished;
		return '';
	}

	/** Whether a pipe is already closed and its last line is not logged yet. */
	function isEnding(): boolean {
		for (const { socket } of readers) if (socket.destroyed) return true;
		return false;
	}

	/** Stops reading until `resume`. */
	function hold() {
		isHeld = true;
		for (const { socket } of readers) {
			socket.pause();
			paused.add(socket);
		}
	}

	/**
	 * Hands the pipes that surviving processes still write to over to a discarder process. These processes hold both
	 * ends of their pipe: without a reader the pipe would fill, and they would block. The discarder exits after the
	 * last of these processes has closed the pipe.
	 */
	function abandon() {
		for (const { describe } of readers) {
			const { fd } = describe();
			if (!isHeldByOthers(fd)) continue;
			const fds: number[] = [];
			try {
				// Without CAP_DAC_OVERRIDE root can't reopen a pipe that belongs to another user.
				if (process.geteuid?.() === 0) fchownSync(fd, 0, 0);
				fds.push(reopenBlocking(fd), openSync('/dev/null', fs.O_WRONLY));
				const [pipe = 0, nowhere = 0] = fds;
				startDiscarder([pipe, nowhere, nowhere]);
			} catch {
				// The supervisor exits: the log accepts no more lines, and no generation serves.
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

	for (const pipe of handoverState.restore(outputsSection) ?? []) open(pipe);
	handoverState.save(outputsSection, () => {
		const state = [...readers].map(({ describe }) => describe());
		return { state, fds: state.map(({ fd }) => fd) };
	});

	return { open, of, unfinishedOf, isEnding, hold, resume, abandon };
}

/** node:net is loaded when the first child already runs: this makes the start faster. */
function newSocket(options: SocketConstructorOpts): Socket {
	const { Socket } = createRequire(import.meta.url)('node:net') as typeof import('node:net');
	return new Socket(options);
}

/** Returns 0 at the end of the file, and also if the pipe is empty: libuv has made the fd non-blocking. */
function readNow(fd: number, most: number): number {
	try {
		return readSync(fd, buffer, 0, most, null);
	} catch {
		return 0;
	}
}

/** If no process holds the write end, the read returns 0. Bytes that this read returns are dropped. */
function isHeldByOthers(fd: number): boolean {
	try {
		return readSync(fd, buffer, 0, buffer.length, null) > 0;
	} catch {
		return true;
	}
}

/** The number of bytes in a pipe. */
function unreadIn(fd: number): number {
	const count = Buffer.alloc(4);
	call('ioctl', fd, constants.FIONREAD, count);
	return count.readInt32LE();
}

/** Splits chunks into lines. Each call of `log` gets all lines that a chunk completes. */
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
		// After a line that was logged in pieces, its newline alone is not an empty line.
		if (!wasCut) log(whole);
		else if (whole !== '') log(whole.startsWith('\n') ? whole.slice(1) : whole);
		wasCut = false;
		rest = chunk.toString('latin1', end + 1, length);
	}

	/** Does not cut inside a UTF-8 character. */
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

/** The number of bytes at the end that begin an incomplete UTF-8 character: 0 to 3. */
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
