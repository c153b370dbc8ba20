/** Who outlives the first process of a child, and may hold its sockets still. */
import { isGroup } from '../os/kill.ts';
import { allPids, childrenOf, environmentOf, fdsAmong, hasEnded, lookUp, othersInGroup } from '../os/proc.ts';
import { giveTurn } from '../os/yielding.ts';

/** It is looked twice, and as long as nobody is found who lives and somebody has just ended; but no more often than this. */
const [rounds, mostRounds] = [2, 20];

export interface LeftBehind {
	pid: number;
	/** The listeners that it holds, by its own fds; null where that may not be looked at. */
	fds: number[] | null;
}

export interface Leader {
	child: number;
	pid: number;
	/** In clock ticks since boot; null where it is not known. */
	startTime: number | null;
}

export interface Search {
	/** What children carry as SOCKETMASTER_RUN. */
	run: string;
	/** Inodes. */
	listeners: ReadonlySet<number>;
	/** Who is its for certain, with the start time of each: was in its group as it was reaped, or was descended from it as it was told to leave. */
	its: ReadonlyMap<number, number>;
	/** Who is another child, or another child's. */
	others: ReadonlySet<number>;
	/** When the other children began that live, in clock ticks since boot: who began later may be one of theirs. */
	othersBegan: readonly number[];
	/** Its group was killed with it: who is in it still is just ending. */
	wasKilled: boolean;
	/** Its orphans are given to us (PR_SET_CHILD_SUBREAPER): else, as another supervisor has started it, to any process. */
	hasOurOrphans: boolean;
}

/** The processes in a group, by their start times, besides its leader. */
export function membersOf(group: number): Map<number, number> {
	return withStartTimes(isGroup(group) ? othersInGroup(group) : []);
}

/** All that is descended from a process, by their start times. */
export function descendantsOf(pid: number): Map<number, number> {
	const found = new Set(childrenOf(pid));
	for (const each of found) for (const child of childrenOf(each)) found.add(child);
	return withStartTimes([...found]);
}

function withStartTimes(pids: number[]): Map<number, number> {
	return new Map(
		pids.flatMap((pid) => {
			const stat = lookUp(pid);
			return stat?.isAlive ? [[pid, stat.startTime] as const] : [];
		}),
	);
}

/**
 * Who is known to be its, who says so in its environment, and all that is descended from them. An orphan of ours that says
 * nothing of the kind (its environment was emptied, or written over by a process title) and holds a listener is its too, where it
 * can be no other child's. So is a member of its group that holds one.
 * @returns who they are; orphans that may not, or can't, be looked at; and those that hold a listener and may be another child's
 */
export async function leftBehind(
	{ child, pid, startTime }: Leader,
	search: Search,
): Promise<{ left: LeftBehind[]; unseen: number[]; nameless: number[] }> {
	const [run, mark] = [`SOCKETMASTER_RUN=${search.run}`, `SOCKETMASTER_CHILD=${child}`];
	const looked = new Set([pid, process.pid, ...search.others]);
	const found = new Set<number>();
	const unseen: number[] = [];
	const nameless: number[] = [];
	const isNew = (other: number) => !looked.has(other);
	const holds = (other: number) => (fdsAmong(other, search.listeners) ?? []).length > 0;

	async function look(other: number, isIts: boolean) {
		looked.add(other);
		await giveTurn();
		const stat = lookUp(other);
		if (!stat?.isAlive || (search.wasKilled && stat.group === pid)) return;
		if (!search.hasOurOrphans && !isIts && stat.startTime < (startTime ?? 0)) return;
		if (isIts || search.its.get(other) === stat.startTime) return found.add(other);
		const environment = await environmentOf(other);
		if (environment === null) return search.hasOurOrphans && unseen.push(other);
		if (environment.includes(run)) return environment.includes(mark) && found.add(other);
		if (!holds(other)) return;
		const mayBeAnothers = search.othersBegan.some((began) => began <= stat.startTime);
		const isLater = search.hasOurOrphans && stat.startTime >= (startTime ?? 0);
		if (stat.group === pid || (isLater && !mayBeAnothers)) found.add(other);
		else if (search.hasOurOrphans) nameless.push(other);
	}

	// One that ends gives us those that it has started. Where somebody lives, those who are missed are found when he ends.
	for (let [round, isMore] = [1, true]; isMore && round <= mostRounds; round += 1) {
		const before = looked.size;
		const orphans = search.hasOurOrphans ? childrenOf('self') : allPids();
		const members = !search.wasKilled && isGroup(pid) ? othersInGroup(pid) : [];
		for (const other of [...search.its.keys(), ...members, ...orphans]) if (isNew(other)) await look(other, false);
		for (const each of found) for (const other of childrenOf(each)) if (isNew(other)) await look(other, true);
		const ended = [...found].filter(hasEnded);
		for (const each of ended) found.delete(each);
		const hasChanged = looked.size > before || ended.length > 0;
		isMore = hasChanged && (round < rounds || (found.size === 0 && ended.length > 0));
	}
	return {
		left: [...found].map((other) => ({ pid: other, fds: fdsAmong(other, search.listeners) })),
		unseen,
		nameless,
	};
}
