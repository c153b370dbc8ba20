/** Inspects all processes of a child: on which listeners they accept. */
import { lookAtProcess, newSight, type Sight } from '../os/acceptance.ts';
import { bootClock } from '../os/clock.ts';
import { isNonBlocking } from '../os/descriptors.ts';
import { filesOf, socketInode } from '../os/proc.ts';
import { descendantsOf, treesOf } from '../os/processTree.ts';
import { oneAtATime } from '../os/yielding.ts';
import { connectionsBy } from '../sockets/connections.ts';
import type { Listener } from '../sockets/listener.ts';
import { listeningAmong } from '../sockets/listening.ts';
import { countPolledLooks, type PolledLooks, type UnclearSince, unclearSince } from './repeatedLooks.ts';

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

/** The age of the list of processes that the last inspection of a check may use, in milliseconds. */
const lastSearchAge = 100;

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

export interface TreeLookOptions {
	/** Whether an open connection shows that a process accepts. */
	countsConnections: boolean;
	/** How long a process must be unclear before it is reported, in milliseconds. */
	unclearAfterMs: number;
	/**
	 * Processes that have left the tree are not searched for before `searchAt`, and in every inspection from `deadline`
	 * on. In milliseconds since boot.
	 */
	searchAt: number;
	deadline: number;
}

/** @param mark entries in the environment of every process of the child */
export type TreeLook = (pid: number, mark: string[]) => Promise<Found>;

/**
 * Inspects the processes of one child: its descendants, and from time to time processes that have left the tree.
 * Inspections of several children must run one after another (`inTurn`).
 */
export function treeLooks(listeners: Listener[], options: TreeLookOptions): TreeLook {
	const inspector = new TreeInspector(listeners, options);
	return (pid, mark) => inspector.inspect(pid, mark);
}

class TreeInspector {
	readonly #listeners: Listener[];
	readonly #inodes: ReadonlySet<number>;
	readonly #countsConnections: boolean;
	readonly #unclearAfterMs: number;
	#nextSearch: number;
	readonly #deadline: number;
	#nextCount = 0;
	#unclear: UnclearSince | null = null;
	#polledLooks: PolledLooks = new Map();

	constructor(listeners: Listener[], { countsConnections, unclearAfterMs, searchAt, deadline }: TreeLookOptions) {
		this.#listeners = listeners;
		this.#inodes = new Set(listeners.map(({ inode }) => inode));
		this.#countsConnections = countsConnections;
		this.#unclearAfterMs = unclearAfterMs;
		this.#nextSearch = searchAt;
		this.#deadline = deadline;
	}

	async inspect(pid: number, mark: string[]): Promise<Found> {
		const sight = newSight();
		const descendants = await descendantsOf(pid);
		const looked = new Set(descendants ?? [pid]);
		await this.#lookAtAll([...looked], pid, sight);
		const isLast = bootClock() >= this.#deadline;
		if (!this.#isAllAccepted(sight) && (descendants === null || isLast || bootClock() >= this.#nextSearch)) {
			this.#nextSearch = bootClock() + betweenSearches;
			const tree = (await treesOf([{ pid, mark }], isLast ? lastSearchAge : betweenSearches)).get(pid) ?? [];
			const left = tree.filter((each) => !looked.has(each));
			await this.#lookAtAll(left, pid, sight);
		}
		const { looks, accepted } = countPolledLooks(this.#polledLooks, sight.polledUnseen);
		for (const inode of accepted) sight.accepted.add(inode);
		this.#polledLooks = looks;
		await this.#countConnections(sight);
		await addPendingAccepts(this.#inodes, sight);
		const now = bootClock();
		this.#unclear = unclearSince(this.#unclear, sight.unclear, now);
		const isUnclear = this.#unclear !== null && now - this.#unclear.since >= this.#unclearAfterMs;
		return foundIn(this.#listeners, sight, isUnclear ? (sight.unclear?.why ?? null) : null);
	}

	async #lookAtAll(pids: number[], leader: number, sight: Sight): Promise<void> {
		for (const each of pids) {
			const before = sight.hidden;
			await lookAtProcess(each, this.#inodes, sight);
			// A descendant can't be inspected (a setuid helper), but the leader can.
			if (each !== leader && before === null && sight.hidden !== null) {
				sight.unclear ??= { pid: each, why: sight.hidden };
				sight.hidden = null;
			}
		}
	}

	async #countConnections(sight: Sight): Promise<void> {
		if (!this.#countsConnections || this.#isAllAccepted(sight) || sight.others.size === 0) return;
		if (bootClock() < this.#nextCount) return;
		this.#nextCount = bootClock() + (sight.polled.size > 0 ? betweenCountsOfBusy : betweenCounts);
		await addHeldConnections(this.#listeners, sight);
	}

	#isAllAccepted(sight: Sight): boolean {
		return sight.accepted.size === this.#inodes.size;
	}
}

/** @param unclear why the processes can't be inspected completely, if that is to be reported */
function foundIn(listeners: Listener[], sight: Sight, unclear: string | null): Found {
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
	for (const { file } of filesOf('self')) others.delete(socketInode(file) ?? Number.NaN);
	return others;
}
