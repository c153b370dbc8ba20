/** Whoever connects to a UNIX socket of ours. */
import { call, constants, SyscallError } from '../os/libc.ts';
import { isHungUp } from '../os/poll.ts';

/**
 * The next client, non-blocking and close-on-exec, without waiting; `nobody` where he has gone again, `full` where there is
 * no fd for him, `over` where the socket was shut down.
 */
export function accept(fd: number): number | 'nobody' | 'full' | 'over' {
	try {
		return call('accept4', fd, null, null, constants.SOCK_NONBLOCK | constants.SOCK_CLOEXEC);
	} catch (error) {
		if (!(error instanceof SyscallError)) throw error;
		if (error.code === 'EINVAL' || isHungUp(fd)) return 'over';
		return ['EAGAIN', 'EINTR', 'ECONNABORTED'].includes(error.code) ? 'nobody' : 'full';
	}
}

/** Who has connected: struct ucred (unix(7)). @throws {SyscallError} */
export function peerOf(client: number): { pid: number; uid: number } {
	const credentials = Buffer.alloc(12);
	const length = Buffer.alloc(4);
	length.writeUInt32LE(credentials.length);
	call('getsockopt', client, constants.SOL_SOCKET, constants.SO_PEERCRED, credentials, length);
	return { pid: credentials.readInt32LE(0), uid: credentials.readUInt32LE(4) };
}
