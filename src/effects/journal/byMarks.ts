/**
 * Recovers the children of a supervisor whose journal cannot be read. They are found by the marks in their
 * environment and by the sockets they hold.
 */
import { statSync } from 'node:fs';
import type { Plan } from '../../machines/facts/facts.ts';
import { type ChildState, newChild, newState, type SupervisorState } from '../../machines/state/supervisorState.ts';
import { ownNotifyDirs, runOf } from '../children/notifyDir.ts';
import { bootClock } from '../os/clock.ts';
import { firstGivenFd } from '../os/descriptors.ts';
import { environmentOf, environments } from '../os/environments.ts';
import { bootId } from '../os/ids.ts';
import { allPids, fdsAmong, fileOf, lookUp, ownerOf, tick } from '../os/proc.ts';
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
	/** The journal, and the part of an earlier one kept in PATH.bad. Either may have any format and any damage. */
	files: Buffer[];
	/** The URIs of the listeners of this start. */
	uris: string[];
	plan: Plan;
	/** The user that the children run as; null is the supervisor's own user. */
	user: User | null;
}

/** A header and a state in place of those from a journal. All children found form one serving generation. */
export interface Marked {
	header: Header;
	state: SupervisorState;
	/** The number of the last fact in the file. */
	seq: number;
}

/**
 * Finds the children of the supervisor that wrote the file. If the file does not identify the supervisor, finds the
 * run whose processes hold the wanted addresses. Processes that hold none of these addresses are not touched.
 * @returns null if there are no such children, or if /proc does not show enough to be certain
 * @throws {Error} if their supervisor is alive
 */
export async function findByMarks(search: Search): Promise<Marked | null> {
	const addresses = search.uris.map(addressesFor);
	const isWanted = ({ address }: Listening) => addresses.some((own) => isAmong(own, address, true));
	const bound = (await allListening())?.filter(isWanted) ?? null;
	// Usually nothing listens on these addresses. Return before any process is examined.
	if (bound?.length === 0) return null;
	for (const recorded of search.files.map(toldBy)) {
		const run = recorded.run ?? (await runOfAny(recorded));
		// If the kernel does not list listening sockets, use those recorded in the file.
		const wanted = bound ?? recorded.listeners.filter(isWanted);
		const found = run === null ? null : await childrenOfRun(run, recorded, { wanted, addresses }, search);
		if (found !== null) return found;
	}
	const run = await runOfHolders(bound ?? [], addresses, search.user);
	return run === null ? null : childrenOfRun(run, nothingTold(), { wanted: bound ?? [], addresses }, search);
}

interface Wanted {
	/** Sockets that listen on the addresses of the URIs. */
	wanted: Listening[];
	/** The addresses of each URI. */
	addresses: BoundAddress[][];
}

async function childrenOfRun(
	run: string,
	recorded: Told,
	{ wanted, addresses }: Wanted,
	{ uris, plan, user }: Search,
): Promise<Marked | null> {
	const runProcesses = await runProcessesOf(run, recorded, wanted, user);
	const listeners = uris.flatMap((uri, index) => {
		const found = listenerAt(addresses[index] ?? [], index, runProcesses, wanted);
		return found ? { uri, ...found } : [];
	});
	const inodes = new Set(listeners.map(({ inode }) => inode));
	const holders = runProcesses.filter(({ pid }) => (fdsAmong(pid, inodes) ?? []).length > 0);
	if (holders.length === 0) return null;
	const { supervisor } = recorded;
	const last = supervisor && lookUp(supervisor.pid);
	if (supervisor && last?.isAlive && last.startTime === supervisor.startTime)
		throw new Error(`its supervisor ${supervisor.pid} is still alive`);
	const notifyDir = ownNotifyDirs(user).find((folder) => runOf(folder) === run) ?? null;
	const header = { journal: 0, program: '', boot: bootId(), run, pid: 0, startTime: 0, args: [], listeners, notifyDir };
	const leaders = leadersOf(runProcesses, holders);
	const lastChild = Math.max(recorded.lastChild, ...runProcesses.map(({ child }) => child ?? 0));
	// Each generation has at least one child, so the last generation's number is at most the last child's. Neither
	// number is used again.
	const lastGeneration = Math.max(1, recorded.lastGeneration || lastChild);
	const children = leaders.map((leader, index) => childOf(leader, lastGeneration, index));
	await refuseSupervised(inodes, children);
	const served = { serving: lastGeneration, isComplete: true, lastGeneration, lastSize: children.length, lastChild };
	return { header, state: { ...newState(plan), ...served, children }, seq: recorded.seq };
}

interface Process {
	pid: number;
	/** The number of the child that this process is or descends from; null if unknown. */
	child: number | null;
}

interface Leader {
	pid: number;
	child: number;
	startTime: number;
}

/** Returns null if the kernel does not list the sockets. */
async function allListening(): Promise<Listening[] | null> {
	const found: Listening[] = [];
	try {
		for (const each of [listeningTcp(), listeningUnix()]) for await (const part of each) found.push(...part);
		return found;
	} catch {
		return null;
	}
}

