/** The output of children: read from their pipes and written to the log line by line. */
import { fchownSync, constants as fs, openSync, readSync } from 'node:fs';
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { array, number, object, string } from 'valibot';
import type { Log } from '../log/log.ts';
import type { Sink } from '../log/sink.ts';
import { closeAll, reopenBlocking } from '../os/descriptors.ts';
import { startDiscarder } from '../os/discarder.ts';
import { call, constants } from '../os/libc.ts';
import { type HandoverState, section } from '../upgrade/handoverState.ts';
import type { LastOutput } from './lastOutput.ts';
import { newLines } from './outputLines.ts';

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
	/** A longer line is logged in pieces of about this many bytes. */
	longestLine: number;
}

/**
 * The outputs of all children share one log and its sink. While the sink is stalled no pipe is read, and a child that
 * writes blocks in write(2), as with any slow reader.
 */
export class Outputs {
	readonly #sink: OutputsOptions['sink'];
	readonly #log: OutputsOptions['log'];
	readonly #lastOutput: OutputsOptions['lastOutput'];
	readonly #longestLine: number;
	readonly #readers = new Set<Reader>();
	readonly #paused = new Set<Socket>();
	#isHeld = false;

	constructor({ sink, log, handoverState, lastOutput, longestLine }: OutputsOptions) {
		this.#longestLine = longestLine;
		this.#sink = sink;
		this.#log = log;
		this.#lastOutput = lastOutput;
		// If a stall ends while the pipes are held, the pipes stay held.
		sink.onReady(() => {
			if (!this.#isHeld) this.resume();
		});
		for (const pipe of handoverState.restore(outputsSection) ?? []) this.open(pipe);
		handoverState.save(outputsSection, () => {
			const state = [...this.#readers].map(({ describe }) => describe());
			return { state, fds: state.map(({ fd }) => fd) };
		});
	}

	/** Reads a pipe from now on. */
	open({ fd, child, pid, generation, unfinished }: OpenPipe): Output {
		const [sink, lastOutput] = [this.#sink, this.#lastOutput];
		const logLines = this.#log.child(pid, generation);
		lastOutput.begin(child, generation);
		const lines = newLines(
			(whole) => {
				lastOutput.add(child, whole);
				logLines(whole);
			},
			unfinished,
			this.#longestLine,
		);
		const options: SocketConstructorOpts & { onread: OnReadOpts } = {
			fd,
			readable: true,
			writable: false,
			onread: {
				buffer,
				callback: (length: number) => {
					lines.add(buffer, length);
					if (!this.#isHeld && !sink.isStalled()) return true;
					this.#paused.add(socket);
					return false;
				},
			},
		};
		const socket = new Socket(options);
		const describe = () => ({ fd, child, pid, generation, unfinished: lines.unfinished() });
		/** A destroyed socket has read to the end of the file. Its fd may belong to another file by now. */
		const finish = (isWritten: boolean) => {
			for (let left = socket.destroyed ? 0 : unreadIn(fd); left > 0; ) {
				const length = readNow(fd, Math.min(left, buffer.length));
				if (length === 0) break;
				lines.add(buffer, length);
				left -= length;
			}
			if (!isWritten) lines.end();
		};
		const reader = { child, socket, output: { finish }, describe };
		this.#readers.add(reader);
		socket.on('error', () => socket.destroy());
		socket.on('close', () => {
			this.#readers.delete(reader);
			this.#paused.delete(socket);
			lines.end();
		});
		return reader.output;
	}

	/** The output of a child that an earlier supervisor program started; null if it could not be taken over. */
	of(child: number): Output | null {
		for (const reader of this.#readers) if (reader.child === child) return reader.output;
		return null;
	}

	/** The beginning of a line whose newline the child has not written yet. */
	unfinishedOf(child: number): string {
		for (const reader of this.#readers) if (reader.child === child) return reader.describe().unfinished;
		return '';
	}

	/** Whether a pipe is already closed and its last line is not logged yet. */
	isEnding(): boolean {
		for (const { socket } of this.#readers) if (socket.destroyed) return true;
		return false;
	}

	/** Stops reading until `resume`. */
	hold(): void {
		this.#isHeld = true;
		for (const { socket } of this.#readers) {
			socket.pause();
			this.#paused.add(socket);
		}
	}

	resume(): void {
		this.#isHeld = false;
		for (const socket of this.#paused) socket.resume();
		this.#paused.clear();
	}

	/**
	 * Hands the pipes that surviving processes still write to over to a discarder process. These processes hold both
	 * ends of their pipe: without a reader the pipe would fill, and they would block. The discarder exits after the
	 * last of these processes has closed the pipe.
	 */
	readonly abandon = (): void => {
		for (const { describe } of this.#readers) {
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
	};
}

export function outputsOf(options: OutputsOptions): Outputs {
	return new Outputs(options);
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
