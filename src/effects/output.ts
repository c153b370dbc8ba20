/** What children print: from their pipes, line by line, to the log. */
import { readSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { OnReadOpts, Socket, SocketConstructorOpts } from 'node:net';
import type { Sink } from './sink.ts';

export interface Output {
	/** The read end of the pipe. */
	fd: number;
	/** Reads what is in the pipe now, to the last byte, and ends the last line: its writer is gone. */
	finish: () => void;
	/** The beginning of a line whose end has not come yet. */
	unfinished: () => string;
	/** Reads no further; what has been read is logged but for the unfinished line. */
	stop: () => void;
}

/** A longer line is passed on in pieces of this many bytes. */
const longestLine = 64 * 1024;

/** All pipes are read into this one: a chunk is done with before the next is read. */
const buffer = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * Opens outputs that share one sink: while it is stalled none of them is read, and the children wait
 * in write(2), as they would for any slow reader.
 */
export function outputsOf(sink: Pick<Sink, 'isStalled' | 'onReady'>) {
	const paused = new Set<Socket>();
	sink.onReady(() => {
		for (const socket of paused) socket.resume();
		paused.clear();
	});

	/** @param log takes whole lines, parted by newlines, without the last newline */
	return function openOutput(fd: number, log: (lines: string) => void, begun = ''): Output {
		const lines = newLines(log, begun);
		let isOpen = true;
		const options: SocketConstructorOpts & { onread: OnReadOpts } = {
			fd,
			readable: true,
			writable: false,
			onread: {
				buffer,
				callback: (length: number) => {
					lines.add(buffer, length);
					if (!sink.isStalled()) return true;
					paused.add(socket);
					return false;
				},
			},
		};
		const socket = newSocket(options);
		socket.on('error', () => socket.destroy());
		socket.on('close', () => {
			isOpen = false;
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

		return { fd, finish, unfinished: lines.unfinished, stop: () => socket.pause() };
	};
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
