/** The children of a supervisor whose journal can't be read: found by the marks in their environment and by their sockets. */
import { statSync } from 'node:fs';
import type { Plan } from '../../machines/facts/facts.ts';
import { type ChildState, newChild, newState, type SupervisorState } from '../../machines/state/supervisorState.ts';
import { ownNotifyDirs, runOf } from '../children/notifyDir.ts';
import { bootClock } from '../os/clock.ts';
import { firstGivenFd } from '../os/descriptors.ts';
import { bootId } from '../os/ids.ts';
import { allPids, environmentOf, environments, fdsAmong, fileOf, lookUp, ownerOf, tick } from '../os/proc.ts';
import { ancestorsOf } from '../os/processTree.ts';
import type { User } from '../os/user.ts';
import { withoutName } from '../sockets/activation.ts';
import { addressesOf, type BoundAddress, boundAddress, isAmong } from '../sockets/address.ts';
import { type Listening, listeningTcp, listeningUnix } from '../sockets/diag.ts';
import { socketFileOf } from '../sockets/unixListener.ts';
import type { Header } from './lineSchemas.ts';
import { markIn, socketMarks } from './marks.ts';
import { isManager, isSupervisors, refuseSupervised } from './otherSupervisors.ts';
import { outputOf } from './survivors.ts';
import { nothingTold, type Told, toldBy } from './unreadableJournal.ts';

export interface Search {
	/** The journal, and what was kept of an earlier one: of whatever format, and however damaged. */
	files: Buffer[];
	/** Of the listeners that are wanted. */
	uris: string[];
	plan: Plan;
	/** Whose processes the children are; null is ours. */
	user: User | null;
}

/** What the journal would tell, as far as it can be seen: all children are of one generation, which serves. */
export interface Marked {
	header: Header;
	state: SupervisorState;
	/** The number of the last fact that the file tells of. */
	seq: number;
}

/**
 * Looks for the children of the supervisor that wrote the file, or, where it does not tell which one that was, of the one
 * whose children hold the wanted addresses. A process that holds none of them is left alone.
 * @returns null where there are none, or it can't be seen for certain that they are
 * @throws {Error} when their supervisor is alive
 */
export async function findByMarks(search: Search): Promise<Marked | null> {
	const addresses = search.uris.map(addressesFor);
	const isWanted = ({ address }: Listening) => addresses.some((own) => isAmong(own, address, true));
	const bound = (await allListening())?.filter(isWanted) ?? null;
	// Mostly nothing listens there: then no process is looked at.
	if (bound?.length === 0) return null;
	for (const told of search.files.map(toldBy)) {
		const run = told.run ?? (await runOfAny(told));
		// What the kernel does not tell the file may.
		const wanted = bound ?? told.listeners.filter(isWanted);
		const found = run === null ? null : await childrenOfRun(run, told, { wanted, addresses }, search);
		if (found !== null) return found;
	}
	const run = await runOfHolders(bound ?? [], addresses, search.user);
	return run === null ? null : childrenOfRun(run, nothingTold(), { wanted: bound ?? [], addresses }, search);
}

interface Wanted {
	/** Sockets that listen where the URIs say. */
	wanted: Listening[];
	/** What each URI means. */
	addresses: BoundAddress[][];
}

async function childrenOfRun(
	run: string,
	told: Told,
	{ wanted, addresses }: Wanted,
	{ uris, plan, user }: Search,
): Promise<Marked | null> {
	const family = await familyOf(run, told, wanted, user);
	const listeners = uris.flatMap((uri, index) => {
		const found = listenerAt(addresses[index] ?? [], index, family, wanted);
		return found ? { uri, ...found } : [];
	});
	const inodes = new Set(listeners.map(({ inode }) => inode));
	const holders = family.filter(({ pid }) => (fdsAmong(pid, inodes) ?? []).length > 0);
	if (holders.length === 0) return null;
	const { supervisor } = told;
	const last = supervisor && lookUp(supervisor.pid);
	if (supervisor && last?.isAlive && last.startTime === supervisor.startTime)
		throw new Error(`its supervisor ${supervisor.pid} is still alive`);
	const notifyDir = ownNotifyDirs(user).find((folder) => runOf(folder) === run) ?? null;
	const header = { journal: 0, program: '', boot: bootId(), run, pid: 0, startTime: 0, args: [], listeners, notifyDir };
	const leaders = leadersOf(family, holders);
	const lastChild = Math.max(told.lastChild, ...family.map(({ child }) => child ?? 0));
	// Each generation has a child at least: their numbers are not used again, whatever they were.
	const lastGeneration = Math.max(1, told.lastGeneration || lastChild);
	const children = leaders.map((leader, index) => childOf(leader, lastGeneration, index));
	await refuseSupervised(inodes, children);
	const served = { serving: lastGeneration, isComplete: true, lastGeneration, lastSize: children.length, lastChild };
	return { header, state: { ...newState(plan), ...served, children }, seq: told.seq };
}

interface Process {
	pid: number;
	/** The number of the child that it is, or comes from; null where it is not known. */
	child: number | null;
}

interface Leader {
	pid: number;
	child: number;
	startTime: number;
}

/** Null where the kernel does not tell. */
async function allListening(): Promise<Listening[] | null> {
	const found: Listening[] = [];
	try {
		for (const each of [listeningTcp(), listeningUnix()]) for await (const part of each) found.push(...part);
		return found;
	} catch {
		return null;
	}
}

