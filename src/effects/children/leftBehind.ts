/** Finds the surviving processes of a child: they outlive its leader and may still hold its listeners. */

import { setTimeout } from 'node:timers/promises';
import { bootClock } from '../os/clock.ts';
import { environmentOf } from '../os/environments.ts';
import { isGroup } from '../os/kill.ts';
import { allPids, childrenOf, fdsAmong, hasEnded, isEnding, lookUp, othersInGroup } from '../os/proc.ts';
import { giveTurn } from '../os/yielding.ts';

/**
 * The search ends after the first number of rounds. If a process that it looked at has exited meanwhile, it continues,
 * up to the second number of rounds.
 */
const [rounds, mostRounds] = [2, 20];

/** How long the search waits for the end of processes that are exiting, and the pause between two looks, in milliseconds. */
const [longestExit, exitPause] = [2000, 2];

export interface LeftBehind {
	pid: number;
	/** The process holds listeners by these fds; null if its fds can't be inspected. */
	fds: number[] | null;
}

export interface Leader {
	child: number;
	pid: number;
	/** In clock ticks since boot; null if unknown. */
	startTime: number | null;
}

export interface Search {
	/** The value of SOCKETMASTER_RUN in the environment of every child. */
	run: string;
	/** The inodes of the listeners. */
	listeners: ReadonlySet<number>;
	/**
	 * Processes that certainly belong to the child, start time by pid: members of its process group when it was reaped,
	 * and its descendants when it was signalled.
	 */
	its: ReadonlyMap<number, number>;
	/** Other children and the processes of other children. */
	others: ReadonlySet<number>;
	/**
	 * Start times of the other running children, in clock ticks since boot. A process that started later may belong to
	 * one of these children.
	 */
	othersBegan: readonly number[];
	/** The process group was killed with the leader: its remaining members are about to exit. */
	wasKilled: boolean;
	/**
	 * Orphans of the child are reparented to this supervisor (PR_SET_CHILD_SUBREAPER). False if another supervisor
	 * started the child: its orphans may then have any parent.
	 */
	hasOurOrphans: boolean;
}

/** The members of a process group except its leader, start time by pid. */
export function membersOf(group: number): Map<number, number> {
	return withStartTimes(isGroup(group) ? othersInGroup(group) : []);
}

/** All descendants of a process, start time by pid. */
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
 * Finds the processes that certainly belong to the child, processes whose environment names the child, and all their
 * descendants. An orphan's environment may name no child: the process emptied it, or a process title overwrote it. Such
 * an orphan counts if it holds a listener and can belong to no other child. A member of the child's process group
 * counts if it holds a listener.
 * @returns `left`: the surviving processes; `unseen`: orphans that can't be inspected; `nameless`: processes that hold
 * a listener and may belong to another child
 */
export async function leftBehind(
	{ child, pid, startTime }: Leader,
	search: Search,
): Promise<{ left: LeftBehind[]; unseen: number[]; nameless: number[] }> {
	const [run, mark] = [`SOCKETMASTER_RUN=${search.run}`, `SOCKETMASTER_CHILD=${child}`];
	const looked = new Set([pid, process.pid, ...search.others]);
	const found = new Set<number>();
	/** Processes that were exiting: they have no environment any more, and still keep their children from the supervisor. */
	const exiting = new Set<number>();
	const unseen: number[] = [];
	const nameless: number[] = [];
	const isNew = (other: number) => !looked.has(other);
	const holds = (other: number) => (fdsAmong(other, search.listeners) ?? []).length > 0;

	async function look(other: number, isIts: boolean) {
		looked.add(other);
		await giveTurn();
		const stat = lookUp(other);
		if (!stat?.isAlive) return hasEnded(other) ? exiting.add(other) : search.hasOurOrphans && unseen.push(other);
		if (search.wasKilled && stat.group === pid) return;
		if (!search.hasOurOrphans && !isIts && stat.startTime < (startTime ?? 0)) return;
		if (isIts || search.its.get(other) === stat.startTime) return found.add(other);
		const environment = await environmentOf(other);
		if (search.hasOurOrphans && !environment?.includes(run) && isEnding(other)) return exiting.add(other);
		if (environment === null) return search.hasOurOrphans && unseen.push(other);
		if (environment.includes(run)) return environment.includes(mark) && found.add(other);
		if (!holds(other)) return;
		const mayBeAnothers = search.othersBegan.some((began) => began <= stat.startTime);
		const isLater = search.hasOurOrphans && stat.startTime >= (startTime ?? 0);
		if (stat.group === pid || (isLater && !mayBeAnothers)) found.add(other);
		else if (search.hasOurOrphans) nameless.push(other);
	}

	async function exitsOver() {
		while ([...exiting].some((each) => !hasEnded(each)) && bootClock() < until) await setTimeout(exitPause);
	}

	// When a process has exited, its children are reparented to the supervisor: the next round finds them. If a found
	// process is still alive, a child that this search misses is found after that process exits.
	const until = bootClock() + longestExit;
	for (let [round, isMore] = [1, true]; isMore && round <= mostRounds; round += 1) {
		const before = looked.size;
		const orphans = search.hasOurOrphans ? childrenOf('self') : allPids();
		const members = !search.wasKilled && isGroup(pid) ? othersInGroup(pid) : [];
		for (const other of [...search.its.keys(), ...members, ...orphans]) if (isNew(other)) await look(other, false);
		for (const each of found) for (const other of childrenOf(each)) if (isNew(other)) await look(other, true);
		await exitsOver();
		const ended = [...found, ...exiting].filter(hasEnded);
		for (const each of ended) {
			found.delete(each);
			exiting.delete(each);
		}
		isMore = ended.length > 0 || (looked.size > before && round < rounds);
	}
	// Their children may still be among theirs.
	unseen.push(...exiting);
	return {
		left: [...found].map((other) => ({ pid: other, fds: fdsAmong(other, search.listeners) })),
		unseen,
		nameless,
	};
}
