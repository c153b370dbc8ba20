/** The socket of one child for its messages (sd_notify(3)), which are received up to a rate. */
import { bootClock } from '../os/clock.ts';
import { drain, receiveFrom } from '../os/datagram.ts';
import { dispose, isDisposing } from '../os/deferredClose.ts';
import { closeAll } from '../os/descriptors.ts';
import { poll } from '../os/libc.ts';
import { removeSocketFile } from './notifyDir.ts';
import { RateLimit } from './rateLimit.ts';

/**
 * At most this many messages are read at a time, and per second from each child. A child that sends more blocks in
 * sendmsg(2); the other children do not.
 */
const [mostAtOnce, mostInASecond] = [16, 100];

/** If the limit per second is reached, receiving pauses for this long. */
const pauseMs = 1000;

export interface Receiver {
	/** Called for each message, with the sender's pid; null if the kernel does not report it. */
	take: (text: string, sender: number | null) => void;
	/** Called if no further message can arrive. */
	over: () => void;
}

/** It does not receive until `startReceiving`: a child that is about to be spawned has no pid. */
export class NotifySocket {
	readonly fd: number;
	readonly path: string;
	readonly #rate = new RateLimit(mostInASecond);
	#receiver: Receiver | null = null;
	#handle: ReturnType<typeof poll> | null = null;
	#pauseTimer: NodeJS.Timeout | null = null;
	#hasSentFiles = false;
	#isClosed = false;

	constructor(fd: number, path: string) {
		this.fd = fd;
		this.path = path;
	}

	startReceiving(receiver: Receiver): void {
		this.#handle = poll(this.fd, this.receiveNow);
		this.#receiver = receiver;
	}

	/** Receives the messages that have already arrived. */
	readonly receiveNow = () => {
		if (this.#receiver === null) return;
		this.#rate.begin(bootClock());
		for (let count = 0; count < mostAtOnce; count += 1) {
			const message = receiveFrom(this.fd);
			if (message === 'empty') return;
			if (message === 'over') return this.#receiver.over();
			this.#rate.add();
			const isDone = dispose(message.fds);
			this.#hasSentFiles ||= !isDone;
			this.#receiver.take(message.text, message.pid);
			if (this.#isClosed) return;
			if (!isDone || this.#rate.isReached()) return this.#pause();
		}
	};

	close(): void {
		this.#isClosed = true;
		this.#handle?.close();
		if (this.#pauseTimer) clearTimeout(this.#pauseTimer);
		// Unread messages may hold fds whose close(2) blocks (SO_LINGER): `drain` disposes of these fds first.
		drain(this.fd);
		closeAll([this.fd]);
		removeSocketFile(this.path);
	}

	#pause(): void {
		this.#handle?.close();
		this.#handle = null;
		this.#pauseTimer ??= setTimeout(this.#resume, pauseMs);
	}

	/**
	 * After a child has sent fds, its messages are not read while fds are still being closed: the child can't send
	 * more fds meanwhile.
	 */
	readonly #resume = () => {
		this.#pauseTimer = null;
		if (this.#isClosed) return;
		if (this.#hasSentFiles && isDisposing()) return this.#pause();
		this.#handle ??= poll(this.fd, this.receiveNow);
	};
}
