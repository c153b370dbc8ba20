/** A socket, made and asked. */
import { readFileSync } from 'node:fs';
import { moveUp } from '../os/descriptors.ts';
import { call, constants } from '../os/libc.ts';

/** A stream socket above the fds that children get, close-on-exec. @throws {SyscallError} */
export function newSocket(family: number): number {
	return moveUp(call('socket', family, constants.SOCK_STREAM | constants.SOCK_CLOEXEC, 0));
}

/** @throws {SyscallError} */
export function setOption(fd: number, level: number, name: number, value: number) {
	const bytes = Buffer.alloc(4);
	bytes.writeInt32LE(value);
	call('setsockopt', fd, level, name, bytes, 4);
}

/** The listening sockets this machine's kernel would accept for `listen(2)`: its own maximum. */
export function backlog(): number {
	try {
		return Number.parseInt(readFileSync('/proc/sys/net/core/somaxconn', 'ascii'), 10) || 128;
	} catch {
		return 128;
	}
}

/** Whether listen(2) was called on the socket. */
export function isListening(fd: number): boolean {
	try {
		return getOption(fd, constants.SO_ACCEPTCONN) === 1;
	} catch {
		return false;
	}
}

/** SOCK_STREAM, SOCK_DGRAM. @throws {SyscallError} */
export function typeOf(fd: number): number {
	return getOption(fd, constants.SO_TYPE);
}

function getOption(fd: number, name: number): number {
	const value = Buffer.alloc(4);
	const length = Buffer.alloc(4);
	length.writeUInt32LE(4);
	call('getsockopt', fd, constants.SOL_SOCKET, name, value, length);
	return value.readInt32LE();
}

/** Connections that wait to be accepted, and how many may, from struct tcp_info (tcpi_unacked, tcpi_sacked); null for another kind of socket. */
export function tcpQueue(fd: number): { queue: number; backlog: number } | null {
	const [IPPROTO_TCP, TCP_INFO] = [6, 11];
	const info = Buffer.alloc(104);
	const length = Buffer.alloc(4);
	length.writeUInt32LE(info.length);
	try {
		call('getsockopt', fd, IPPROTO_TCP, TCP_INFO, info, length);
	} catch {
		return null;
	}
	return { queue: info.readUInt32LE(24), backlog: info.readUInt32LE(28) };
}
