/** einhorn's way for a worker to say that it is up: a line on a stream socket, which all children share. */
import { rmSync } from 'node:fs';
import { receiveFrom } from '../os/datagram.ts';
import { closeAll } from '../os/descriptors.ts';
import { kinOf } from '../os/family.ts';
import { newSecret } from '../os/identity.ts';
import { closeLate } from '../os/lateClose.ts';
import { call, constants, poll, SyscallError } from '../os/libc.ts';
import type { User } from '../os/user.ts';
import { boundAddress } from '../sockets/address.ts';
import { openPlain } from '../sockets/plain.ts';

/** Clients that may have connected and not spoken yet: more wait in the backlog. */
const mostClients = 16;

/** How long until it is tried again when there are no fds left, in milliseconds. */
const pauseOfFull = 1000;

/** How long one may take to say its line, in milliseconds, and how long the line may be, in bytes. */
const [patience, longestLine] = [5000, 4096];

export interface AckDoorOptions {
	folder: string;
	/** Who may connect, besides root; null is ours. */
	user: User | null;
	/** The socket of an earlier program. */
	known: number | null;
	/** Who is said to be up, who says so, and to whom that one belongs. */
	said: (pid: number, sender: number, kin: Set<number>) => void;
}

export interface AckDoor {
	fd: number;
	path: string;
	close: () => void;
}

/** @throws {SyscallError} */
export function openAckDoor({ folder, user, known, said }: AckDoorOptions): AckDoor {
	const path = known === null ? `${folder}/einhorn-${newSecret()}` : boundAddress(known);
	const fd = known ?? openPlain(path, constants.SOCK_STREAM, user);
	const clients = new Set<() => void>();
	let handle: ReturnType<typeof poll> | null = null;
	let rest: NodeJS.Timeout | null = null;
	if (known === null) call('listen', fd, 64);
	listen();

	function listen() {
		if (rest) clearTimeout(rest);
		rest = null;
		handle ??= poll(fd, () => {
			const client = accept(fd);
			if (typeof client === 'number') serve(client);
			// Whoever waits would wake us again at once.
			if (client === 'full') rest = setTimeout(listen, pauseOfFull);
			if (client === 'full' || clients.size >= mostClients) pause();
		});
	}

	function pause() {
		handle?.close();
		handle = null;
	}

	/** Who has connected is known for sure; it may be gone before its line is read. */
	function serve(client: number) {
		const sender = peerOf(client);
		const kin = kinOf(sender);
		let line = '';
		const limit = setTimeout(done, patience);
		const own = poll(client, () => {
			const chunk = receiveFrom(client);
			if (chunk === 'empty') return;
			if (chunk !== 'over') {
				closeLate(chunk.fds);
				line += chunk.text;
				if (chunk.text !== '' && !line.includes('\n') && line.length < longestLine) return;
			}
			const pid = readAck(line);
			done();
			if (pid !== null) said(pid, sender, kin);
		});
		clients.add(done);

		function done() {
			if (!clients.delete(done)) return;
			clearTimeout(limit);
			own.close();
			// It may hold unread what lingers.
			closeLate([client]);
			listen();
		}
	}

	function close() {
		for (const done of [...clients]) done();
		if (rest) clearTimeout(rest);
		pause();
		closeAll([fd]);
		rmSync(path, { force: true });
	}

	return { fd, path, close };
}

/**
 * The pid in `{"command":"worker:ack","pid":N}`, or in the same as YAML with % as %25 and newline as %0A, as einhorn's
 * own client writes it; null in anything else.
 */
export function readAck(line: string): number | null {
	const text = line.replaceAll('%0A', '\n').replaceAll('%25', '%').trim();
	try {
		const { command, pid } = JSON.parse(text);
		return command === 'worker:ack' && Number.isSafeInteger(pid) ? pid : null;
	} catch {
		const isAck = /^:?["']?command["']?:\s*["']?worker:ack["']?\s*$/m.test(text);
		const [, pid] = /^:?["']?pid["']?:\s*(\d{1,10})\s*$/m.exec(text) ?? [];
		return isAck && pid !== undefined ? Number(pid) : null;
	}
}

/** `nobody` where he has gone again, `full` where there is no fd for him. */
function accept(fd: number): number | 'nobody' | 'full' {
	try {
		return call('accept4', fd, null, null, constants.SOCK_NONBLOCK | constants.SOCK_CLOEXEC);
	} catch (error) {
		if (!(error instanceof SyscallError)) throw error;
		return ['EAGAIN', 'EINTR', 'ECONNABORTED'].includes(error.code) ? 'nobody' : 'full';
	}
}

/** struct ucred: pid, uid, gid (unix(7)). */
function peerOf(client: number): number {
	const credentials = Buffer.alloc(12);
	const length = Buffer.alloc(4);
	length.writeUInt32LE(credentials.length);
	call('getsockopt', client, constants.SOL_SOCKET, constants.SO_PEERCRED, credentials, length);
	return credentials.readInt32LE();
}
