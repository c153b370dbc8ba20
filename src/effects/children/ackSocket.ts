/** The socket of the einhorn ready protocol: a stream socket that all children share. */
import { rmSync } from 'node:fs';
import { bootClock } from '../os/clock.ts';
import { closeAll } from '../os/descriptors.ts';
import { newSecret } from '../os/ids.ts';
import { call, constants, poll } from '../os/libc.ts';
import { isReadable } from '../os/poll.ts';
import { ancestorsOf } from '../os/processTree.ts';
import type { User } from '../os/user.ts';
import { accept, peerOf } from '../sockets/accept.ts';
import { addressText, boundAddress } from '../sockets/address.ts';
import { openPlain } from '../sockets/bindUnix.ts';
import type { AckLine } from './ack.ts';
import { AckConnection, endConnection } from './ackConnection.ts';
import { removeSocketFile } from './notifyDir.ts';
import { RateLimit } from './rateLimit.ts';

/** At most this many clients may be connected without a complete line. For a further client the oldest is closed. */
const mostClients = 16;

/** At most this many clients are accepted per second. Further clients wait in the backlog. */
const mostInASecond = 100;

/** If no fds are left, or the limit per second is reached, accepting pauses for this long. */
const pauseMs = 1000;

export interface AckSocketOptions {
	folder: string;
	/** The owner of the socket file: this user and root may connect. Null stands for the supervisor's user. */
	user: User | null;
	/** The fd of a socket that an earlier supervisor program opened; null opens a new socket. */
	known: number | null;
	/** Called for each valid line, with the sender's pid and the sender's ancestors. */
	said: (line: AckLine, sender: number, ancestors: Set<number>) => void;
}

export class AckSocket {
	readonly path: string;
	readonly #user: User | null;
	readonly #said: AckSocketOptions['said'];
	readonly #connections = new Map<number, AckConnection>();
	readonly #limit = new RateLimit(mostInASecond);
	#isClosed = false;
	#fd: number;
	#handle: ReturnType<typeof poll> | null = null;
	#pauseTimer: NodeJS.Timeout | null = null;

	/** @throws {Error} */
	constructor({ folder, user, known, said }: AckSocketOptions) {
		this.path = known === null ? `${folder}/einhorn-${newSecret()}` : addressText(boundAddress(known));
		this.#user = user;
		this.#said = said;
		this.#fd = known ?? this.#open();
		this.#listen();
	}

	fd(): number {
		return this.#fd;
	}

	/** Reads acks that have already arrived, so that a deadline decision counts them. */
	takeNow(): void {
		for (const connection of [...this.#connections.values()]) connection.read();
		for (let left = mostInASecond; left > 0 && !this.#isClosed && isReadable(this.#fd) && this.#take(); ) left -= 1;
	}

	close(): void {
		this.#isClosed = true;
		for (const connection of [...this.#connections.values()]) connection.close();
		this.#handle?.close();
		this.#handle = null;
		if (this.#pauseTimer) clearTimeout(this.#pauseTimer);
		closeAll([this.#fd]);
		removeSocketFile(this.path);
	}

	#open(): number {
		const opened = openPlain(this.path, constants.SOCK_STREAM, this.#user);
		call('listen', opened, 64);
		return opened;
	}

	readonly #listen = (): void => {
		if (this.#pauseTimer) clearTimeout(this.#pauseTimer);
		this.#pauseTimer = null;
		if (!this.#isClosed) this.#handle ??= poll(this.#fd, this.#take);
	};

	#pause(): void {
		this.#handle?.close();
		this.#handle = null;
		if (!this.#isClosed) this.#pauseTimer ??= setTimeout(this.#listen, pauseMs);
	}

	/** Accepts the next client. @returns whether a client was accepted */
	readonly #take = (): boolean => {
		this.#limit.begin(bootClock());
		this.#limit.add();
		const client = accept(this.#fd);
		if (typeof client === 'number') this.#serve(client);
		if (client === 'over') this.#openAgain();
		// A waiting client would make the fd readable again at once.
		else if (client === 'full' || this.#limit.isReached()) this.#pause();
		return typeof client === 'number';
	};

	/**
	 * A child has shut the shared socket down (shutdown(2)). A new socket is bound to the same path for later clients.
	 * Accepting resumes after the pause.
	 */
	#openAgain(): void {
		this.#pause();
		try {
			rmSync(this.path, { force: true });
			const next = this.#open();
			closeAll([this.#fd]);
			this.#fd = next;
		} catch {
			// The next attempt follows after the pause.
		}
	}

	/** SO_PEERCRED gives the sender's pid. The ancestors are read now: the sender may exit before its line is read. */
	#serve(fd: number) {
		const sender = senderOf(fd) ?? 0;
		if (sender === 0) return endConnection(fd);
		const ancestors = ancestorsOf(sender) ?? new Set([sender]);
		const connection = new AckConnection({
			fd,
			said: (line) => this.#said(line, sender, ancestors),
			closing: () => this.#connections.delete(fd),
		});
		if (connection.read()) return;
		connection.wait();
		const [oldest] = this.#connections.size >= mostClients ? this.#connections.values() : [];
		oldest?.close();
		this.#connections.set(fd, connection);
	}
}

/** Opens the ack socket, or continues with a known one. @throws {Error} */
export function openAckSocket(options: AckSocketOptions): AckSocket {
	return new AckSocket(options);
}

/** The pid of the client; null if the kernel does not report it. */
function senderOf(client: number): number | null {
	try {
		return peerOf(client).pid;
	} catch {
		return null;
	}
}
