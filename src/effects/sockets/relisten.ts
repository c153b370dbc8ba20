/** Repairs listeners after a child has called shutdown(2), which affects all processes that share the socket. */
import type { Log } from '../log/log.ts';
import { isShutDown, type Listener, relisten } from './listener.ts';
import { isListening } from './socket.ts';

export function relistenOf(listeners: Listener[], log: Pick<Log, 'say'>) {
	/** UNIX listeners that were shut down. listen(2) does not restore them, so each is reported once. */
	const lost = new Set<Listener>();

	/** listen(2) restores a TCP listener. @throws {SyscallError} */
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

	/**
	 * Called after a child has exited, which can have shut a listener down before. Logs an error instead of throwing it.
	 */
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
