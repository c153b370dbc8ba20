/** Whether a child that was told to leave accepts new connections all the same: it runs old code for new clients. */
import type { Listener } from '../sockets/listener.ts';
import { inTurn, treeLooks } from './treeLook.ts';

/** @returns a look at one child: whether it accepts on any listener; null where that can't be seen */
export function stillAccepting(listeners: Listener[]): (pid: number) => Promise<boolean | null> {
	return (pid) =>
		inTurn(async () => {
			// No second look follows: what is not clear now is not known.
			const lookAt = treeLooks(listeners, { countsConnections: false, patience: 0 });
			const { notAccepted, polled, hidden, unclear, failed } = await lookAt(pid, []);
			// One look at a busy server may not meet it waiting.
			if (notAccepted.length < listeners.length || polled.length > 0) return true;
			return hidden === null && unclear === null && failed === null ? false : null;
		}).catch(() => null);
}
