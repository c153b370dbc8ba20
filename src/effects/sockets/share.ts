/** Hands the listening sockets to whoever connects: what libancillary's `ancil_recv_fds` expects, and Python's `socket.recv_fds`. */

import { closeAll } from '../os/descriptors.ts';
import { errorText } from '../os/errorText.ts';
import { sendFds } from '../os/message.ts';
import type { Listener } from './listener.ts';
import { openUnixServer, type UnixServer, type UnixServerOptions, unixServerSection } from './unixServer.ts';

/** One message brings no more of them (SCM_MAX_FD in the kernel). */
const most = 253;

const shareSection = unixServerSection('share');

export interface ShareOptions extends Omit<UnixServerOptions, 'section' | 'client'> {
	listeners: Listener[];
}

/** Each client gets one byte, with all sockets in the order of -listen, and the end of the stream. @throws {Error} */
export function shareListeners({ listeners, ...options }: ShareOptions): UnixServer {
	if (listeners.length > most) throw new Error(`one message takes ${most} sockets, and there are ${listeners.length}`);
	const fds = listeners.map(({ fd }) => fd);
	let wasTold = false;
	return openUnixServer({
		...options,
		section: shareSection,
		client: (fd) => {
			try {
				sendFds(fd, '!', fds);
			} catch (error) {
				// Whoever has gone again wants none.
				if (wasTold || (error as { code?: string }).code === 'EPIPE') return;
				wasTold = true;
				options.log.say('warn', `The listeners could not be handed out: ${errorText(error)}`);
			} finally {
				closeAll([fd]);
			}
		},
	});
}
