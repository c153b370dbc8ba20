/** Whether and when a lost child is started again. All times are in milliseconds. */
import type { Plan } from '../facts/facts.ts';

/** A generation of which no child was ever up fails after this many exits. */
export const deathsAllowed = 10;

/** A child that was up for this long was healthy: the next wait in its slot is the first one again. */
const healthy = 60_000;

/** The upper limit of a doubled wait. A -respawn above it is used as given. */
const longest = 30_000;

/** With -respawn=0 the wait doubles from this. */
const shortest = 100;

/** The first wait before a new generation starts while no generation serves. */
const firstRestart = 1000;

/**
 * The largest fraction by which a wait is lengthened, so that children that exited together do not restart together.
 */
const jitter = 0.2;

/**
 * Whether the slot of an ended child is filled again: with -respawn, if the child was lost and no signal was passed on to
 * it.
 */
export function isRespawned(
	{ respawn }: Pick<Plan, 'respawn'>,
	{ wasLost, wasForwarded }: { wasLost: boolean; wasForwarded: boolean },
): boolean {
	return respawn >= 0 && wasLost && !wasForwarded;
}

/** @param upAt when the child was up, or null; both times in milliseconds since boot */
export function isHealthy(upAt: number | null, endedAt: number): boolean {
	return upAt !== null && endedAt - upAt >= healthy;
}

/**
 * @param first the first wait, of -respawn
 * @param attempt the number of exits in the slot since a child of it was healthy, from 1
 * @param seq the number of the fact that ended the last child. It seeds the jitter: a replay computes the same wait
 */
export function respawnWait(first: number, attempt: number, seq: number): number {
	const doubled = attempt <= 1 ? first : Math.max(first, shortest) * 2 ** Math.min(attempt - 1, 30);
	const wait = Math.max(first, Math.min(doubled, longest));
	return Math.round(wait * (1 + jitter * fractionOf(seq)));
}

/** The wait before a new generation starts while no generation serves, in milliseconds. @param attempt from 1 */
export function restartWait(attempt: number): number {
	return Math.min(firstRestart * 2 ** Math.min(attempt - 1, 30), longest);
}

/** A fraction from 0 to 1, determined by the number alone: Knuth's multiplicative hash. */
function fractionOf(seq: number): number {
	return (Math.imul(seq, 2654435761) >>> 0) / 2 ** 32;
}
