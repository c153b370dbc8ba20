/** A look at all processes of a child: on which listeners they accept. */
import { lookAtProcess, newSight, type Sight } from '../os/acceptance.ts';
import { bootClock } from '../os/clock.ts';
import { isNonBlocking } from '../os/descriptors.ts';
import { filesOf } from '../os/proc.ts';
import { descendantsOf, treesOf } from '../os/processTree.ts';
import { oneAtATime } from '../os/yielding.ts';
import { connectionsBy } from '../sockets/connections.ts';
import type { Listener } from '../sockets/listener.ts';
import { listeningAmong } from '../sockets/listening.ts';

/** All looks are made one after the other: together they take no longer steps than one, and none is in another's way. */
export const inTurn = oneAtATime();

/** All processes of the machine are looked through, and connections counted, no more often than this, in milliseconds. */
const [betweenSearches, betweenCounts] = [1000, 500];

/** The same of a server that polls, and was not seen to wait: it may be too busy for that, in milliseconds. */
const betweenCountsOfBusy = 150;

/** A process that can't be looked at is spoken of when it has been so for that long, in milliseconds: others come and go. */
export const unclearFor = 2000;

/** A process whose threads can't be looked at is believed to wait for what it polls after so many looks. */
const looksThatPoll = 5;

export interface Found {
	/** Listeners that no process of the child holds, and those on which none accepts. */
	notHeld: Listener[];
	notAccepted: Listener[];
	/** Those that a process polls, and whose socket blocks. */
	blocking: Listener[];
	/** Those that a process polls, while no thread was seen to wait for that. */
	polled: Listener[];
	/** Why it can't be seen at all, or not for certain; null where it can. */
	hidden: string | null;
	unclear: string | null;
	/** Nothing of it was unclear. */
	isComplete: boolean;
	/** Why there was nothing to look with; null where there was. */
	failed: string | null;
	isStopped: boolean;
	/** Where it listens besides, as `127.0.0.1:3000`; null where the kernel does not tell. */
	elsewhere: () => Promise<string[] | null>;
}

/**
 * Looks at the processes of one child: at its descendants, and from time to time at those that have left them. Looks of
 * several children are to be made one after the other (`inTurn`).
 * @param options whether a connection that it holds tells that it accepts; for how long a process must not be seen for
 * certain until that is spoken of, in milliseconds
 */
export function treeLooks(
	listeners: Listener[],
	{ countsConnections, unclearAfterMs }: { countsConnections: boolean; unclearAfterMs: number },
) {
	const inodes = new Set(listeners.map(({ inode }) => inode));
	let nextSearch = 0;
	let nextCount = 0;
	/** Who can't be looked at, and since when. */
	let unclear: { pid: number; since: number } | null = null;
	/** In how many looks a process was met that polls a listener, and whose threads can't be looked at. */
	let polledLooks = new Map<string, number>();

	/** @param mark what all processes of the child have in their environment */
	return async (pid: number, mark: string[]): Promise<Found> => {
		const sight = newSight();
		const look = async (pids: number[]) => {
			for (const each of pids) {
				const before = sight.hidden;
				await lookAtProcess(each, inodes, sight);
				// Something that it has started can't be seen (a setuid helper): it itself can.
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

/** A connection that a process holds was accepted by it: a server may be too busy to be seen waiting. */
async function addHeldConnections(listeners: Listener[], sight: Sight) {
	const missing = listeners.filter(({ inode }) => !sight.accepted.has(inode) && sight.held.has(inode));
	const connections = await connectionsBy(missing).catch(() => null);
	for (const [listener, held] of connections ?? []) {
		if ([...sight.others].some((inode) => held.has(inode))) sight.accepted.add(listener.inode);
	}
}

/**
 * io_uring tells how many accept operations wait, and not on what. It is the listener where that is the only one, and the
 * processes hold no other listening socket.
 */
async function addPendingAccepts(inodes: ReadonlySet<number>, sight: Sight) {
	if (sight.pendingAccepts === 0 && sight.unclear === null) return;
	const others = await listeningAmong(notOurs(sight.others));
	if (others === null) return;
	// What listens on an address of its own is not taken for a server that only can't be seen.
	if (others.length > 0) sight.unclear = null;
	else if (sight.pendingAccepts > 0 && inodes.size === 1) for (const inode of sight.held) sight.accepted.add(inode);
}

/** Children hold some sockets of the supervisor's: those that they send their messages by. */
function notOurs(inodes: ReadonlySet<number>): Set<number> {
	const others = new Set(inodes);
	for (const { file } of filesOf('self')) others.delete(Number(file.slice('socket:['.length, -1)));
	return others;
}
