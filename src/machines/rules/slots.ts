/** The places of a generation: each has a child, or is to have one again. */
import { isHealthy } from './respawn.ts';

export interface Slot {
	index: number;
	/** Who is in it; null where it is vacant. */
	child: number | null;
	/** A vacant one: its child was lost, it waits to be filled, its wait is over. */
	vacancy: 'lost' | 'waiting' | 'due' | null;
	isUp: boolean;
	/** Its child was told to leave: it was not up in time. */
	isGoing: boolean;
	/** How many have died in it, since one was healthy. */
	attempt: number;
	/** Any of them was up. */
	wasUp: boolean;
	/** The number of the fact that the last one ended by. */
	seq: number;
}

/** One that was vacant is another one now. */
export function withSlot(slots: Slot[], place: Slot): Slot[] {
	return [...slots.filter(({ index, vacancy }) => index !== place.index || vacancy === null), place];
}

/** The place of a child that was lost: when it was up, and when it ended, in milliseconds since boot. */
export function vacated<T extends Pick<Slot, 'attempt' | 'wasUp'>>(
	place: T,
	{ upAt, endedAt, seq }: { upAt: number | null; endedAt: number; seq: number },
) {
	const attempt = isHealthy(upAt, endedAt) ? 1 : place.attempt + 1;
	const wasUp = place.wasUp || upAt !== null;
	return { ...place, child: null, vacancy: 'lost' as const, isUp: false, isGoing: false, attempt, wasUp, seq };
}

export function deathsIn(slots: Slot[]): number {
	return slots.reduce((sum, { attempt }) => sum + attempt, 0);
}
