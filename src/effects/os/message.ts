/** Sends messages to a UNIX socket, with or without fds (sendmsg(2), unix(7)). */
import { closeSync } from 'node:fs';
import { addressOf, call, constants } from './libc.ts';

/**
 * Sends one datagram without waiting.
 * @param path the path of the socket; a name that begins with `@` is abstract (unix(7))
 * @throws {SyscallError} if no process has the socket open, or if its queue is full
 */
export function sendDatagram(path: string, text: string, fd: number | null = null): void {
	const { AF_UNIX, SOCK_DGRAM, SOCK_CLOEXEC, SOCK_NONBLOCK } = constants;
	const socket = call('socket', AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	try {
		const name = Buffer.concat([Buffer.from([AF_UNIX, 0]), Buffer.from(path.replace(/^@/, '\0'))]);
		send(socket, text, fd === null ? [] : [fd], name);
	} finally {
		closeSync(socket);
	}
}

/** Sends text and fds in one message through a connected socket. @throws {SyscallError} */
export function sendFds(socket: number, text: string, fds: number[]): void {
	send(socket, text, fds, null);
}

/**
 * Builds struct msghdr and sends it. An address does not keep a Buffer alive, so `kept` references the Buffers until
 * the call returns.
 */
function send(socket: number, text: string, fds: number[], name: Buffer | null) {
	const bytes = Buffer.from(text);
	const vector = Buffer.alloc(16);
	vector.writeBigUInt64LE(addressOf(bytes), 0);
	vector.writeBigUInt64LE(BigInt(bytes.length), 8);
	// struct cmsghdr: length, level and type, then the fds, padded to 8 bytes.
	const length = 16 + 4 * fds.length;
	const control = Buffer.alloc(Math.ceil(length / 8) * 8);
	control.writeBigUInt64LE(BigInt(length), 0);
	control.writeInt32LE(constants.SOL_SOCKET, 8);
	control.writeInt32LE(constants.SCM_RIGHTS, 12);
	for (const [index, fd] of fds.entries()) control.writeInt32LE(fd, 16 + 4 * index);
	const kept = [name, bytes, vector, control];
	const header = Buffer.alloc(56);
	if (name) {
		header.writeBigUInt64LE(addressOf(name), 0);
		header.writeUInt32LE(name.length, 8);
	}
	header.writeBigUInt64LE(addressOf(vector), 16);
	header.writeBigUInt64LE(1n, 24);
	if (fds.length > 0) {
		header.writeBigUInt64LE(addressOf(control), 32);
		header.writeBigUInt64LE(BigInt(control.length), 40);
	}
	call('sendmsg', socket, header, constants.MSG_NOSIGNAL | constants.MSG_DONTWAIT);
	kept.length = 0;
}
