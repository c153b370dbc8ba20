/** Accepts clients of the UNIX sockets that the supervisor listens on. */
import { call, constants, SyscallError } from '../os/libc.ts';
import { isHungUp } from '../os/poll.ts';

/**
 * Accepts the next client without blocking.
 * @returns the fd, non-blocking and close-on-exec; `nobody` if no connection waits or the client has disconnected;
 *   `full` after any other error, as a rule a lack of fds (EMFILE, ENFILE); `over` if the socket was shut down
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

/** The pid and uid of a client: SO_PEERCRED, struct ucred (unix(7)). @throws {SyscallError} */
export function peerOf(client: number): { pid: number; uid: number } {
	const credentials = Buffer.alloc(12);
	const length = Buffer.alloc(4);
	length.writeUInt32LE(credentials.length);
	call('getsockopt', client, constants.SOL_SOCKET, constants.SO_PEERCRED, credentials, length);
	return { pid: credentials.readInt32LE(0), uid: credentials.readUInt32LE(4) };
}
