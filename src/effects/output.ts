/** What children print: from their pipes, line by line, to the log. */
import { readSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { OnReadOpts, Socket, SocketConstructorOpts } from 'node:net';
import type { Log } from './log.ts';
import type { Sink } from './sink.ts';

/** A pipe that is read, as it can be handed over to another program. */
export interface OpenPipe {
	/** The read end. */
	fd: number;
	/** Whose it is. */
	pid: number;
	generation: number;
	/** The beginning of a line whose end has not come yet; characters are bytes. */
	unfinished: string;
}

export interface Output {
	/** Reads what is in the pipe now, to the last byte, and ends the last line: its writer is gone. */
	finish: () => void;
}

/** A longer line is passed on in pieces of this many bytes. */
const longestLine = 64 * 1024;

/** All pipes are read into this one: a chunk is done with before the next is read. */
const buffer = Buffer.allocUnsafeSlow(64 * 1024);

interface Reader {
	socket: Socket;
	describe: () => OpenPipe;
}

/**
 * Outputs that share one log and its sink: while that is stalled none of them is read, and the children
 * wait in write(2), as they would for any slow reader.
 */
export function outputsOf(sink: Pick<Sink, 'isStalled' | 'onReady'>, log: Pick<Log, 'child'>) {
	const readers = new Set<Reader>();
	const paused = new Set<Socket>();
	let isHeld = false;
	// A stall may end while the pipes are held: they stay so.
	sink.onReady(() => {
		if (!isHeld) resume();
	});

	/** Reads a pipe from now on. */
	function open({ fd, pid, generation, unfinished }: OpenPipe): Output {
		const lines = newLines(log.child(pid, generation), unfinished);
		let isOpen = true;
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
		const reader = { socket, describe: () => ({ fd, pid, generation, unfinished: lines.unfinished() }) };
		readers.add(reader);
		socket.on('error', () => socket.destroy());
		socket.on('close', () => {
			isOpen = false;
			readers.delete(reader);
			paused.delete(socket);
			lines.end();
		});

		function finish() {
			while (isOpen) {
				const length = readNow(fd);
				if (length === 0) break;
				lines.add(buffer, length);
			}
			lines.end();
		}

		return { finish };
	}

	/** Reads nothing further, until `resume`. @returns all pipes as they are */
	function hold(): OpenPipe[] {
		isHeld = true;
		for (const { socket } of readers) {
			socket.pause();
			paused.add(socket);
		}
		return [...readers].map(({ describe }) => describe());
	}

	function resume() {
		isHeld = false;
		for (const socket of paused) socket.resume();
		paused.clear();
	}

	return { open, hold, resume };
}

/** Loaded by name, when the first child runs already: a start is quicker so. */
function newSocket(options: SocketConstructorOpts): Socket {
	const { Socket } = createRequire(import.meta.url)('node:net') as typeof import('node:net');
	return new Socket(options);
}

/** Zero at the end of the file, and while there is nothing to read: libuv has made the fd non-blocking. */
function readNow(fd: number): number {
	try {
		return readSync(fd, buffer);
	} catch {
		return 0;
	}
}

/** Chunks in, whole lines out: as many of them at a time as a chunk holds. */
function newLines(log: (lines: string) => void, begun: string) {
	let rest = begun;

	function add(chunk: Buffer, length: number) {
		const end = chunk.lastIndexOf(10, length - 1);
		if (end < 0) {
			rest += chunk.toString('latin1', 0, length);
			if (rest.length >= longestLine) flush();
			return;
		}
		log(rest + chunk.toString('latin1', 0, end));
		rest = chunk.toString('latin1', end + 1, length);
	}

	function flush() {
		if (rest !== '') log(rest);
		rest = '';
	}

	return { add, end: flush, unfinished: () => rest };
}
