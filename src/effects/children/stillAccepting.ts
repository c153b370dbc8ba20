/** Whether children accept new connections now: those that were told to leave, and those that were not seen to accept. */
import { setTimeout } from 'node:timers/promises';
import type { Listener } from '../sockets/listener.ts';
import { inTurn, treeLooks } from './treeLook.ts';

/**
 * A process that holds a listener and is not seen to wait on it may be busy. It is inspected up to this many times,
 * with this pause in milliseconds.
 */
const [mostLooks, pause] = [10, 10];

/** Whether each child accepts on one listener or more, or on each of them; null if that can't be seen. */
export type StillAccepting = (pids: number[], on?: 'any' | 'each') => Promise<Map<number, boolean | null>>;

/** Inspects all children in turn, then repeats with those not seen to accept: many children take no longer than one. */
export function stillAccepting(listeners: Listener[]): StillAccepting {
	return async (pids, on = 'any') => {
		const accepting = new Map<number, boolean | null>();
		// 0 ms: an unclear inspection counts at once as unknown, since a later one may be unclear too.
		const looks = new Map(
			pids.map(
				(pid) =>
					[
						pid,
						treeLooks(listeners, {
							countsConnections: false,
							unclearAfterMs: 0,
							searchAt: 0,
							deadline: Number.POSITIVE_INFINITY,
						}),
					] as const,
			),
		);
		for (let left = mostLooks; looks.size > 0 && left > 0; left -= 1) {
			if (left < mostLooks) await setTimeout(pause);
			for (const [pid, lookAt] of looks) {
				const found = await inTurn(() => lookAt(pid, [])).catch(() => null);
				const unseen = found?.notAccepted.filter((each) => !found.polled.includes(each)) ?? listeners;
				const isSeen = on === 'each' ? unseen.length === 0 : unseen.length < listeners.length;
				const isKnown = found !== null && found.hidden === null && found.unclear === null && found.failed === null;
				accepting.set(pid, isSeen || (isKnown ? false : null));
				const mayBeBusy = isKnown && !isSeen && found.notHeld.length < listeners.length;
				if (!mayBeBusy) looks.delete(pid);
			}
		}
		return accepting;
	};
}
