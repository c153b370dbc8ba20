/** Inspects all processes of a child: on which listeners they accept. */
import { lookAtProcess, newSight, type Sight } from '../os/acceptance.ts';
import { bootClock } from '../os/clock.ts';
import { isNonBlocking } from '../os/descriptors.ts';
import { filesOf } from '../os/proc.ts';
import { descendantsOf, treesOf } from '../os/processTree.ts';
import { oneAtATime } from '../os/yielding.ts';
import { connectionsBy } from '../sockets/connections.ts';
import type { Listener } from '../sockets/listener.ts';
import { listeningAmong } from '../sockets/listening.ts';

/** Inspections run one after another: together they block the event loop no longer than one does. */
export const inTurn = oneAtATime();

/**
 * The shortest time between two scans of all processes of the machine, and between two counts of connections, in
 * milliseconds.
 */
const [betweenSearches, betweenCounts] = [1000, 500];

/**
 * The shortest time between two counts for a server that polls and is not seen to wait, in milliseconds: it may be
 * busy.
 */
const betweenCountsOfBusy = 150;

/** A process that can't be inspected is reported after this time, in milliseconds: many processes are short-lived. */
export const unclearFor = 2000;

/**
 * If the threads of a process can't be inspected, after this many inspections the process counts as waiting on what it
 * polls.
 */
const looksThatPoll = 5;

export interface Found {
	/** Listeners that no process of the child holds, and listeners on which no process accepts. */
	notHeld: Listener[];
	notAccepted: Listener[];
	/** Listeners that a process polls, and whose socket is in blocking mode. */
	blocking: Listener[];
	/** Listeners that a process polls, while no thread is seen to wait for them. */
	polled: Listener[];
	/** Why the processes can't be inspected at all (`hidden`), or not completely (`unclear`); else null. */
	hidden: string | null;
	unclear: string | null;
	/** The inspection was clear for every process. */
	isComplete: boolean;
	/** Why the inspection failed, for example for lack of fds; else null. */
	failed: string | null;
	isStopped: boolean;
	/** Other addresses on which the processes listen, as `127.0.0.1:3000`; null if the kernel does not report them. */
	elsewhere: () => Promise<string[] | null>;
}

/**
 * Inspects the processes of one child: its descendants, and from time to time processes that have left the tree.
 * Inspections of several children must run one after another (`inTurn`).
 * @param options `countsConnections`: whether an open connection shows that a process accepts; `unclearAfterMs`: how
 * long a process must be unclear before it is reported, in milliseconds
 */
export function treeLooks(
	listeners: Listener[],
	{
		countsConnections,
		unclearAfterMs,
		searchAt,
	}: { countsConnections: boolean; unclearAfterMs: number; searchAt: number },
) {
	const inodes = new Set(listeners.map(({ inode }) => inode));
	let nextSearch = searchAt;
	let nextCount = 0;
	/** The process that can't be inspected completely, and since when, in milliseconds since boot. */
	let unclear: { pid: number; since: number } | null = null;
	/**
	 * By process and listener: for how many inspections in a row the process polled the listener and its threads could
	 * not be inspected.
	 */
	let polledLooks = new Map<string, number>();

	/** @param mark entries in the environment of every process of the child */
	return async (pid: number, mark: string[]): Promise<Found> => {
		const sight = newSight();
		const look = async (pids: number[]) => {
			for (const each of pids) {
				const before = sight.hidden;
				await lookAtProcess(each, inodes, sight);
				// A descendant can't be inspected (a setuid helper), but the leader can.
				if (each !== pid && before === null && sight.hidden !== null) {
					sight.unclear ??= { pid: each, why: sight.hidden };
					sight.hidden = null;
				}
			}
		};
		const descendants = await descendantsOf(pid);
		const looked = new Set(descendants ?? [pid]);
		await look([...looked]);
		if (!isAllAccepted() && (descendants === null || bootClock() >= nextSearch)) {
			nextSearch = bootClock() + betweenSearches;
			const tree = (await treesOf([{ pid, mark }], betweenSearches)).get(pid) ?? [];
			await look(tree.filter((each) => !looked.has(each)));
		}
		keepPolledUnseen();
		if (countsConnections && !isAllAccepted() && sight.others.size > 0 && bootClock() >= nextCount) {
			nextCount = bootClock() + (sight.polled.size > 0 ? betweenCountsOfBusy : betweenCounts);
			await addHeldConnections(listeners, sight);
		}
		await addPendingAccepts(inodes, sight);
		return foundIn(sight, whyUnclear());

		function keepPolledUnseen() {
			const looks = new Map<string, number>();
			for (const [inode, process] of sight.polledUnseen) {
				const key = `${process} ${inode}`;
				looks.set(key, (polledLooks.get(key) ?? 0) + 1);
				if ((looks.get(key) ?? 0) >= looksThatPoll) sight.accepted.add(inode);
			}
			polledLooks = looks;
		}

		function whyUnclear(): string | null {
			const now = bootClock();
			if (sight.unclear === null) unclear = null;
			else if (unclear?.pid !== sight.unclear.pid) unclear = { pid: sight.unclear.pid, since: now };
			return sight.unclear !== null && unclear !== null && now - unclear.since >= unclearAfterMs
				? sight.unclear.why
				: null;
		}

		function isAllAccepted() {
			return sight.accepted.size === inodes.size;
		}
	};

	function foundIn(sight: Sight, unclear: string | null): Found {
		return {
			notHeld: listeners.filter(({ inode }) => !sight.held.has(inode)),
			notAccepted: listeners.filter(({ inode }) => !sight.accepted.has(inode)),
			blocking: listeners.filter(({ inode, fd }) => sight.polled.has(inode) && !isNonBlocking(fd)),
			polled: listeners.filter(({ inode }) => sight.polled.has(inode) && !sight.accepted.has(inode)),
			hidden: sight.hidden,
			unclear,
			isComplete: sight.unclear === null,
			failed: sight.failed,
			isStopped: sight.isStopped,
			elsewhere: () => listeningAmong(notOurs(sight.others)),
		};
	}
}

/** A process that holds a connection has accepted it: a server may be too busy to be seen waiting. */
async function addHeldConnections(listeners: Listener[], sight: Sight) {
	const missing = listeners.filter(({ inode }) => !sight.accepted.has(inode) && sight.held.has(inode));
	const connections = await connectionsBy(missing).catch(() => null);
	for (const [listener, held] of connections ?? []) {
		if ([...sight.others].some((inode) => held.has(inode))) sight.accepted.add(listener.inode);
	}
}

/**
 * io_uring reports how many accept operations are pending, but not their sockets. The socket is the listener if there
 * is only one and the processes hold no other listening socket.
 */
async function addPendingAccepts(inodes: ReadonlySet<number>, sight: Sight) {
	if (sight.pendingAccepts === 0 && sight.unclear === null) return;
	const others = await listeningAmong(notOurs(sight.others));
	if (others === null) return;
	// A child that listens on an address of its own is reported for that, and not as a child that can't be inspected.
	if (others.length > 0) sight.unclear = null;
	else if (sight.pendingAccepts > 0 && inodes.size === 1) for (const inode of sight.held) sight.accepted.add(inode);
}

/** Children hold some sockets of the supervisor, to send their messages: these do not count. */
function notOurs(inodes: ReadonlySet<number>): Set<number> {
	const others = new Set(inodes);
	for (const { file } of filesOf('self')) others.delete(Number(file.slice('socket:['.length, -1)));
	return others;
}
