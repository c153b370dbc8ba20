/** systemd: tells it that the service is up, and keeps the listeners in its file descriptor store. */
import { closeSync } from 'node:fs';
import { addressOf, c, call } from './libc.ts';
import { type Listener, takeListener } from './listener.ts';

const SCM_RIGHTS = 1;

/** What the manager told this process, and what is none of a child's business. */
export const managerVariables = ['NOTIFY_SOCKET', 'LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'] as const;

const nameOf = (index: number) => `socketmaster-${index}`;

/** Tells the manager that the service is up; nothing where there is no manager. */
export function notifyReady(env: NodeJS.ProcessEnv): void {
	send(env, 'READY=1', null);
}

/** Has the manager keep the listeners, so that they outlive even this process. */
export function storeListeners(env: NodeJS.ProcessEnv, listeners: Listener[]): void {
	listeners.forEach(({ fd }, index) => {
		send(env, `FDSTORE=1\nFDNAME=${nameOf(index)}`, fd);
	});
}

/** The listener of that place, if the manager kept it for us. */
export function takeStored(env: NodeJS.ProcessEnv, uri: string, index: number): Listener | null {
	if (Number(env.LISTEN_PID) !== process.pid) return null;
	const place = (env.LISTEN_FDNAMES ?? '').split(':').indexOf(nameOf(index));
	if (place < 0) return null;
	const fd = call('fcntl', 3 + place, c.F_DUPFD_CLOEXEC, 64);
	closeSync(3 + place);
	return takeListener(uri, fd);
}

/** One datagram to $NOTIFY_SOCKET, with an fd where there is one. A manager that is not there is no error of ours. */
function send(env: NodeJS.ProcessEnv, text: string, fd: number | null) {
	const { NOTIFY_SOCKET } = env;
	if (!NOTIFY_SOCKET) return;
	const socket = call('socket', c.AF_UNIX, c.SOCK_DGRAM | c.SOCK_CLOEXEC | c.SOCK_NONBLOCK, 0);
	try {
		const { header, kept } = message(NOTIFY_SOCKET, Buffer.from(text), fd);
		call('sendmsg', socket, header, 0);
		// The header holds addresses, which keep nothing alive.
		kept.length = 0;
	} catch {
		// It has gone away, or takes no more.
	} finally {
		closeSync(socket);
	}
}

/** struct msghdr, and all that it points to: to be kept until it was sent. */
function message(path: string, text: Buffer, fd: number | null) {
	const name = Buffer.concat([Buffer.from([c.AF_UNIX, 0]), Buffer.from(path.replace(/^@/, '\0'))]);
	const vector = Buffer.alloc(16);
	vector.writeBigUInt64LE(addressOf(text), 0);
	vector.writeBigUInt64LE(BigInt(text.length), 8);
	// struct cmsghdr: its length, level and type, then the fd, padded to 8 bytes.
	const control = Buffer.alloc(24);
	control.writeBigUInt64LE(20n, 0);
	control.writeInt32LE(c.SOL_SOCKET, 8);
	control.writeInt32LE(SCM_RIGHTS, 12);
	control.writeInt32LE(fd ?? -1, 16);
	const header = Buffer.alloc(56);
	header.writeBigUInt64LE(addressOf(name), 0);
	header.writeUInt32LE(name.length, 8);
	header.writeBigUInt64LE(addressOf(vector), 16);
	header.writeBigUInt64LE(1n, 24);
	if (fd !== null) {
		header.writeBigUInt64LE(addressOf(control), 32);
		header.writeBigUInt64LE(BigInt(control.length), 40);
	}
	return { header, kept: [name, text, vector, control] };
}
