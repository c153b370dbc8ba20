/** Creates sockets and reads their options. */
import { readFileSync } from 'node:fs';
import { moveUp } from '../os/descriptors.ts';
import { call, constants } from '../os/libc.ts';

/** Creates a stream socket, close-on-exec, numbered above the fds that children inherit. @throws {SyscallError} */
export function newSocket(family: number): number {
	return moveUp(call('socket', family, constants.SOCK_STREAM | constants.SOCK_CLOEXEC, 0));
}

/** @throws {SyscallError} */
export function setOption(fd: number, level: number, name: number, value: number) {
	const bytes = Buffer.alloc(4);
	bytes.writeInt32LE(value);
	call('setsockopt', fd, level, name, bytes, 4);
}

/** The largest backlog that the kernel accepts in listen(2), in connections; 128 if the limit cannot be read. */
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

/** The socket type, such as SOCK_STREAM or SOCK_DGRAM. @throws {SyscallError} */
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

/**
 * The number of connections that wait to be accepted, and its limit: tcpi_unacked and tcpi_sacked of struct tcp_info on
 * a listening socket. Null for a socket that is not TCP.
 */
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