/** The run of a child that the file names, and that lives. */
async function runOfAny({ children }: Told): Promise<string | null> {
	for (const [pid, { startTime }] of [...children].reverse()) {
		if (lookUp(pid)?.startTime !== startTime) continue;
		const mark = markIn((await environmentOf(pid)) ?? []);
		if (mark !== null) return mark.run;
	}
	return null;
}

/** The run of the processes that hold a wanted address; null where others hold it too, or have made it, or it can't be seen. */
async function runOfHolders(
	listening: Listening[],
	addresses: BoundAddress[][],
	user: User | null,
): Promise<string | null> {
	// Of a port that the kernel chose nothing is known.
	const isWanted = ({ address }: Listening) => addresses.some((own) => isAmong(own, address));
	const inodes = new Set(listening.filter(isWanted).map(({ inode }) => inode));
	if (inodes.size === 0) return null;
	const markBySocket = socketMarks(user);
	const runs = new Set<string | null>();
	for (const pid of allPids()) {
		const fds = fdsAmong(pid, inodes) ?? [];
		const [fd] = fds;
		if (fd === undefined || pid === process.pid || isManager(pid)) continue;
		const mark =
			isOfOurs(pid, fd) && !isSupervisors(fds) ? (markIn((await environmentOf(pid)) ?? []) ?? markBySocket(pid)) : null;
		runs.add(mark?.run ?? null);
	}
	const [run = null] = runs;
	return runs.size === 1 ? run : null;
}

/**
 * Processes with the run's mark, and those that the file tells of: a server that sets its title writes over its environment.
 * This start itself may bear the marks of the process that has started it.
 */
async function familyOf(run: string, told: Told, listening: Listening[], user: User | null): Promise<Process[]> {
	const { variables } = await environments();
	const owners = new Set([process.geteuid?.(), user?.uid ?? process.geteuid?.()]);
	const inodes = new Set(listening.map(({ inode }) => inode));
	const markBySocket = socketMarks(user);
	return allPids().flatMap((pid) => {
		const fds = pid === process.pid ? [] : (fdsAmong(pid, inodes) ?? []);
		const isHolder = fds.some((fd) => isOfOurs(pid, fd)) && !isSupervisors(fds);
		// Whoever holds a socket that we have made was given it; else anybody may bear the marks.
		if (pid === process.pid || !(isHolder || owners.has(ownerOf(pid)))) return [];
		const mark = markIn(variables.get(pid) ?? []) ?? (isHolder ? markBySocket(pid) : null);
		if (mark?.run === run) return { pid, child: mark.child };
		const stat = lookUp(pid);
		const known = told.children.get(pid);
		if (known !== undefined && known.startTime === stat?.startTime) return { pid, child: known.child };
		// A worker whose master has ended is in its group still.
		const isLeft = isHolder && mark === null && told.children.has(stat?.group ?? 0);
		return isLeft ? { pid, child: null } : [];
	});
}

/** The first process of each child that holds a listener: it leads a group, and no process of its run has started it. */
function leadersOf(family: Process[], holders: Process[]): Leader[] {
	const pids = new Set(family.map(({ pid }) => pid));
	const leaders = new Map<number, Leader>();
	for (const { pid, child } of family) {
		const { group, parent = 0, startTime = 0, isAlive } = lookUp(pid) ?? {};
		if (!isAlive || group !== pid || pids.has(parent) || child === null) continue;
		if (!holders.some((each) => each.child === child || ancestorsOf(each.pid)?.has(pid))) continue;
		// A process of a child that has ended leads a group, too.
		const other = leaders.get(child);
		if (!other || startTime < other.startTime) leaders.set(child, { pid, child, startTime });
	}
	return [...leaders.values()].sort((a, b) => a.child - b.child);
}

/**
 * The socket that is bound to one of the addresses; for a port that the kernel was to choose, the one that a child was given. It
 * has to be one that this user has made, and that they hold: anybody may call a process a child of ours. A path has to lead to it.
 */
function listenerAt(addresses: BoundAddress[], index: number, family: Process[], listening: Listening[]) {
	const given = family.map(({ pid }) => fileOf(pid, firstGivenFd + index));
	for (const { inode, address, file = null } of listening) {
		if (!isAmong(addresses, address, given.includes(`socket:[${inode}]`))) continue;
		if (!family.some(({ pid }) => (fdsAmong(pid, new Set([inode])) ?? []).some((fd) => isOfOurs(pid, fd)))) continue;
		if (addresses[0]?.family !== 'AF_UNIX') return { address, inode, file: null };
		const isOnlyOne = listening.every((each) => each.address !== address || each.inode === inode);
		const made = socketFileOf(address, file, isOnlyOne);
		if (made) return { address, inode, file: made };
	}
	return null;
}

/** What a URI means; of one that names an inherited socket, what that is bound to. */
function addressesFor(uri: string): BoundAddress[] {
	try {
		const [, fd] = /^fd:\/*(\d+)/i.exec(withoutName(uri, process.env)) ?? [];
		return fd === undefined ? addressesOf(uri) : [boundAddress(Number(fd))];
	} catch {
		return [];
	}
}

/** Whether our user has made a socket that a process holds. */
function isOfOurs(pid: number, fd: number): boolean {
	try {
		return statSync(`/proc/${pid}/fd/${fd}`).uid === process.geteuid?.();
	} catch {
		return false;
	}
}

function childOf({ pid, child, startTime }: Leader, generation: number, index: number): ChildState {
	return {
		...newChild({ child, generation, index, at: Date.now() }),
		pid,
		startTime,
		pipe: outputOf({ pid }).pipe,
		phase: 'serving',
		clock: bootClock(),
		spawnedClock: startTime * tick,
		wasUp: true,
	};
}
