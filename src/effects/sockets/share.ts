/** Hands the listening sockets to whoever connects: what libancillary's `ancil_recv_fds` expects, and Python's `socket.recv_fds`. */

import { closeAll } from '../os/descriptors.ts';
import { wordsOf } from '../os/errorText.ts';
import { sendFds } from '../os/message.ts';
import type { Listener } from './listener.ts';
import { doorPart, openSocketDoor, type SocketDoor, type SocketDoorOptions } from './unixServer.ts';

/** One message brings no more of them (SCM_MAX_FD in the kernel). */
const most = 253;

const sharePart = doorPart('share');

export interface ShareOptions extends Omit<SocketDoorOptions, 'part' | 'client'> {
	listeners: Listener[];
}

/** Each client gets one byte, with all sockets in the order of -listen, and the end of the stream. @throws {Error} */
export function shareListeners({ listeners, ...options }: ShareOptions): SocketDoor {
	if (listeners.length > most) throw new Error(`one message takes ${most} sockets, and there are ${listeners.length}`);
	const fds = listeners.map(({ fd }) => fd);
	let wasTold = false;
	return openSocketDoor({
		...options,
		part: sharePart,
		client: (fd) => {
			try {
				sendFds(fd, '!', fds);
			} catch (error) {
				// Whoever has gone again wants none.
				if (wasTold || (error as { code?: string }).code === 'EPIPE') return;
				wasTold = true;
				options.log.say('warn', `The listeners could not be handed out: ${wordsOf(error)}`);
			} finally {
				closeAll([fd]);
			}
		},
	});
}
