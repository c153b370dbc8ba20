/** The children of a supervisor whose journal can't be read: found by the marks in their environment and by their sockets. */
import { lstatSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Plan } from '../../machines/facts.ts';
import { freshRoster, newChild, type Roster, type RosterChild } from '../../machines/roster.ts';
import { bootClock } from '../os/clock.ts';
import { bootId } from '../os/identity.ts';
import { allPids, environmentOf, environments, fdsAmong, fileOf, lookUp, tick } from '../os/proc.ts';
import type { User } from '../os/user.ts';
import { addressOfUri } from '../sockets/address.ts';
import { type Listening, listeningTcp, listeningUnix } from '../sockets/diag.ts';
import type { MadeFile } from '../sockets/madeFile.ts';
import type { Header } from './lineShapes.ts';
import { type Told, toldBy } from './told.ts';

export interface Search {
	/** What is in the file, of whatever format, and however damaged. */
	bytes: Buffer;
	/** Of the listeners that are wanted. */
	uris: string[];
	plan: Plan;
	/** Whose processes the children are; null is ours. */
	user: User | null;
}

/** What the journal would tell, as far as it can be seen: all children are of one generation, which serves. */
export interface Marked {
	header: Header;
	roster: Roster;
}

/**
 * Looks for the children of the supervisor that wrote the file, or, where it does not tell which one that was, of the one
 * whose children hold the wanted addresses.
 * @returns null where there are none, or it can't be seen for certain that they are
 * @throws {Error} when their supervisor is alive
 */
export async function findByMarks({ bytes, uris, plan, user }: Search): Promise<Marked | null> {
	const listening = await allListening();
	const told = toldBy(bytes);
	const run = told.run ?? (await runOfAny(told)) ?? (await runOfHolders(listening, uris));
	if (run === null) return null;
	const { variables } = await environments();
	const family = familyOf(run, told, variables, new Set([process.geteuid?.(), user?.uid ?? process.geteuid?.()]));
	if (family.length === 0) return null;
	const leaders = leadersOf(family);
	const listeners = uris.flatMap((uri, index) => listenerFor(uri, index, family, listening) ?? []);
	refuseIfSupervised(family, new Set(listeners.map(({ inode }) => inode)));
	const words = family.map((each) => folderOf(each, run)).find((folder) => folder !== null) ?? null;
	const header = { journal: 0, program: '', boot: bootId(), run, pid: 0, startTime: 0, args: [], listeners, words };
	const children = leaders.map(childOf);
	const lastChild = Math.max(0, ...children.map(({ child }) => child));
	const served = { serving: 1, isWhole: true, lastGeneration: 1, lastSize: children.length, lastChild };
	return { header, roster: { ...freshRoster(plan), ...served, children } };
}

interface Process {
	pid: number;
	/** As `NAME=value`; empty where they can't be seen. */
	variables: string[];
	/** The number of the child that it is, or comes from; null where it is not known. */
	child: number | null;
}

interface Leader extends Process {
	child: number;
	startTime: number;
}

async function allListening(): Promise<Listening[]> {
	const found: Listening[] = [];
	try {
		for (const each of [listeningTcp(), listeningUnix()]) for await (const part of each) found.push(...part);
	} catch {
		// Then they are known by what the file tells alone.
	}
	return found;
}

/** The run of a child that the file names, and that lives. */
async function runOfAny({ children }: Told): Promise<string | null> {
	for (const [pid, { startTime }] of [...children].reverse()) {
		if (lookUp(pid)?.startTime !== startTime) continue;
		const run = variableIn('SOCKETMASTER_RUN', (await environmentOf(pid)) ?? []);
		if (run !== null) return run;
	}
	return null;
}

/** Processes with the run's mark, and those that the file tells of: a server that sets its title writes over its environment. */
function familyOf(
	run: string,
	{ children, sockets }: Told,
	variables: ReadonlyMap<number, string[]>,
	owners: ReadonlySet<number | undefined>,
): Process[] {
	return allPids().flatMap((pid) => {
		const own = variables.get(pid) ?? [];
		const known = children.get(pid);
		const isKnown = known !== undefined && known.startTime === lookUp(pid)?.startTime;
		const isMarked = own.includes(`SOCKETMASTER_RUN=${run}`);
		const isHolder = sockets.size > 0 && (fdsAmong(pid, sockets) ?? []).length > 0;
		if (!(isMarked || isKnown || isHolder) || !owners.has(ownerOf(pid))) return [];
		const child = isMarked ? Number(variableIn('SOCKETMASTER_CHILD', own)) : isKnown ? known.child : 0;
		return { pid, variables: own, child: Number.isSafeInteger(child) && child > 0 ? child : null };
	});
}

