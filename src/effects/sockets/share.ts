/**
 * Sends the listening sockets to each client, in the format of libancillary's `ancil_recv_fds` and Python's
 * `socket.recv_fds`.
 */

import { closeAll } from '../os/descriptors.ts';
import { errorText } from '../os/errorText.ts';
import { sendFds } from '../os/message.ts';
import type { Listener } from './listener.ts';
import { openUnixServer, type UnixServer, type UnixServerOptions, unixServerSection } from './unixServer.ts';

/** The most fds in one message (SCM_MAX_FD in the kernel). */
const most = 253;

const shareSection = unixServerSection('share');

export interface ShareOptions extends Omit<UnixServerOptions, 'section' | 'client'> {
	listeners: Listener[];
}

/**
 * Sends each client one byte with all sockets, in the order of -listen, and closes the connection.
 * @throws {Error} also if there are more than 253 listeners
 */
export function shareListeners({ listeners, ...options }: ShareOptions): UnixServer {
	if (listeners.length > most) throw new Error(`one message takes ${most} sockets, and there are ${listeners.length}`);
	const fds = listeners.map(({ fd }) => fd);
	let isReported = false;
	return openUnixServer({
		...options,
		section: shareSection,
		client: (fd) => {
			try {
				sendFds(fd, '!', fds);
			} catch (error) {
				// EPIPE: the client has disconnected. Other errors are reported once.
				if (isReported || (error as { code?: string }).code === 'EPIPE') return;
				isReported = true;
				options.log.say('warn', `The listeners could not be handed out: ${errorText(error)}`);
			} finally {
				closeAll([fd]);
			}
		},
	});
}
