/** Binds UNIX sockets with a given file mode. */
import { chownSync, closeSync } from 'node:fs';
import { call, constants } from '../os/libc.ts';
import type { User } from '../os/user.ts';
import { unixAddress } from './address.ts';

/**
 * Creates a socket and binds it to a path with mode 0600: only the owner and root can connect. A SOCK_DGRAM socket
 * receives the credentials of each sender (SO_PASSCRED).
 * @param owner the user that the file is given to; null keeps the user of this process
 * @returns the fd, close-on-exec and non-blocking
 * @throws {Error}
 */
export function openPlain(path: string, type: number, owner: User | null): number {
	const { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_DGRAM, SOL_SOCKET, SO_PASSCRED } = constants;
	const fd = call('socket', AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	try {
		const on = Buffer.from([1, 0, 0, 0]);
		if (type === SOCK_DGRAM) call('setsockopt', fd, SOL_SOCKET, SO_PASSCRED, on, on.length);
		bindWithMode(fd, path, 0o600);
		if (owner) chownSync(path, owner.uid, owner.gid);
		return fd;
	} catch (error) {
		closeSync(fd);
		throw error;
	}
}

/**
 * bind(2) creates the file with mode 0777 minus the umask. The umask is set for the call, so the file has `mode` from
 * the start.
 * @throws {SyscallError}
 */
export function bindWithMode(fd: number, path: string, mode: number): void {
	const address = unixAddress(path);
	const mask = process.umask(0o777 & ~mode);
	try {
		call('bind', fd, address, address.length);
	} finally {
		process.umask(mask);
	}
}
