/** How long a child may take to leave. */
import type { Plan } from '../facts/facts.ts';

/** Who was no good, and who was left behind by one that was not told to leave, is killed this long after it was told, in milliseconds. */
export const longestKillTimeout = 10_000;

/** In milliseconds; null is for ever. */
export function killTimeoutFor({ kill }: Pick<Plan, 'kill'>, isNoGood: boolean): number | null {
	if (isNoGood) return Math.min(kill > 0 ? kill : longestKillTimeout, longestKillTimeout);
	return kill > 0 ? kill : null;
}
