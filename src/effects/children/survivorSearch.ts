/** What a search for the surviving processes of a child starts from: its processes, and those of the other children. */
import type { ChildState } from '../../machines/state/supervisorState.ts';
import { lookUp } from '../os/proc.ts';
import type { Leader, Search } from './leftBehind.ts';
import type { TrackedChild } from './trackedChildren.ts';

export interface Surroundings {
	/** The other children, also those whose leader has exited just now. */
	others: Pick<TrackedChild, 'child' | 'pid' | 'group' | 'its'>[];
	/** Processes that have not executed their program yet. */
	pending: number[];
	/** The state of a child; null after it is gone. */
	known: (child: number) => Pick<ChildState, 'startTime'> | null;
}

/** Records the surviving processes that are already known as processes of the child. */
export function survivorSearch(
	gone: Pick<TrackedChild, 'child' | 'pid' | 'isOwn' | 'its' | 'wasKilled' | 'group'>,
	{ others, pending, known }: Surroundings,
): { leader: Leader; search: Omit<Search, 'run' | 'listeners'> } {
	const { child, pid, isOwn, its, wasKilled, group } = gone;
	const leader = { child, pid, startTime: known(child)?.startTime ?? null };
	for (const member of group?.keys() ?? []) if (!its.has(member)) its.set(member, lookUp(member)?.startTime ?? 0);
	const pids = new Set([
		...pending,
		...others.flatMap((each) => (each.group ? [...each.group.keys()] : each.pid)),
		...others.flatMap(({ its }) => [...its].flatMap(([pid, began]) => (lookUp(pid)?.startTime === began ? pid : []))),
	]);
	const othersBegan = others.flatMap((each) => known(each.child)?.startTime ?? []);
	return { leader, search: { its, others: pids, othersBegan, wasKilled, hasOurOrphans: isOwn } };
}
