/** einhorn's way for a worker to say that it is up: a line on a stream socket, which all children share. */
import { rmSync } from 'node:fs';
import { bootClock } from '../os/clock.ts';
import { drain, receiveFrom } from '../os/datagram.ts';
import { dispose } from '../os/deferredClose.ts';
import { closeAll } from '../os/descriptors.ts';
import { newSecret } from '../os/ids.ts';
import { call, constants, poll } from '../os/libc.ts';
import { isReadable } from '../os/poll.ts';
import { ancestorsOf } from '../os/processTree.ts';
import type { User } from '../os/user.ts';
import { accept, peerOf } from '../sockets/accept.ts';
import { addressText, boundAddress } from '../sockets/address.ts';
import { openPlain } from '../sockets/bindUnix.ts';

/** Clients that may have connected and not spoken yet: for one more the oldest has to go. */
const mostClients = 16;

/** So many are taken in a second: who connects more often waits in the backlog. */
const mostInASecond = 100;

/** How long until it is tried again when there are no fds left, or too many have come, in milliseconds. */
const pauseOfFull = 1000;

/** How long one may take to say its line, in milliseconds, and how long the line may be, in bytes. */
const [lineTimeoutMs, longestLine] = [5000, 4096];

export interface AckSocketOptions {
	folder: string;
	/** Who may connect, besides root; null is ours. */
	user: User | null;
	/** The socket of an earlier program. */
	known: number | null;
	/** Who is said to be up, who says so, and to whom that one belongs. */
	said: (pid: number, sender: number, ancestors: Set<number>) => void;
}

export interface AckSocket {
	fd: () => number;
	path: string;
	/** Takes what has come already, before anybody decides that it is late. */
	takeNow: () => void;
	close: () => void;
}

/** @throws {Error} */
export function openAckSocket({ folder, user, known, said }: AckSocketOptions): AckSocket {
	const path = known === null ? `${folder}/einhorn-${newSecret()}` : addressText(boundAddress(known));
	const clients = new Map<number, { read: () => void; done: () => void }>();
	let isClosed = false;
	let fd = known ?? open();
	let handle: ReturnType<typeof poll> | null = null;
	let rest: NodeJS.Timeout | null = null;
	let [second, count] = [0, 0];
	listen();

	function open(): number {
		const opened = openPlain(path, constants.SOCK_STREAM, user);
		call('listen', opened, 64);
		return opened;
	}

	function listen() {
		if (rest) clearTimeout(rest);
		rest = null;
		if (!isClosed) handle ??= poll(fd, take);
	}

	function pause() {
		handle?.close();
		handle = null;
		if (!isClosed) rest ??= setTimeout(listen, pauseOfFull);
	}

	/** The next client. @returns whether there was one */
	function take(): boolean {
		const now = Math.floor(bootClock() / 1000);
		if (now !== second) [second, count] = [now, 0];
		count += 1;
		const client = accept(fd);
		if (typeof client === 'number') serve(client);
		if (client === 'over') openAgain();
		// Whoever waits would wake us again at once.
		else if (client === 'full' || count >= mostInASecond) pause();
		return typeof client === 'number';
	}

	function takeNow() {
		for (const { read } of [...clients.values()]) read();
		for (let left = mostInASecond; left > 0 && !isClosed && isReadable(fd) && take(); ) left -= 1;
	}

	/** A child has shut it down, for all: those that know the path find another one there, if not at once. */
	function openAgain() {
		pause();
		try {
			rmSync(path, { force: true });
			const next = open();
			closeAll([fd]);
			fd = next;
		} catch {
			// It is tried again after the pause.
		}
	}

	/** Who has connected is known for sure; it may be gone before its line is read. */
	function serve(client: number) {
		const sender = senderOf(client) ?? 0;
		if (sender === 0) return end();
		const ancestors = ancestorsOf(sender) ?? new Set([sender]);
		let line = '';
		if (read()) return;
		const limit = setTimeout(done, lineTimeoutMs);
		const own = poll(client, read);
		const [oldest] = clients.size >= mostClients ? clients.values() : [];
		oldest?.done();
		clients.set(client, { read, done });

		/** @returns whether that was all of it */
		function read(): boolean {
			const chunk = receiveFrom(client);
			if (chunk === 'empty') return false;
			if (chunk !== 'over') {
				line += chunk.text;
				// An ack brings no fds.
				const isHonest = dispose(chunk.fds);
				if (isHonest && chunk.text !== '' && !line.includes('\n') && line.length < longestLine) return false;
			}
			const pid = readAck(line);
			if (clients.has(client)) done();
			else end();
			if (pid !== null) said(pid, sender, ancestors);
			return true;
		}

		function done() {
			clients.delete(client);
			clearTimeout(limit);
			own.close();
			end();
		}

		/** It may hold unread what lingers. */
		function end(): void {
			drain(client);
			closeAll([client]);
		}
	}

	function close() {
		isClosed = true;
		for (const { done } of [...clients.values()]) done();
		handle?.close();
		handle = null;
		if (rest) clearTimeout(rest);
		closeAll([fd]);
		rmSync(path, { force: true });
	}

	return { fd: () => fd, path, takeNow, close };
}

/** The pid at the other end; null where the kernel does not tell. */
function senderOf(client: number): number | null {
	try {
		return peerOf(client).pid;
	} catch {
		return null;
	}
}

/**
 * The pid in `{"command":"worker:ack","pid":N}`, or in the same as YAML with % as %25 and newline as %0A, as einhorn's
 * own client writes it; null in anything else.
 */
export function readAck(line: string): number | null {
	// C's sizeof counts the NUL that ends it.
	const text = line.replace(/\0$/, '').replaceAll('%0A', '\n').replaceAll('%25', '%').trim();
	try {
		const { command, pid } = JSON.parse(text);
		return command === 'worker:ack' && Number.isSafeInteger(pid) ? pid : null;
	} catch {
		const isAck = /^:?["']?command["']?:\s*["']?worker:ack["']?\s*$/m.test(text);
		const [, pid] = /^:?["']?pid["']?:\s*(\d{1,10})\s*$/m.exec(text) ?? [];
		return isAck && pid !== undefined ? Number(pid) : null;
	}
}
