/** Splits long work into short steps, so that signals, exits and the log are handled in time. */
import { setImmediate } from 'node:timers/promises';

/** Maximum duration of a step before the event loop runs, in milliseconds. */
const longestStep = 2;

let stepEnd = 0;

/** Await this often in a long loop: the event loop runs if the current step has reached its maximum duration. */
export async function giveTurn(): Promise<void> {
	if (performance.now() < stepEnd) return;
	await setImmediate();
	stepEnd = performance.now() + longestStep;
}

/**
 * A queue that runs one piece of work at a time, so that concurrent pieces do not add their steps together. If the
 * queue is empty, the work begins within the call.
 */
export function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
	let last: Promise<unknown> | null = null;
	return (work) => {
		const next = last === null ? work() : last.then(work);
		const ended = next.then(
			() => {},
			() => {},
		);
		last = ended;
		void ended.then(() => {
			if (last === ended) last = null;
		});
		// Not `next`, whose error counts as handled: an error that the caller does not handle must not be lost.
		return next.then((result) => result);
	};
}