/** Finds the run of a live child that the file names. */
async function runOfAny({ children }: Told): Promise<string | null> {
	for (const [pid, { startTime }] of [...children].reverse()) {
		if (lookUp(pid)?.startTime !== startTime) continue;
		const mark = markIn((await environmentOf(pid)) ?? []);
		if (mark !== null) return mark.run;
	}
	return null;
}

/**
 * Finds the run of the processes that hold a wanted address. Returns null if processes outside that run hold the
 * address, if another user created the socket, or if /proc does not show the marks.
 */
async function runOfHolders(
	listening: Listening[],
	addresses: BoundAddress[][],
	user: User | null,
): Promise<string | null> {
	// A port that the kernel chose does not identify a supervisor.
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
 * Finds the processes that carry the run's mark, and the processes that the file names. The file is needed because a
 * server that sets its process title overwrites its environment. This process is excluded: it can inherit the marks
 * of the process that started it.
 */
async function runProcessesOf(
	run: string,
	recorded: Told,
	listening: Listening[],
	user: User | null,
): Promise<Process[]> {
	const { variables } = await environments();
	const owners = new Set([process.geteuid?.(), user?.uid ?? process.geteuid?.()]);
	const inodes = new Set(listening.map(({ inode }) => inode));
	const markBySocket = socketMarks(user);
	return allPids().flatMap((pid) => {
		const fds = pid === process.pid ? [] : (fdsAmong(pid, inodes) ?? []);
		const isHolder = fds.some((fd) => isOfOurs(pid, fd)) && !isSupervisors(fds);
		// A process that holds a socket created by this user was given that socket. The marks of any other
		// process are trusted only if it runs as this user or as the children's user: any process can set the variables.
		if (pid === process.pid || !(isHolder || owners.has(ownerOf(pid)))) return [];
		const mark = markIn(variables.get(pid) ?? []) ?? (isHolder ? markBySocket(pid) : null);
		if (mark?.run === run) return { pid, child: mark.child };
		const stat = lookUp(pid);
		const known = recorded.children.get(pid);
		if (known !== undefined && known.startTime === stat?.startTime) return { pid, child: known.child };
		// A worker whose leader has exited stays in the leader's process group.
		const isLeft = isHolder && mark === null && recorded.children.has(stat?.group ?? 0);
		return isLeft ? { pid, child: null } : [];
	});
}

/**
 * Finds the leader of each child that holds a listener: it leads a process group, and its parent is not of the same
 * run.
 */
function leadersOf(runProcesses: Process[], holders: Process[]): Leader[] {
	const pids = new Set(runProcesses.map(({ pid }) => pid));
	const leaders = new Map<number, Leader>();
	for (const { pid, child } of runProcesses) {
		const { group, parent = 0, startTime = 0, isAlive } = lookUp(pid) ?? {};
		if (!isAlive || group !== pid || pids.has(parent) || child === null) continue;
		if (!holders.some((each) => each.child === child || ancestorsOf(each.pid)?.has(pid))) continue;
		// A descendant can also lead a process group after its parent has exited. The leader is the process that
		// started first.
		const other = leaders.get(child);
		if (!other || startTime < other.startTime) leaders.set(child, { pid, child, startTime });
	}
	return [...leaders.values()].sort((a, b) => a.child - b.child);
}

/**
 * Finds the socket that is bound to one of the addresses. For port 0, the socket is the one at the fd number that a
 * child was given. The socket must be created by this user and held by a process of the run, because any process can
 * carry the marks. For a UNIX socket, the path must lead to this socket.
 */
function listenerAt(addresses: BoundAddress[], index: number, runProcesses: Process[], listening: Listening[]) {
	const given = runProcesses.map(({ pid }) => fileOf(pid, firstGivenFd + index));
	for (const { inode, address, file = null } of listening) {
		if (!isAmong(addresses, address, given.includes(`socket:[${inode}]`))) continue;
		if (!runProcesses.some(({ pid }) => (fdsAmong(pid, new Set([inode])) ?? []).some((fd) => isOfOurs(pid, fd))))
			continue;
		if (addresses[0]?.family !== 'AF_UNIX') return { address, inode, file: null };
		const isOnlyOne = listening.every((each) => each.address !== address || each.inode === inode);
		const made = socketFileOf(address, file, isOnlyOne);
		if (made) return { address, inode, file: made };
	}
	return null;
}

/** Returns the addresses of a URI. For a URI that names an inherited fd, returns the address the fd is bound to. */
function addressesFor(uri: string): BoundAddress[] {
	try {
		const [, fd] = /^fd:\/*(\d+)/i.exec(withoutName(uri, process.env)) ?? [];
		return fd === undefined ? addressesOf(uri) : [boundAddress(Number(fd))];
	} catch {
		return [];
	}
}

/** Whether this process's user created the socket that a process holds. */
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
