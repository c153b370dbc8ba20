/** When a child that was lost is started again. All times are in milliseconds. */

/** So many deaths of a generation of which no child was ever up are enough. */
export const deathsAllowed = 10;

/** Whoever was up for so long was healthy: the next wait is the first one again. */
const healthy = 60_000;

/** A wait that doubles stays at this; one that was asked for may be longer. */
const longest = 30_000;

/** A wait of nothing doubles from this. */
const shortest = 100;

/** The first wait for another generation while none serves. */
const firstRestart = 1000;

/** A wait is longer by up to this part of it, so that those who died together do not all start together. */
const jitter = 0.2;

export function isHealthy(upAt: number | null, endedAt: number): boolean {
	return upAt !== null && endedAt - upAt >= healthy;
}

/**
 * @param first the first wait
 * @param attempt how many have died in the place, from 1 on
 * @param seq the number of the fact that the last one ended by: the same facts wait the same
 */
export function respawnWait(first: number, attempt: number, seq: number): number {
	const doubled = attempt <= 1 ? first : Math.max(first, shortest) * 2 ** Math.min(attempt - 1, 30);
	const wait = Math.max(first, Math.min(doubled, longest));
	return Math.round(wait * (1 + jitter * fractionOf(seq)));
}

/** How long until another generation is started while none serves, in milliseconds. @param attempt from 1 on */
export function restartWait(attempt: number): number {
	return Math.min(firstRestart * 2 ** Math.min(attempt - 1, 30), longest);
}

/** From 0 to 1, the same for the same number: Knuth's multiplicative hash. */
function fractionOf(seq: number): number {
	return (Math.imul(seq, 2654435761) >>> 0) / 2 ** 32;
}
