/** Listening sockets that a child has shut down, for all that share them (shutdown(2)). */
import type { Log } from '../log/log.ts';
import { isShutDown, type Listener, relisten } from './listener.ts';
import { isListening } from './socket.ts';

export function relistenOf(listeners: Listener[], log: Pick<Log, 'say'>) {
	/** Of UNIX: there is nothing that could be done, and it is said once. */
	const lost = new Set<Listener>();

	/** listen(2) brings one of TCP back. @throws {SyscallError} */
	function relistenAll() {
		for (const listener of listeners) {
			if (lost.has(listener) || !isShutDown(listener)) continue;
			const { address, fd } = listener;
			if (isListening(fd)) {
				lost.add(listener);
				log.say(
					'error',
					`A child has shut down the listening socket ${address}: nobody can connect before a stop and a start`,
				);
				continue;
			}
			relisten(listener);
			log.say('warn', `A child had shut down the listening socket ${address}; it listens again`);
		}
	}

	/** After a child has left, which may have done so as its last act. */
	function tryToRelisten() {
		try {
			relistenAll();
		} catch (error) {
			log.say(
				'error',
				`A child has shut down a listening socket, and it can't listen again: ${(error as Error).message}`,
			);
		}
	}

	return { relistenAll, tryToRelisten };
}
