/** One datagram to a UNIX socket, with an fd where there is one. */
import { closeSync } from 'node:fs';
import { addressOf, call, constants } from './libc.ts';

/**
 * Sends and does not wait.
 * @param path of the socket; one that begins with `@` is abstract (unix(7))
 * @throws {SyscallError} when nobody is there, or takes no more
 */
export function sendDatagram(path: string, text: string, fd: number | null = null): void {
	const { AF_UNIX, SOCK_DGRAM, SOCK_CLOEXEC, SOCK_NONBLOCK } = constants;
	const socket = call('socket', AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	try {
		const { header, kept } = message(path, Buffer.from(text), fd);
		call('sendmsg', socket, header, 0);
		// The header holds addresses, which keep nothing alive.
		kept.length = 0;
	} finally {
		closeSync(socket);
	}
}

/** struct msghdr, and all that it points to: to be kept until it was sent. */
function message(path: string, text: Buffer, fd: number | null) {
	const name = Buffer.concat([Buffer.from([constants.AF_UNIX, 0]), Buffer.from(path.replace(/^@/, '\0'))]);
	const vector = Buffer.alloc(16);
	vector.writeBigUInt64LE(addressOf(text), 0);
	vector.writeBigUInt64LE(BigInt(text.length), 8);
	// struct cmsghdr: its length, level and type, then the fd, padded to 8 bytes.
	const control = Buffer.alloc(24);
	control.writeBigUInt64LE(20n, 0);
	control.writeInt32LE(constants.SOL_SOCKET, 8);
	control.writeInt32LE(constants.SCM_RIGHTS, 12);
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
