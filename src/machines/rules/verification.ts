/** Deadlines for a child's readiness and for its listener check. Points in time are in milliseconds since boot. */
import type { Plan } from '../facts/facts.ts';

/**
 * A multiple of -start, counted from the child's spawn. It limits how far a child may move its deadline, and how long
 * the listener check waits for a child that is ready by time.
 */
export const mostWaits = 10;

/**
 * The shortest time, from its spawn, in which a child that is ready by time must be seen to accept, in milliseconds.
 */
const shortestVerification = 60_000;

/** Whether the wait of -start makes a child ready. @param isHidden the listener check of the child is impossible */
export function isReadyByTime({ ready }: Pick<Plan, 'ready'>, isHidden: boolean): boolean {
	return ready === 'wait' || (ready === 'accept' && isHidden);
}

/**
 * When a booting child must be ready.
 * @param deadline the moved deadline; null if it was not moved
 * @param began when the child's wait began
 */
export function bootDeadline({ start }: Pick<Plan, 'start'>, deadline: number | null, began: number): number {
	return deadline ?? began + start;
}

/**
 * When the listener check of a ready child fails.
 * @param deadline the moved deadline for readiness; null if it was not moved
 * @param born when the child was spawned
 * @param isHidden the listener check was impossible while the child booted
 */
export function verificationDeadline({
	plan,
	deadline,
	born,
	isHidden,
}: {
	plan: Pick<Plan, 'ready' | 'start'>;
	deadline: number | null;
	born: number;
	isHidden: boolean;
}): number {
	if (isReadyByTime(plan, isHidden)) return born + Math.max(mostWaits * plan.start, shortestVerification);
	return bootDeadline(plan, deadline, born);
}

/** The shortest time limit of a health check, in milliseconds: one attempt may take this long. */
const shortestCheck = 2000;

/** How long the health check of a candidate may take, from the time when all its children are up, in milliseconds. */
export function checkTime({ start }: Pick<Plan, 'start'>): number {
	return Math.max(start, shortestCheck);
}

/**
 * The shortest time, from its spawn, for which a stopped (SIGSTOP) child is waited for, in milliseconds. The child is
 * looked at again after at least 1 s, so this is `mostWaits` looks.
 */
const shortestStops = 10_000;

/**
 * Whether a stopped (SIGSTOP) child has been waited for long enough.
 * @param spawnedAt, now in milliseconds since boot
 */
export function isStoppedTooLong({ start }: Pick<Plan, 'start'>, spawnedAt: number | null, now: number): boolean {
	return spawnedAt !== null && now - spawnedAt >= Math.max(mostWaits * start, shortestStops);
}
