/** The kill timeout: how long a child may take to exit after its stop signal. */
import type { Plan } from '../facts/facts.ts';

/**
 * The longest kill timeout, in milliseconds, of a child that was rejected or whose generation failed before the child
 * was up. Surviving processes of a child that exited without a stop signal are killed after this time too.
 */
export const longestKillTimeout = 10_000;

/**
 * @param isNoGood the child was rejected, or its generation failed
 * @returns the kill timeout in milliseconds; null means no limit
 */
export function killTimeoutFor({ kill }: Pick<Plan, 'kill'>, isNoGood: boolean): number | null {
	if (isNoGood) return Math.min(kill > 0 ? kill : longestKillTimeout, longestKillTimeout);
	return kill > 0 ? kill : null;
}
