/** The slots of a generation. Each has a child, or is vacant and to be filled again. */
import { isHealthy } from './respawn.ts';

export interface Slot {
	index: number;
	/** The number of its child; null in a vacant slot. */
	child: number | null;
	/**
	 * Of a vacant slot. `lost`: its child was lost and no respawn is scheduled yet. `waiting`: the respawn wait runs.
	 * `due`: the wait has elapsed. Null if the slot has a child.
	 */
	vacancy: 'lost' | 'waiting' | 'due' | null;
	isUp: boolean;
	/** Its child was rejected and is stopping. */
	isGoing: boolean;
	/** The number of exits in the slot since a child of it was healthy. */
	attempt: number;
	/** Any child in the slot was ever up. */
	wasUp: boolean;
	/** The number of the fact that ended its last child. */
	seq: number;
}

/** Adds a slot; replaces a vacant slot of the same index. */
export function withSlot(slots: Slot[], slot: Slot): Slot[] {
	return [...slots.filter(({ index, vacancy }) => index !== slot.index || vacancy === null), slot];
}

/**
 * The slot of a lost child.
 * @param upAt when the child was up, in milliseconds since boot; null if it never was
 * @param endedAt when it ended, in milliseconds since boot
 * @param seq the number of the fact that ended it
 */
export function vacated<T extends Pick<Slot, 'attempt' | 'wasUp'>>(
	slot: T,
	{ upAt, endedAt, seq }: { upAt: number | null; endedAt: number; seq: number },
) {
	const attempt = isHealthy(upAt, endedAt) ? 1 : slot.attempt + 1;
	const wasUp = slot.wasUp || upAt !== null;
	return { ...slot, child: null, vacancy: 'lost' as const, isUp: false, isGoing: false, attempt, wasUp, seq };
}

export function deathsIn(slots: Slot[]): number {
	return slots.reduce((sum, { attempt }) => sum + attempt, 0);
}
