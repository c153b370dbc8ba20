/** Receives messages on UNIX sockets, with the sender's pid as reported by the kernel. */
import { dispose } from './deferredClose.ts';
import { addressOf, call, constants, errno, libc, SyscallError } from './libc.ts';
import { isHungUp } from './poll.ts';

/** Maximum message size in bytes; longer messages are truncated. An sd_notify message has one or two lines. */
const longest = 4096;

/**
 * Size of the control buffer in bytes. A message carries at most 253 fds (SCM_MAX_FD), credentials, and data that
 * socket options add: a security label, a pidfd. The kernel closes fds that do not fit, and such a close can block
 * this thread.
 */
const longestControl = 8192;

/** More messages than a socket queues: net.unix.max_dgram_qlen is at most 512 on known systems. */
const mostUnread = 1024;

export interface Datagram {
	text: string;
	/** The sender; null if the kernel does not report a pid. */
	pid: number | null;
	/** Received fds; the caller must dispose of them. */
	fds: number[];
}

const text = Buffer.alloc(longest);
const control = Buffer.alloc(longestControl);
const vector = Buffer.alloc(16);
const header = Buffer.alloc(56);

/**
 * Receives the next datagram, or the available bytes of a stream, without waiting. Returns `empty` if no message is
 * queued. Returns `over` if no further message can arrive: the socket was shut down or cannot be read.
 */
export function receiveFrom(fd: number): Datagram | 'empty' | 'over' {
	const message = receiveNow(fd);
	// A datagram socket that was shut down returns EAGAIN, while poll(2) keeps reporting it as readable.
	if (message !== 'empty' || !isHungUp(fd)) return message;
	// The sender may have sent a message between the first receive and the shutdown.
	const last = receiveNow(fd);
	return last === 'empty' ? 'over' : last;
}

function receiveNow(fd: number): Datagram | 'empty' | 'over' {
	vector.writeBigUInt64LE(addressOf(text), 0);
	vector.writeBigUInt64LE(BigInt(text.length), 8);
	header.fill(0);
	header.writeBigUInt64LE(addressOf(vector), 16);
	header.writeBigUInt64LE(1n, 24);
	header.writeBigUInt64LE(addressOf(control), 32);
	header.writeBigUInt64LE(BigInt(control.length), 40);
	try {
		const length = call('recvmsg', fd, header, constants.MSG_DONTWAIT | constants.MSG_CMSG_CLOEXEC);
		const { pid, fds } = readControl(Number(header.readBigUInt64LE(40)));
		if (length === 0 && pid === null && fds.length === 0) return 'over';
		return { text: text.toString('utf8', 0, length), pid, fds };
	} catch (error) {
		if (!(error instanceof SyscallError)) throw error;
		if (error.errno === errno('EINTR')) return receiveNow(fd);
		return error.errno === errno('EAGAIN') ? 'empty' : 'over';
	}
}

/** The control buffer is a sequence of struct cmsghdr: length, level, type, data (cmsg(3)). */
function readControl(length: number): { pid: number | null; fds: number[] } {
	let pid: number | null = null;
	const fds: number[] = [];
	for (let at = 0; at + 16 <= length; ) {
		const size = Number(control.readBigUInt64LE(at));
		if (size < 16) break;
		const type = control.readInt32LE(at + 8) === constants.SOL_SOCKET ? control.readInt32LE(at + 12) : 0;
		if (type === constants.SCM_CREDENTIALS) pid = control.readInt32LE(at + 16);
		// SCM_PIDFD also carries an fd, a pidfd of the sender. Any process that holds the socket can enable it.
		if (type === constants.SCM_RIGHTS || type === constants.SCM_PIDFD) {
			for (let each = at + 16; each + 4 <= at + size; each += 4) fds.push(control.readInt32LE(each));
		}
		at += Math.ceil(size / 8) * 8;
	}
	return { pid, fds };
}

/** Shuts the socket down, so that later sends fail, and discards all queued messages. */
export function drain(fd: number): void {
	const SHUT_RD = 0;
	libc('shutdown')(fd, SHUT_RD);
	for (let count = 0; count < mostUnread; count += 1) {
		const message = receiveFrom(fd);
		if (message === 'empty' || message === 'over') return;
		dispose(message.fds);
	}
}
