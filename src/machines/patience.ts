/** How long a child may take to leave. */
import type { Plan } from './facts.ts';

/** Who has not said in time that it is up is killed this long after it was told to leave, in milliseconds. */
const longestFarewell = 10_000;

/** In milliseconds; null is for ever. */
export function patienceWith({ kill }: Pick<Plan, 'kill'>, isRejected: boolean): number | null {
	if (isRejected) return Math.min(kill > 0 ? kill : longestFarewell, longestFarewell);
	return kill > 0 ? kill : null;
}
