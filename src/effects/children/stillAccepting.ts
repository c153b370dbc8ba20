/** Whether children that were told to leave accept new connections all the same: they run old code for new clients. */
import { setTimeout } from 'node:timers/promises';
import type { Listener } from '../sockets/listener.ts';
import { inTurn, treeLooks } from './treeLook.ts';

/** One that holds a listener, and was not seen to wait for it, may be busy: it is looked at so often, so many milliseconds apart. */
const [mostLooks, pause] = [10, 10];

/** Whether each accepts on any listener; null where that can't be seen. */
export type StillAccepting = (pids: number[]) => Promise<Map<number, boolean | null>>;

/** All are looked at, then those again that were not seen, so that many take no longer than one. */
export function stillAccepting(listeners: Listener[]): StillAccepting {
	return async (pids) => {
		const accepting = new Map<number, boolean | null>();
		// No later look may make clear what is not: it is not known then.
		const looks = new Map(
			pids.map((pid) => [pid, treeLooks(listeners, { countsConnections: false, unclearAfterMs: 0 })] as const),
		);
		for (let left = mostLooks; looks.size > 0 && left > 0; left -= 1) {
			if (left < mostLooks) await setTimeout(pause);
			for (const [pid, lookAt] of looks) {
				const found = await inTurn(() => lookAt(pid, [])).catch(() => null);
				const isSeen = found !== null && (found.notAccepted.length < listeners.length || found.polled.length > 0);
				const isKnown = found !== null && found.hidden === null && found.unclear === null && found.failed === null;
				accepting.set(pid, isSeen || (isKnown ? false : null));
				const mayBeBusy = isKnown && !isSeen && found.notHeld.length < listeners.length;
				if (!mayBeBusy) looks.delete(pid);
			}
		}
		return accepting;
	};
}
