/** A connection to the ack socket: its client sends one line, then the connection is closed. */
import { drain, receiveFrom } from '../os/datagram.ts';
import { dispose } from '../os/deferredClose.ts';
import { closeAll } from '../os/descriptors.ts';
import { poll } from '../os/libc.ts';
import { type AckLine, readAckLine } from './ack.ts';

/** A client must send its line within this time. A line has fewer than `longestLine` characters. */
const [lineTimeoutMs, longestLine] = [5000, 4096];

export interface AckConnectionOptions {
	fd: number;
	/** Called for a valid line, after the connection is closed. */
	said: (line: AckLine) => void;
	/** Called when a connection that waited for its line is about to be closed. */
	closing: () => void;
}

export class AckConnection {
	readonly #options: AckConnectionOptions;
	#line = '';
	#timer: NodeJS.Timeout | null = null;
	/** Null unless the connection waits for its line. */
	#handle: ReturnType<typeof poll> | null = null;

	constructor(options: AckConnectionOptions) {
		this.#options = options;
	}

	/** Waits for the rest of the line. */
	wait(): void {
		this.#timer = setTimeout(this.close, lineTimeoutMs);
		this.#handle = poll(this.#options.fd, this.read);
	}

	/** @returns whether the connection is finished */
	readonly read = (): boolean => {
		const chunk = receiveFrom(this.#options.fd);
		if (chunk === 'empty') return false;
		if (chunk !== 'over') {
			this.#line += chunk.text;
			// An ack carries no fds. If a client sends fds whose close(2) may block, its connection ends here.
			const areClosed = dispose(chunk.fds);
			const isWhole = this.#line.includes('\n') || this.#line.length >= longestLine;
			if (areClosed && chunk.text !== '' && !isWhole) return false;
		}
		const line = this.#line.length < longestLine ? readAckLine(this.#line) : null;
		this.close();
		if (line !== null) this.#options.said(line);
		return true;
	};

	readonly close = (): void => {
		if (this.#handle) {
			this.#options.closing();
			if (this.#timer) clearTimeout(this.#timer);
			this.#handle.close();
			this.#handle = null;
		}
		endConnection(this.#options.fd);
	};
}

/** Unread messages may hold fds whose close(2) blocks (SO_LINGER): `drain` disposes of these fds first. */
export function endConnection(fd: number): void {
	drain(fd);
	closeAll([fd]);
}
