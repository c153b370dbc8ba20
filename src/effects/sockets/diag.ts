/** What the kernel tells of sockets that are not ours, by netlink: sock_diag(7). */
import { closeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { call, constants, SyscallError } from '../os/libc.ts';
import { v6Text } from './address.ts';

const [AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG] = [16, 3, 4];
const [SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, NLM_F_DUMP, NLMSG_ERROR, NLMSG_DONE] = [20, 1, 0x300, 2, 3];
const [TCP_ESTABLISHED, TCP_CLOSE_WAIT, TCP_LISTEN] = [1, 8, 10];
const IPPROTO_TCP = 6;
const [INET_DIAG_INFO, UNIX_DIAG_NAME, UNIX_DIAG_VFS, UNIX_DIAG_RQLEN] = [2, 0, 1, 4];
const [UDIAG_SHOW_NAME, UDIAG_SHOW_VFS, UDIAG_SHOW_RQLEN] = [1, 2, 0x10];

/** A connection that somebody has accepted, and holds. */
export interface Connection {
	/** Of its socket. */
	inode: number;
	/** The address of its own end, as `10.1.2.3` or `[::1]`; null where it has none. */
	local: string | null;
	/** `10.1.2.3:4711`; null where the other end has no name. */
	peer: string | null;
	/** Milliseconds since either side has sent anything; null where that is not known. */
	silent: number | null;
}

/** The connections to a TCP port, on every address, in parts. @throws {SyscallError} where nobody tells */
export async function* tcpConnections(port: number): AsyncGenerator<Connection[]> {
	for (const family of [constants.AF_INET, constants.AF_INET6]) {
		const request = tcpRequest(family, (1 << TCP_ESTABLISHED) | (1 << TCP_CLOSE_WAIT), port);
		for await (const messages of dump(request)) yield messages.map(readTcp);
	}
}

/** A socket that listens, and where, as `127.0.0.1:80` or a path. */
export interface Listening {
	inode: number;
	address: string;
	/** Of one of UNIX: the file that it is bound to, wherever that is by now. */
	file?: FileId | null;
}

/** A file, as stat(2) tells of it. */
export interface FileId {
	dev: number;
	ino: number;
}

/** All of TCP, in parts. @throws {SyscallError} where nobody tells */
export async function* listeningTcp(): AsyncGenerator<Listening[]> {
	for (const family of [constants.AF_INET, constants.AF_INET6]) {
		for await (const messages of dump(tcpRequest(family, 1 << TCP_LISTEN, 0))) yield messages.map(readListeningTcp);
	}
}

/** All of UNIX, in parts. @throws {SyscallError} where nobody tells */
export async function* listeningUnix(): AsyncGenerator<Listening[]> {
	for await (const messages of dump(unixRequest(0, UDIAG_SHOW_NAME | UDIAG_SHOW_VFS, 1 << TCP_LISTEN))) {
		yield messages.map((message) => ({
			inode: message.readUInt32LE(4),
			address: (attribute(message, 16, UNIX_DIAG_NAME)?.toString() ?? '').replace(/^\0/, '@').replace(/\0$/, ''),
			file: fileIdIn(attribute(message, 16, UNIX_DIAG_VFS)),
		}));
	}
}

/** struct inet_diag_req_v2: family, protocol, extensions, padding, states, and an id of which the port is looked at. */
function tcpRequest(family: number, states: number, port: number): Buffer {
	const request = Buffer.alloc(56);
	request.writeUInt8(family, 0);
	request.writeUInt8(IPPROTO_TCP, 1);
	request.writeUInt8(1 << (INET_DIAG_INFO - 1), 2);
	request.writeUInt32LE(states, 4);
	request.writeUInt16BE(port, 8);
	return request;
}

/** The connections to a path, in parts. @throws {SyscallError} where nobody tells */
export async function* unixConnections(path: string): AsyncGenerator<Connection[]> {
	const request = unixRequest(0, UDIAG_SHOW_NAME, 1 << TCP_ESTABLISHED);
	for await (const messages of dump(request)) {
		yield messages.flatMap((message) => {
			const own = attribute(message, 16, UNIX_DIAG_NAME)?.toString().replace(/\0$/, '');
			return own === path ? { inode: message.readUInt32LE(4), local: null, peer: null, silent: null } : [];
		});
	}
}

/** Who waits in the backlog of a listening socket of UNIX, and how many may; null where nobody tells. */
export function unixQueue(inode: number): { queue: number; backlog: number } | null {
	const socket = openNetlink();
	try {
		ask(socket, unixRequest(inode, UDIAG_SHOW_RQLEN, 0xffffffff), NLM_F_REQUEST);
		const [message] = receive(socket).messages;
		const lengths = message && attribute(message, 16, UNIX_DIAG_RQLEN);
		return lengths ? { queue: lengths.readUInt32LE(0), backlog: lengths.readUInt32LE(4) } : null;
	} catch {
		return null;
	} finally {
		closeSync(socket);
	}
}

/** struct unix_diag_req: family, protocol, padding, states, inode, what to show, and no cookie. */
function unixRequest(inode: number, show: number, states: number): Buffer {
	const request = Buffer.alloc(24, 0xff);
	request.writeUInt8(constants.AF_UNIX, 0);
	request.fill(0, 1, 4);
	request.writeUInt32LE(states, 4);
	request.writeUInt32LE(inode, 8);
	request.writeUInt32LE(show, 12);
	return request;
}

/** The answers to a request, as they come; others have their turn in between. */
async function* dump(request: Buffer): AsyncGenerator<Buffer[]> {
	const socket = openNetlink();
	try {
		ask(socket, request, NLM_F_REQUEST | NLM_F_DUMP);
		for (;;) {
			const { messages, isOver } = receive(socket);
			if (messages.length > 0) yield messages;
			if (isOver) return;
			await setImmediate();
		}
	} finally {
		closeSync(socket);
	}
}

function openNetlink(): number {
	return call('socket', AF_NETLINK, SOCK_RAW | constants.SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
}

/** struct nlmsghdr, and the request. */
function ask(socket: number, request: Buffer, flags: number) {
	const header = Buffer.alloc(16);
	header.writeUInt32LE(header.length + request.length, 0);
	header.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
	header.writeUInt16LE(flags, 6);
	const message = Buffer.concat([header, request]);
	call('send', socket, message, message.length, 0);
}

/** The kernel answers at once: nobody is waited for. */
function receive(socket: number): { messages: Buffer[]; isOver: boolean } {
	const buffer = Buffer.alloc(65536);
	const length = call('recv', socket, buffer, buffer.length, constants.MSG_DONTWAIT);
	const messages: Buffer[] = [];
	for (let at = 0; at + 16 <= length; ) {
		const size = buffer.readUInt32LE(at);
		const type = buffer.readUInt16LE(at + 4);
		if (type === NLMSG_DONE || size < 16) return { messages, isOver: true };
		if (type === NLMSG_ERROR) throw new SyscallError('sock_diag', -buffer.readInt32LE(at + 16));
		messages.push(buffer.subarray(at + 16, at + size));
		at += Math.ceil(size / 4) * 4;
	}
	return { messages, isOver: false };
}

/** The data of an attribute: struct nlattr, its length and type, one after the other. */
function attribute(message: Buffer, first: number, wanted: number): Buffer | null {
	for (let at = first; at + 4 <= message.length; ) {
		const size = message.readUInt16LE(at);
		if (size < 4) return null;
		if (message.readUInt16LE(at + 2) === wanted) return message.subarray(at + 4, at + size);
		at += Math.ceil(size / 4) * 4;
	}
	return null;
}

/** struct inet_diag_msg: 4 bytes, the id with ports and addresses, and more; then struct tcp_info. */
function readTcp(message: Buffer): Connection {
	const isV6 = message.readUInt8(0) === constants.AF_INET6;
	const port = message.readUInt16BE(6);
	const address = message.subarray(24, isV6 ? 40 : 28);
	const info = attribute(message, 72, INET_DIAG_INFO);
	// tcpi_last_data_sent and tcpi_last_data_recv, in milliseconds.
	const silent = info ? Math.min(info.readUInt32LE(44), info.readUInt32LE(52)) : null;
	const local = addressText(message.subarray(8, isV6 ? 24 : 12));
	return { inode: message.readUInt32LE(68), local, peer: `${addressText(address)}:${port}`, silent };
}

/** The id begins with the port and the address that it is bound to. */
function readListeningTcp(message: Buffer): Listening {
	const isV6 = message.readUInt8(0) === constants.AF_INET6;
	const address = addressText(message.subarray(8, isV6 ? 24 : 12));
	return { inode: message.readUInt32LE(68), address: `${address}:${message.readUInt16BE(4)}` };
}

/** `10.1.2.3`, also for one that comes by way of IPv6; `[2001:db8::1]`. */
function addressText(bytes: Buffer): string {
	const isMapped = bytes.length === 16 && bytes.readUInt32BE(8) === 0xffff && bytes.readBigUInt64BE(0) === 0n;
	return bytes.length === 4 || isMapped ? [...bytes.subarray(-4)].join('.') : `[${v6Text(bytes)}]`;
}

/** struct unix_diag_vfs: inode and device, the kernel's own form of it (12 bits major, 20 bits minor). */
function fileIdIn(vfs: Buffer | null): FileId | null {
	if (vfs === null || vfs.length < 8) return null;
	const device = vfs.readUInt32LE(4);
	const [major, minor] = [device >>> 20, device & 0xfffff];
	// makedev(3), as stat(2) has it.
	return { ino: vfs.readUInt32LE(0), dev: (minor & 0xff) + major * 0x100 + (minor >>> 8) * 0x100000 };
}
