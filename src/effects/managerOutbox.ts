/** The messages to the service manager's socket, which may not take them at once. */
import { sendDatagram } from './os/message.ts';

/**
 * A message that the service manager's socket cannot take yet is retried after `pause` milliseconds. At most
 * `mostWaiting` messages are queued.
 */
const [pause, mostWaiting] = [100, 64];

/** Sends messages in order. An absent service manager is not an error. */
export class ManagerOutbox {
	readonly #path: string;
	readonly #waiting: string[];
	#later: NodeJS.Timeout | null = null;

	/** @param waiting the messages not sent yet. The outbox changes it in place. */
	constructor(path: string, waiting: string[]) {
		this.#path = path;
		this.#waiting = waiting;
		if (waiting.length > 0) this.#later = setTimeout(() => this.#flush(), 0).unref();
	}

	send(text: string): void {
		this.#waiting.push(text);
		// When the queue is full, the oldest STATUS= message is dropped first.
		if (this.#waiting.length > mostWaiting) {
			const place = this.#waiting.slice(0, -1).findIndex((each) => each.startsWith('STATUS='));
			this.#waiting.splice(Math.max(0, place), 1);
		}
		if (this.#later === null) this.#flush();
	}

	/** Sends immediately, and only if no message is queued. A failed ping is not retried. */
	ping(text: string): void {
		if (this.#waiting.length === 0) isTaken(this.#path, text);
	}

	/** Sends the queued messages once more, then stops. */
	close(): void {
		if (this.#later) clearTimeout(this.#later);
		for (const text of this.#waiting) isTaken(this.#path, text);
	}

	#flush(): void {
		this.#later = null;
		while (this.#waiting.length > 0) {
			if (!isTaken(this.#path, this.#waiting[0] ?? '')) {
				this.#later = setTimeout(() => this.#flush(), pause).unref();
				return;
			}
			this.#waiting.shift();
		}
	}
}

/** Returns false if the socket cannot take the message now. Any other failure drops the message. */
function isTaken(path: string, text: string): boolean {
	try {
		sendDatagram(path, text);
		return true;
	} catch (error) {
		return !['EAGAIN', 'ENOBUFS', 'EMFILE', 'ENFILE', 'ENOMEM'].includes((error as { code?: string }).code ?? '');
	}
}
