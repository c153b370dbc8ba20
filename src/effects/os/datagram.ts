/** Datagrams that processes send to a UNIX socket of ours, with the kernel's word for who they are. */

import { closeAll } from './descriptors.ts';
import { addressOf, call, constants, errno, SyscallError } from './libc.ts';

/** What is longer is cut off; sd_notify's messages are a line or two. */
const longest = 4096;

/** A message brings 253 fds at the most (SCM_MAX_FD), and credentials; each part is padded to 8 bytes. */
const longestControl = 16 + 253 * 4 + 8 + 32;

export interface Datagram {
	text: string;
	/** Who has sent it; null where the kernel does not say. */
	pid: number | null;
}

const text = Buffer.alloc(longest);
const control = Buffer.alloc(longestControl);
const vector = Buffer.alloc(16);
const header = Buffer.alloc(56);

/**
 * The next datagram, without waiting; fds that came with it are closed at once. `empty` where there is none, `over`
 * where none will come any more: somebody has shut the socket down.
 * @throws {SyscallError}
 */
export function receive(fd: number): Datagram | 'empty' | 'over' {
	vector.writeBigUInt64LE(addressOf(text), 0);
	vector.writeBigUInt64LE(BigInt(text.length), 8);
	header.fill(0);
	header.writeBigUInt64LE(addressOf(vector), 16);
	header.writeBigUInt64LE(1n, 24);
	header.writeBigUInt64LE(addressOf(control), 32);
	header.writeBigUInt64LE(BigInt(control.length), 40);
	let length: number;
	try {
		length = call('recvmsg', fd, header, constants.MSG_DONTWAIT | constants.MSG_CMSG_CLOEXEC);
	} catch (error) {
		if (error instanceof SyscallError && [errno('EAGAIN'), errno('EINTR')].includes(error.errno)) return 'empty';
		throw error;
	}
	const { pid, fds } = readControl(Number(header.readBigUInt64LE(40)));
	closeAll(fds);
	if (length === 0 && pid === null) return 'over';
	return { text: text.toString('utf8', 0, length), pid };
}

/** struct cmsghdr, one after the other: length, level, type, data (cmsg(3)). */
function readControl(length: number): { pid: number | null; fds: number[] } {
	let pid: number | null = null;
	const fds: number[] = [];
	for (let at = 0; at + 16 <= length; ) {
		const size = Number(control.readBigUInt64LE(at));
		if (size < 16) break;
		const type = control.readInt32LE(at + 12);
		if (type === constants.SCM_CREDENTIALS) pid = control.readInt32LE(at + 16);
		if (type === constants.SCM_RIGHTS) {
			for (let each = at + 16; each + 4 <= at + size; each += 4) fds.push(control.readInt32LE(each));
		}
		at += Math.ceil(size / 8) * 8;
	}
	return { pid, fds };
}