/** The run of the processes that hold a wanted address; null where others hold it too, or have made it, or it can't be seen. */
async function runOfHolders(listening: Listening[], uris: string[]): Promise<string | null> {
	const wanted = new Set(uris.flatMap((uri) => addressOfUri(uri) ?? []));
	const inodes = new Set(listening.flatMap(({ inode, address }) => (wanted.has(address) ? inode : [])));
	if (inodes.size === 0) return null;
	const runs = new Set<string | null>();
	for (const pid of allPids()) {
		const [fd] = fdsAmong(pid, inodes) ?? [];
		if (fd === undefined) continue;
		runs.add(isOfOurs(pid, fd) ? variableIn('SOCKETMASTER_RUN', (await environmentOf(pid)) ?? []) : null);
	}
	const [run = null] = runs;
	return runs.size === 1 ? run : null;
}

/** Each child's first process: it leads a group, and no process of its run has started it. */
function leadersOf(family: Process[]): Leader[] {
	const pids = new Set(family.map(({ pid }) => pid));
	const leaders = new Map<number, Leader>();
	for (const each of family) {
		const { pid, child } = each;
		const { group, parent = 0, startTime = 0, isAlive } = lookUp(pid) ?? {};
		if (!isAlive || group !== pid || pids.has(parent) || child === null) continue;
		// A process of a child that has ended leads a group, too.
		const other = leaders.get(child);
		if (!other || startTime < other.startTime) leaders.set(child, { ...each, child, startTime });
	}
	return [...leaders.values()].sort((a, b) => a.child - b.child);
}

/**
 * The socket that is bound where the URI says; for a port that the kernel was to choose, the one that a child was given. It
 * has to be one that this user has made, and that they hold: anybody may call a process a child of ours.
 */
function listenerFor(uri: string, index: number, family: Process[], listening: Listening[]) {
	const wanted = addressOfUri(uri);
	if (wanted === null) return null;
	const isChosen = !wanted.startsWith('/') && wanted.endsWith(':0');
	const given = isChosen ? family.map(({ pid }) => fileOf(pid, firstFd + index)) : [];
	const found = listening.find(({ inode, address }) =>
		isChosen ? given.includes(`socket:[${inode}]`) : address === wanted,
	);
	if (
		!found ||
		!family.some(({ pid }) => (fdsAmong(pid, new Set([found.inode])) ?? []).some((fd) => isOfOurs(pid, fd)))
	)
		return null;
	return { uri, address: found.address, inode: found.inode, file: madeFileAt(found.address) };
}

/** Whether our user has made a socket that a process holds. */
function isOfOurs(pid: number, fd: number): boolean {
	try {
		return statSync(`/proc/${pid}/fd/${fd}`).uid === process.geteuid?.();
	} catch {
		return false;
	}
}

const firstFd = 3;

function madeFileAt(path: string): MadeFile | null {
	try {
		const { dev, ino } = lstatSync(path);
		return path.startsWith('/') ? { path, dev, ino } : null;
	} catch {
		return null;
	}
}

/** @throws {Error} where a process that has started one of them holds a listener, or may */
function refuseIfSupervised(family: Process[], inodes: ReadonlySet<number>) {
	const pids = new Set(family.map(({ pid }) => pid));
	for (const { pid } of family) {
		const { parent = 0 } = lookUp(pid) ?? {};
		if (parent <= 1 || pids.has(parent) || fdsAmong(parent, inodes)?.length === 0) continue;
		throw new Error(`its supervisor ${parent} is still alive`);
	}
}

function childOf({ pid, child, startTime }: Leader, index: number): RosterChild {
	const pipe = /^pipe:\[(\d+)\]$/.exec(fileOf(pid, 1) ?? '')?.[1];
	const born = startTime * tick;
	return {
		...newChild({ child, generation: 1, index, at: Date.now() }),
		pid,
		startTime,
		pipe: pipe === undefined ? null : Number(pipe),
		phase: 'serving',
		clock: bootClock(),
		born,
		wasUp: true,
	};
}

/** Where its messages go, if that is a folder of its supervisor's. */
function folderOf({ variables }: Process, run: string): string | null {
	const folder = dirname(variableIn('NOTIFY_SOCKET', variables) ?? '');
	return basename(folder) === `socketmaster-${run}` ? folder : null;
}

function variableIn(name: string, variables: string[]): string | null {
	return variables.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1) ?? null;
}

/** Null where that can't be seen. */
function ownerOf(pid: number): number | undefined {
	try {
		return statSync(`/proc/${pid}`).uid;
	} catch {
		return undefined;
	}
}
