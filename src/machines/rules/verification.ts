/** How long a ready child is waited for until it is seen to accept. All times are in milliseconds since boot. */
import type { Plan } from '../facts/facts.ts';

/** By how many times -start a child may move its deadline in all, and how long one that is ready by time is waited for. */
export const mostWaits = 10;

/** A child that is ready by time alone has at least so long, from its spawn, to be seen to accept, in milliseconds. */
const shortestVerification = 60_000;

/** Whether -start alone makes a child ready. @param isHidden whether it accepts can't be seen */
export function isReadyByTime({ ready }: Pick<Plan, 'ready'>, isHidden: boolean): boolean {
	return ready === 'wait' || (ready === 'accept' && isHidden);
}

/** When a child that boots has to be ready. @param deadline where that was moved, @param began its wait, in milliseconds since boot */
export function bootDeadline({ start }: Pick<Plan, 'start'>, deadline: number | null, began: number): number {
	return deadline ?? began + start;
}

/** @param deadline until when it has to be ready, where that was moved. @param born when its process began */
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

/** A child that is stopped when it is to be up is looked at again after a second at the earliest, and so often at the most. */
const shortestStops = 10_000;

/** Whether a child that is found stopped has been waited for long enough. @param now, born in milliseconds since boot */
export function isStoppedTooLong({ start }: Pick<Plan, 'start'>, born: number | null, now: number): boolean {
	return born !== null && now - born >= Math.max(mostWaits * start, shortestStops);
}
