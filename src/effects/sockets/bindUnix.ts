/** A UNIX socket at a path that nobody else has. */
import { chownSync, closeSync } from 'node:fs';
import { call, constants } from '../os/libc.ts';
import type { User } from '../os/user.ts';
import { unixAddress } from './address.ts';

/**
 * Bound, and reached by its owner alone (null is us) and root; one for datagrams tells who has sent each.
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

/** bind(2) makes the file with what the mask leaves of 0777: there is no moment with another mode. @throws {SyscallError} */
export function bindWithMode(fd: number, path: string, mode: number): void {
	const address = unixAddress(path);
	const mask = process.umask(0o777 & ~mode);
	try {
		call('bind', fd, address, address.length);
	} finally {
		process.umask(mask);
	}
}
