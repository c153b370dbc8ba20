/** What processes send to a UNIX socket of ours, with the kernel's word for who they are. */
import { dispose } from './deferredClose.ts';
import { addressOf, call, constants, errno, libc, SyscallError } from './libc.ts';
import { isHungUp } from './poll.ts';

/** What is longer is cut off; sd_notify's messages are a line or two. */
const longest = 4096;

/**
 * A message brings 253 fds at the most (SCM_MAX_FD), credentials, and what its sender has the socket add: a security label, a
 * pidfd. What does not fit the kernel would close in our thread.
 */
const longestControl = 8192;

/** No socket keeps more of them (net.unix.max_dgram_qlen is 512 at the most elsewhere). */
const mostUnread = 1024;

export interface Datagram {
	text: string;
	/** Who has sent it; null where the kernel does not say. */
	pid: number | null;
	/** What came with it: to be disposed of. */
	fds: number[];
}

const text = Buffer.alloc(longest);
const control = Buffer.alloc(longestControl);
const vector = Buffer.alloc(16);
const header = Buffer.alloc(56);

/**
 * The next datagram, or what is there of a stream, without waiting. `empty` where there is none, `over` where none will come
 * any more: somebody has shut the socket down, or it can't be read.
 */
export function receiveFrom(fd: number): Datagram | 'empty' | 'over' {
	const message = receiveNow(fd);
	// One for datagrams that was shut down says that there is nothing, and wakes whoever waits for it.
	if (message !== 'empty' || !isHungUp(fd)) return message;
	// Who has hung up since may have said something before.
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

/** struct cmsghdr, one after the other: length, level, type, data (cmsg(3)). */
function readControl(length: number): { pid: number | null; fds: number[] } {
	let pid: number | null = null;
	const fds: number[] = [];
	for (let at = 0; at + 16 <= length; ) {
		const size = Number(control.readBigUInt64LE(at));
		if (size < 16) break;
		const type = control.readInt32LE(at + 8) === constants.SOL_SOCKET ? control.readInt32LE(at + 12) : 0;
		if (type === constants.SCM_CREDENTIALS) pid = control.readInt32LE(at + 16);
		// A pidfd of the sender has one fd too; any process that holds the socket may ask for it.
		if (type === constants.SCM_RIGHTS || type === constants.SCM_PIDFD) {
			for (let each = at + 16; each + 4 <= at + size; each += 4) fds.push(control.readInt32LE(each));
		}
		at += Math.ceil(size / 8) * 8;
	}
	return { pid, fds };
}

/** Gets rid of all that is there; nothing more can be sent to it then. */
export function drain(fd: number): void {
	const SHUT_RD = 0;
	libc('shutdown')(fd, SHUT_RD);
	for (let count = 0; count < mostUnread; count += 1) {
		const message = receiveFrom(fd);
		if (message === 'empty' || message === 'over') return;
		dispose(message.fds);
	}
}
