/** The einhorn ready protocol: a child sends one line (an ack) on a stream socket that all children share. */
import { rmSync } from 'node:fs';
import { literal, number, object, pipe, safeInteger, safeParse } from 'valibot';
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
import { removeSocketFile } from './notifyDir.ts';

/** At most this many clients may be connected without a complete line. For a further client the oldest is closed. */
const mostClients = 16;

/** At most this many clients are accepted per second. Further clients wait in the backlog. */
const mostInASecond = 100;

/** If no fds are left, or the limit per second is reached, accepting pauses for this long, in milliseconds. */
const pauseOfFull = 1000;

/** A client must send its line within this time, in milliseconds. A line has fewer than this many characters. */
const [lineTimeoutMs, longestLine] = [5000, 4096];

export interface AckSocketOptions {
	folder: string;
	/** The owner of the socket file: this user and root may connect. Null stands for the supervisor's user. */
	user: User | null;
	/** The fd of a socket that an earlier supervisor program opened; null opens a new socket. */
	known: number | null;
	/** Called for each ack with the pid in the line, the sender's pid and the sender's ancestors. */
	said: (pid: number, sender: number, ancestors: Set<number>) => void;
}

export interface AckSocket {
	fd: () => number;
	path: string;
	/** Reads acks that have already arrived, so that a deadline decision counts them. */
	takeNow: () => void;
	close: () => void;
}

/** Opens the ack socket, or continues with a known one. @throws {Error} */
export function openAckSocket({ folder, user, known, said }: AckSocketOptions): AckSocket {
	const path = known === null ? `${folder}/einhorn-${newSecret()}` : addressText(boundAddress(known));
	const clients = new Map<number, { read: () => void; done: () => void }>();
	let isClosed = false;
	let fd = known ?? open();
	let handle: ReturnType<typeof poll> | null = null;
	let pauseTimer: NodeJS.Timeout | null = null;
	let [second, count] = [0, 0];
	listen();

	function open(): number {
		const opened = openPlain(path, constants.SOCK_STREAM, user);
		call('listen', opened, 64);
		return opened;
	}

	function listen() {
		if (pauseTimer) clearTimeout(pauseTimer);
		pauseTimer = null;
		if (!isClosed) handle ??= poll(fd, take);
	}

	function pause() {
		handle?.close();
		handle = null;
		if (!isClosed) pauseTimer ??= setTimeout(listen, pauseOfFull);
	}

	/** Accepts the next client. @returns whether a client was accepted */
	function take(): boolean {
		const now = Math.floor(bootClock() / 1000);
		if (now !== second) [second, count] = [now, 0];
		count += 1;
		const client = accept(fd);
		if (typeof client === 'number') serve(client);
		if (client === 'over') openAgain();
		// A waiting client would make the fd readable again at once.
		else if (client === 'full' || count >= mostInASecond) pause();
		return typeof client === 'number';
	}

	function takeNow() {
		for (const { read } of [...clients.values()]) read();
		for (let left = mostInASecond; left > 0 && !isClosed && isReadable(fd) && take(); ) left -= 1;
	}

	/**
	 * A child has shut the shared socket down (shutdown(2)). A new socket is bound to the same path for later clients.
	 * Accepting resumes after the pause.
	 */
	function openAgain() {
		pause();
		try {
			rmSync(path, { force: true });
			const next = open();
			closeAll([fd]);
			fd = next;
		} catch {
			// The next attempt follows after the pause.
		}
	}

	/** SO_PEERCRED gives the sender's pid. The ancestors are read now: the sender may exit before its line is read. */
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

		/** @returns whether the connection is finished */
		function read(): boolean {
			const chunk = receiveFrom(client);
			if (chunk === 'empty') return false;
			if (chunk !== 'over') {
				line += chunk.text;
				// An ack carries no fds. If a client sends fds whose close(2) may block, its connection ends here.
				const areClosed = dispose(chunk.fds);
				if (areClosed && chunk.text !== '' && !line.includes('\n') && line.length < longestLine) return false;
			}
			const pid = line.length < longestLine ? readAck(line) : null;
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

		/** Unread messages may hold fds whose close(2) blocks (SO_LINGER): `drain` disposes of these fds first. */
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
		if (pauseTimer) clearTimeout(pauseTimer);
		closeAll([fd]);
		removeSocketFile(path);
	}

	return { fd: () => fd, path, takeNow, close };
}

/** The pid of the client; null if the kernel does not report it. */
function senderOf(client: number): number | null {
	try {
		return peerOf(client).pid;
	} catch {
		return null;
	}
}

const ackSchema = () => object({ command: literal('worker:ack'), pid: pipe(number(), safeInteger()) });

/**
 * The pid in `{"command":"worker:ack","pid":N}`, or in the same message as YAML with % as %25 and newline as %0A, as
 * einhorn's own client writes it. Null for any other line.
 */
export function readAck(line: string): number | null {
	// A client that uses C's sizeof also sends the terminating NUL.
	const text = line.replace(/\0$/, '').replaceAll('%0A', '\n').replaceAll('%25', '%').trim();
	try {
		const { success, output } = safeParse(ackSchema(), JSON.parse(text));
		return success ? output.pid : null;
	} catch {
		const isAck = /^:?["']?command["']?:\s*["']?worker:ack["']?\s*$/m.test(text);
		const [, pid] = /^:?["']?pid["']?:\s*(\d{1,10})\s*$/m.exec(text) ?? [];
		return isAck && pid !== undefined ? Number(pid) : null;
	}
}
