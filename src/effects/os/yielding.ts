/** Long work in small steps, so that signals, exits and the log are never kept waiting. */
import { setImmediate } from 'node:timers/promises';

/** A step may take so long before the event loop has its turn, in milliseconds. */
const longestStep = 2;

let stepEnd = 0;

/** To be awaited often: gives the event loop a turn where the present step has taken long enough. */
export async function giveTurn(): Promise<void> {
	if (performance.now() < stepEnd) return;
	await setImmediate();
	stepEnd = performance.now() + longestStep;
}

/** A queue for work of which one piece is done at a time: together all pieces take no longer steps than one. */
export function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
	let last: Promise<unknown> = Promise.resolve();
	return (work) => {
		const next = last.then(work, work);
		last = next.catch(() => {});
		return next;
	};
}
