/** Reads the sockets of all processes from the kernel over netlink: sock_diag(7). */
import { closeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { call, constants, SyscallError } from '../os/libc.ts';
import { addressBytes, v6Text } from './address.ts';

const [AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG] = [16, 3, 4];
const [SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, NLM_F_DUMP, NLMSG_ERROR, NLMSG_DONE] = [20, 1, 0x300, 2, 3];
const [TCP_ESTABLISHED, TCP_SYN_RECV, TCP_CLOSE_WAIT, TCP_LISTEN, TCP_NEW_SYN_RECV] = [1, 3, 8, 10, 12];
const IPPROTO_TCP = 6;
const [INET_DIAG_INFO, UNIX_DIAG_NAME, UNIX_DIAG_VFS, UNIX_DIAG_PEER, UNIX_DIAG_RQLEN] = [2, 0, 1, 2, 4];
const [UDIAG_SHOW_NAME, UDIAG_SHOW_VFS, UDIAG_SHOW_PEER, UDIAG_SHOW_RQLEN] = [1, 2, 4, 0x10];

/** A connection to a listening socket. A connection that no process has accepted yet has inode 0. */
export interface Connection {
	/** The inode of its socket. */
	inode: number;
	/** The local address, as `10.1.2.3` or `[::1]`; null for a UNIX socket. */
	local: string | null;
	/** The address of the client, as `10.1.2.3:4711`; null for a UNIX socket. */
	peer: string | null;
	/** Milliseconds since either side has sent data; null if unknown. */
	silent: number | null;
}

/** The connections to a TCP port, on every address, in batches. @throws {SyscallError} if sock_diag fails */
export async function* tcpConnections(port: number): AsyncGenerator<Connection[]> {
	for (const family of [constants.AF_INET, constants.AF_INET6]) {
		const request = tcpRequest(family, (1 << TCP_ESTABLISHED) | (1 << TCP_CLOSE_WAIT), port);
		for await (const messages of dump(request)) yield messages.map(readTcp);
	}
}

/** A listening socket. */
export interface Listening {
	inode: number;
	/** `127.0.0.1:80`, or a path. */
	address: string;
	/** Only for a UNIX socket: the file that the socket is bound to, even after a rename. */
	file?: FileId | null;
}

/** The identity of a file, as stat(2) reports it. */
export interface FileId {
	dev: number;
	ino: number;
}

/** All listening TCP sockets, in batches. @throws {SyscallError} if sock_diag fails */
export async function* listeningTcp(): AsyncGenerator<Listening[]> {
	for (const family of [constants.AF_INET, constants.AF_INET6]) {
		for await (const messages of dump(tcpRequest(family, 1 << TCP_LISTEN, 0))) yield messages.map(readListeningTcp);
	}
}

/** All listening UNIX sockets, in batches. @throws {SyscallError} if sock_diag fails */
export async function* listeningUnix(): AsyncGenerator<Listening[]> {
	for await (const messages of dump(unixRequest(0, UDIAG_SHOW_NAME | UDIAG_SHOW_VFS, 1 << TCP_LISTEN))) {
		yield messages.map((message) => ({
			inode: message.readUInt32LE(4),
			address: (attribute(message, 16, UNIX_DIAG_NAME)?.toString() ?? '').replace(/^\0/, '@').replace(/\0$/, ''),
			file: fileIdIn(attribute(message, 16, UNIX_DIAG_VFS)),
		}));
	}
}

/** struct inet_diag_req_v2: family, protocol, extensions, padding, states, and an id with only the local port set. */
function tcpRequest(family: number, states: number, port: number): Buffer {
	const request = Buffer.alloc(56);
	request.writeUInt8(family, 0);
	request.writeUInt8(IPPROTO_TCP, 1);
	request.writeUInt8(1 << (INET_DIAG_INFO - 1), 2);
	request.writeUInt32LE(states, 4);
	request.writeUInt16BE(port, 8);
	return request;
}

/** The connections to a path, in batches. @throws {SyscallError} if sock_diag fails */
export async function* unixConnections(path: string): AsyncGenerator<Connection[]> {
	const request = unixRequest(0, UDIAG_SHOW_NAME, 1 << TCP_ESTABLISHED);
	for await (const messages of dump(request)) {
		yield messages.flatMap((message) => {
			const own = attribute(message, 16, UNIX_DIAG_NAME)?.toString().replace(/\0$/, '');
			return own === path ? { inode: message.readUInt32LE(4), local: null, peer: null, silent: null } : [];
		});
	}
}

/**
 * The inode of the socket with these addresses; 0 before a process has accepted it, null if there is no such
 * connection. The kernel finds it without a search.
 * @param local, peer as the process that accepts sees them; numeric, IPv6 without brackets
 * @throws {SyscallError} if sock_diag fails
 */
export function tcpConnection(local: Endpoint, peer: Endpoint): number | null {
	const family = local.host.includes(':') ? constants.AF_INET6 : constants.AF_INET;
	const request = tcpRequest(family, 0xffffffff, local.port);
	request.writeUInt16BE(peer.port, 10);
	addressBytes(local.host).copy(request, 12);
	addressBytes(peer.host).copy(request, 28);
	// Field 44 is the interface, and a cookie of ones means no cookie.
	request.fill(0xff, 48, 56);
	const message = exact(request);
	const state = message?.readUInt8(1) ?? TCP_LISTEN;
	// With TCP_DEFER_ACCEPT the connection is not complete before its first byte.
	if (state === TCP_SYN_RECV || state === TCP_NEW_SYN_RECV) return 0;
	if (state !== TCP_ESTABLISHED && state !== TCP_CLOSE_WAIT) return null;
	return message?.readUInt32LE(68) ?? null;
}

export interface Endpoint {
	host: string;
	port: number;
}

/**
 * The inode of the socket at the other end of a UNIX connection; 0 before a process has accepted it, null if it is
 * closed.
 * @param inode of this end
 * @throws {SyscallError} if sock_diag fails
 */
export function unixPeer(inode: number): number | null {
	const message = exact(unixRequest(inode, UDIAG_SHOW_PEER, 0xffffffff));
	return (message && attribute(message, 16, UNIX_DIAG_PEER))?.readUInt32LE(0) ?? null;
}

/** The reply to a request for one socket; null if the socket does not exist. @throws {SyscallError} */
function exact(request: Buffer): Buffer | null {
	const socket = openNetlink();
	try {
		sendRequest(socket, request, NLM_F_REQUEST);
		return receive(socket).messages[0] ?? null;
	} catch (error) {
		if (error instanceof SyscallError && error.code === 'ENOENT') return null;
		throw error;
	} finally {
		closeSync(socket);
	}
}

/**
 * The number of connections that wait in the backlog of a listening UNIX socket, and its limit; null if the kernel does
 * not report them.
 */
export function unixQueue(inode: number): { queue: number; backlog: number } | null {
	try {
		const message = exact(unixRequest(inode, UDIAG_SHOW_RQLEN, 0xffffffff));
		const lengths = message && attribute(message, 16, UNIX_DIAG_RQLEN);
		return lengths ? { queue: lengths.readUInt32LE(0), backlog: lengths.readUInt32LE(4) } : null;
	} catch {
		return null;
	}
}

/**
 * struct unix_diag_req: family, protocol, padding, states, inode, attributes to show, and a cookie of ones (no cookie).
 */
function unixRequest(inode: number, show: number, states: number): Buffer {
	const request = Buffer.alloc(24, 0xff);
	request.writeUInt8(constants.AF_UNIX, 0);
	request.fill(0, 1, 4);
	request.writeUInt32LE(states, 4);
	request.writeUInt32LE(inode, 8);
	request.writeUInt32LE(show, 12);
	return request;
}

/** Yields the replies to a request, one datagram at a time. The event loop runs between two of them. */
async function* dump(request: Buffer): AsyncGenerator<Buffer[]> {
	const socket = openNetlink();
	try {
		sendRequest(socket, request, NLM_F_REQUEST | NLM_F_DUMP);
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

/** Sends struct nlmsghdr and the request. */
function sendRequest(socket: number, request: Buffer, flags: number) {
	const header = Buffer.alloc(16);
	header.writeUInt32LE(header.length + request.length, 0);
	header.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
	header.writeUInt16LE(flags, 6);
	const message = Buffer.concat([header, request]);
	call('send', socket, message, message.length, 0);
}

/** The kernel produces its reply within send(2) and recv(2), so MSG_DONTWAIT misses none. */
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

/**
 * The data of an attribute (struct nlattr: length, type, data); null if the message does not have the attribute.
 * @param first the offset of the first attribute, in bytes
 */
function attribute(message: Buffer, first: number, wanted: number): Buffer | null {
	for (let at = first; at + 4 <= message.length; ) {
		const size = message.readUInt16LE(at);
		if (size < 4) return null;
		if (message.readUInt16LE(at + 2) === wanted) return message.subarray(at + 4, at + size);
		at += Math.ceil(size / 4) * 4;
	}
	return null;
}

/**
 * Reads struct inet_diag_msg (4 bytes, the id with ports and addresses, and more) and the attribute struct tcp_info.
 */
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

/** The id in struct inet_diag_msg holds the local port and the local address. */
function readListeningTcp(message: Buffer): Listening {
	const isV6 = message.readUInt8(0) === constants.AF_INET6;
	const address = addressText(message.subarray(8, isV6 ? 24 : 12));
	return { inode: message.readUInt32LE(68), address: `${address}:${message.readUInt16BE(4)}` };
}

/** `10.1.2.3`, also for an IPv4-mapped IPv6 address; `[2001:db8::1]`. */
function addressText(bytes: Buffer): string {
	const isMapped = bytes.length === 16 && bytes.readUInt32BE(8) === 0xffff && bytes.readBigUInt64BE(0) === 0n;
	return bytes.length === 4 || isMapped ? [...bytes.subarray(-4)].join('.') : `[${v6Text(bytes)}]`;
}

/** Reads struct unix_diag_vfs: inode and device, in the encoding of the kernel (12 bits major, 20 bits minor). */
function fileIdIn(vfs: Buffer | null): FileId | null {
	if (vfs === null || vfs.length < 8) return null;
	const device = vfs.readUInt32LE(4);
	const [major, minor] = [device >>> 20, device & 0xfffff];
	// The encoding of makedev(3), which stat(2) uses.
	return { ino: vfs.readUInt32LE(0), dev: (minor & 0xff) + major * 0x100 + (minor >>> 8) * 0x100000 };
}
