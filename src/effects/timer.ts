/** A wait with an absolute deadline, as an actor. */
import { type EventObject, fromCallback } from 'xstate';
import type { TimerInput } from '../machines/child.ts';
import type { Happening } from '../machines/facts.ts';

/** What setTimeout takes at most; a longer wait is taken in turns. */
const longest = 2 ** 31 - 1;

/** Tells `timer.elapsed` at the deadline, at once when it has passed, never when it is null. */
export function timerActor(admit: (happening: Happening) => void) {
	return fromCallback<EventObject, TimerInput>(({ input: { child, timer, deadline } }) => {
		if (deadline === null) return;
		let pending: NodeJS.Timeout;
		const wait = () => {
			const left = deadline - Date.now();
			pending = setTimeout(left > longest ? wait : elapsed, Math.min(Math.max(left, 0), longest));
		};
		const elapsed = () => admit({ type: 'timer.elapsed', child, timer });
		wait();
		return () => clearTimeout(pending);
	});
}
