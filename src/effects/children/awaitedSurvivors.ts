/** Decides which surviving processes of an exited child are waited for, and which are only signalled. */
import type { Holder, Plan } from '../../machines/facts/facts.ts';
import { awaitedOf, type ChildState, isLeaving, isNoGood, killPlanOf } from '../../machines/state/supervisorState.ts';
import type { SurvivingProcesses } from './survivingProcesses.ts';

/**
 * The surviving processes to track. If the child was stopping, these are the processes that its slot waits for. If
 * the child was not stopping, they are signalled now, and no slot waits for them. These are all processes if the
 * exit failed a rotation, else those that hold a listener.
 * @param before the state of the child; null after it is gone
 * @param hasFailed the exit failed a rotation
 */
export function awaitedSurvivors(
	before: ChildState | null,
	hasFailed: boolean,
	others: SurvivingProcesses,
	plan: Plan,
): number[] {
	if (before !== null && isLeaving(before)) return awaitedOf(others, killPlanOf(plan, before), isNoGood(before));
	return hasFailed ? others.survivors : others.holders.flatMap(({ pid, fds }) => (fds.length > 0 ? pid : []));
}

/**
 * The processes whose fds can't be inspected.
 * @param awaited these are left out
 */
export function uncertainHolders(holders: Holder[], awaited: ReadonlyMap<number, unknown>): number[] {
	return holders.flatMap(({ pid, fds }) => (fds.length === 0 && !awaited.has(pid) ? pid : []));
}
