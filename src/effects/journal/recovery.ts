/**
 * Recovery after a supervisor was killed: uses the journal to find the children, the listeners and the output pipes.
 */
import { closeSync } from 'node:fs';
import { evolveProjections, noProjections, type Projections } from '../../machines/state/projections.ts';
import { withLastEnd, withoutChildThatNeverWas } from '../../machines/state/recoveryState.ts';
import type { ChildState, Respawn, SupervisorState } from '../../machines/state/supervisorState.ts';
import type { Survivor } from '../children/children.ts';
import type { SavedNotifySockets } from '../children/notifySockets.ts';
import type { OpenPipe } from '../children/output.ts';
import { bootClock } from '../os/clock.ts';
import { environments } from '../os/environments.ts';
import { listOf } from '../os/errorText.ts';
import { bootId } from '../os/ids.ts';
import { errno, SyscallError } from '../os/libc.ts';
import { findProcess, openPidfd, takeFdIfOpen } from '../os/pidfd.ts';
import { allPids, fdsAmong, lookUp, mayLookAt, tick } from '../os/proc.ts';
import type { User } from '../os/user.ts';
import type { Listener } from '../sockets/listener.ts';
import { type Header, projectionsOf } from './lineSchemas.ts';
import type { JournalContent } from './lines.ts';
import { markIn } from './marks.ts';
import { refuseSupervised } from './otherSupervisors.ts';
import {
	isTrusted,
	nobody,
	outputOf,
	type SurvivingProcess,
	survivingProcessesOf,
	takeListening,
	takeNotifySockets,
	takePipes,
} from './survivors.ts';

/** Folds a journal into projections. Returns them with the number of the last fact. */
export function foldJournal({ lines }: JournalContent): { past: Projections; seq: number } {
	let past = noProjections;
	let seq = 0;
	for (const line of lines) {
		past = 'checkpoint' in line ? projectionsOf(line) : evolveProjections(past, line);
		seq = line.seq;
	}
	return { past, seq };
}

export interface Recovered {
	state: SupervisorState;
	survivors: Survivor[];
	/** The output pipes of the surviving processes. */
	pipes: OpenPipe[];
	/** The listeners that a surviving process still holds. */
	listeners: Listener[];
	/** Processes that children left behind which are no longer in the state. They hold a listener. */
	orphans: number[];
	/** The notify sockets that the surviving processes hold. */
	notifySockets: SavedNotifySockets;
	remarks: string[];
}

/** Live children that cannot be taken over, and the reason. */
export interface Denied {
	denied: number[];
	why: string;
	/**
	 * True if the processes are known to be children. If false, the pids may belong to non-child processes by now.
	 */
	isCertain: boolean;
}

/** Children that hold a listener and are missing in the journal: the journal is incomplete. */
export interface Unrecorded {
	unrecorded: number[];
}

/** No child is alive; only surviving processes of former children hold pipes or listeners. */
export interface Orphaned {
	orphaned: { pipes: OpenPipe[]; listeners: Listener[]; orphans: number[] };
	/** The pids of the surviving processes. */
	pids: number[];
}

export interface RecoveryOptions {
	/** The user that the children run as; null is the supervisor's own user. */
	user: User | null;
	/** Recovers from this state even if children are missing in it, because no better source exists. */
	isAll: boolean;
	/** Reports processes whose environment cannot be read. */
	say: (text: string) => void;
}

/**
 * Takes over the children, listeners and pipes of the previous supervisor.
 * @returns null if no process survives
 * @throws {Error} if the previous supervisor is alive
 */
export async function recover(
	header: Header,
	folded: SupervisorState,
	{ user, isAll, say }: RecoveryOptions,
): Promise<Recovered | Denied | Orphaned | Unrecorded | null> {
	if (header.boot === '' || header.boot !== bootId()) return null;
	const last = lookUp(header.pid);
	if (header.pid !== process.pid && last?.isAlive && last.startTime === header.startTime) {
		throw new Error(`its supervisor ${header.pid} is still alive`);
	}
	const { variables, late } = await environments();
	if (late.length > 0) say(lateText(late));
	const unrecorded = unrecordedIn(header, folded, variables);
	if (unrecorded.length > 0 && !isAll) return { unrecorded };
	const inodes = new Set(header.listeners.map(({ inode }) => inode));
	const state = withUnrecorded(withLastEnd(folded), header.run, variables, (pid) => isTrusted(pid, inodes, user));
	const hidden: number[] = [];
	const held: (ChildState & { pid: number; pidfd: number })[] = [];
	for (const child of state.children) {
		const { pid, startTime } = child;
		if (pid === null || startTime === null) continue;
		const pidfd = findProcess(pid, startTime);
		if (pidfd === 'hidden') hidden.push(pid);
		else if (pidfd !== 'gone') held.push({ ...child, pid, pidfd });
	}
	if (hidden.length > 0) {
		for (const { pidfd } of held) closeSync(pidfd);
		const why = '/proc hides them (hidepid=, ProtectProc=): it takes CAP_SYS_PTRACE';
		return { denied: [...hidden, ...held.map(({ pid }) => pid)], why, isCertain: held.length > 0 };
	}
	const gone = new Set(
		state.children.flatMap(({ pid }) => (pid !== null && !held.some((each) => each.pid === pid) ? pid : [])),
	);
	const survivors = held.map(({ pid, child, pidfd }) => ({ pid, child, pidfd }));
	const search = { run: header.run, survivors, gone, listeners: inodes, environments: variables, user };
	const surviving = survivingProcessesOf(search);
	try {
		// The pipe of a live child is in its record.
		const others = surviving.filter(({ pidfd }) => pidfd === undefined);
		await refuseSupervised(inodes, [...state.children, ...others.map(outputOf)]);
	} catch (error) {
		for (const { pidfd } of held) closeSync(pidfd);
		throw error;
	}
	if (held.length === 0) return takeOrphaned(header, surviving, inodes);
	let pipes: OpenPipe[] = [];
	const listeners: Listener[] = [];
	const groups: (Survivor & { group: [number, number][] })[] = [];
	try {
		for (const each of held) requireRight(each);
		pipes = takePipes(surviving, state.children);
		const remarks = held
			.filter(({ child, pipe }) => pipe !== null && !pipes.some((each) => each.child === child))
			.map(({ pid }) => `The output of ${pid} can't be taken over: it prints elsewhere`);
		const unknown = surviving
			.filter(({ pid, child }) => child > state.lastChild && lookUp(pid)?.group === pid)
			.map(({ pid }) => pid);
		// Processes without a child's number are members of the group of a child in the state, whose exit is still reported.
		const isOfKnown = (child: number) =>
			child === nobody || child > state.lastChild || state.children.some((each) => each.child === child);
		const left = surviving
			.filter(({ child }) => !isOfKnown(child))
			.map(({ pid }) => ({ pid, fds: fdsAmong(pid, inodes) }));
		const orphans = left.flatMap(({ pid, fds }) => (fds !== null && fds.length > 0 ? pid : []));
		const unclear = left.flatMap(({ pid, fds }) => (fds === null ? pid : []));
		if (unclear.length > 0) remarks.push(unclearText(unclear));
		if (unknown.length > 0) remarks.push(unknownText(unknown));
		const taken = held.map(({ child, pid, pidfd, stopSignal }) => ({
			child,
			pid,
			pidfd,
			isOwn: false,
			wasKilled: false,
			group: null,
			told: stopSignal?.signal ?? null,
			abandonedUntil: null,
		}));
		for (const child of state.children) groups.push(...awaitedGroup(child, surviving));
		for (const each of header.listeners)
			listeners.push(...[takeListening(each, surviving)].filter((found) => found !== null));
		const notifySockets = { folder: header.notifyDir, ...takeNotifySockets(header.notifyDir, surviving, user) };
		return { state, survivors: [...taken, ...groups], pipes, listeners, orphans, notifySockets, remarks };
	} catch (error) {
		if (!(error instanceof SyscallError)) throw error;
		for (const { pidfd } of held) closeSync(pidfd);
		for (const [, pidfd] of groups.flatMap(({ group }) => group)) closeSync(pidfd);
		for (const { fd } of [...pipes, ...listeners]) closeSync(fd);
		const why = `${error.message} (it takes CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, or the same user and ptrace allowed)`;
		return { denied: held.map(({ pid }) => pid), why, isCertain: true };
	}
}

/**
 * Finds children that are missing in the journal. They lead a process group, carry a child number above the last
 * recorded one, and their parent is not of the same run.
 */
function unrecordedIn(
	{ run, listeners }: Header,
	{ lastChild }: SupervisorState,
	variables: ReadonlyMap<number, string[]>,
) {
	const inodes = new Set(listeners.map(({ inode }) => inode));
	return [...variables].flatMap(([pid, own]) => {
		const mark = markIn(own);
		if (mark?.run !== run || (mark.child ?? 0) <= lastChild) return [];
		const { group, parent = 0 } = lookUp(pid) ?? {};
		const isFirst = group === pid && markIn(variables.get(parent) ?? [])?.run !== run;
		return isFirst && (fdsAmong(pid, inodes) ?? []).length > 0 ? pid : [];
	});
}

function lateText(pids: number[]): string {
	const [who, they] = pids.length === 1 ? ['Process', 'it'] : ['Processes', 'they'];
	return `${who} ${listOf(pids)} did not answer: if ${they} came from an earlier supervisor, what ${they} hold${pids.length === 1 ? 's' : ''} is not taken over`;
}

/** Describes processes that lost children have left behind, and whose fds can't be read. */
function unclearText(pids: number[]): string {
	const which = pids.length === 1 ? 'Process' : 'Processes';
	return `${which} ${listOf(pids)}, which an earlier supervisor has left, may hold the sockets and can't be looked at: left alone`;
}

/** Describes processes that were spawned while the journal could not be written. */
export function unknownText(pids: number[]): string {
	return `Processes ${pids.join(', ')} of an earlier supervisor live on, and are no child that it knew`;
}

/**
 * Searches all processes for each child whose spawn was decided and whose pid is not recorded. If no process is
 * found, the child is removed from the state.
 */
function withUnrecorded(
	state: SupervisorState,
	run: string,
	variables: ReadonlyMap<number, string[]>,
	isTrusted: (pid: number) => boolean,
): SupervisorState {
	const pipes = new Set(state.children.map(({ pipe }) => pipe));
	let rest = state;
	const spawned: ChildState[] = [];
	for (const child of state.children) {
		if (child.pid !== null) continue;
		const found = findSpawned(run, child, pipes, variables, isTrusted);
		rest = withoutChildThatNeverWas(rest, child);
		if (!found) continue;
		const spawnedClock = found.startTime * tick;
		spawned.push({ ...child, ...found, phase: 'booting', clock: spawnedClock, spawnedClock });
	}
	const isFilled = ({ generation, index }: Respawn) =>
		spawned.some((child) => child.generation === generation && child.index === index);
	return {
		...rest,
		children: [...rest.children, ...spawned],
		respawns: rest.respawns.filter((each) => !isFilled(each)),
	};
}

/** Tolerance for changes of the wall clock between record and recovery, in milliseconds. */
const slack = 2000;

/**
 * Finds the process of a child by its environment. Descendants inherit the environment, so the process must also lead
 * its process group.
 */
function findSpawned(
	run: string,
	{ child, since }: ChildState,
	known: Set<number | null>,
	variables: ReadonlyMap<number, string[]>,
	isTrusted: (pid: number) => boolean,
) {
	const wanted = [`SOCKETMASTER_RUN=${run}`, `SOCKETMASTER_CHILD=${child}`];
	const earliest = bootClock() - (Date.now() - since) - slack;
	for (const pid of allPids()) {
		const stat = lookUp(pid);
		if (stat?.group !== pid) continue;
		const environment = variables.get(pid) ?? [];
		if (!wanted.every((entry) => environment.includes(entry)) || !isTrusted(pid)) continue;
		// A descendant of the child may lead a process group too.
		if (variables.get(stat.parent)?.includes(`SOCKETMASTER_RUN=${run}`)) continue;
		const { pipe } = outputOf({ pid });
		// A process left by another child may carry the same number. It started earlier, or it prints to the pipe of
		// that other child.
		if ((pipe !== null && known.has(pipe)) || stat.startTime * tick < earliest) continue;
		return { pid, startTime: stat.startTime, pipe };
	}
	return null;
}

/**
 * /proc hides the files of a process that this user may not trace. Fail with a message instead.
 * @throws {SyscallError}
 */
function requireRight({ pid, pidfd }: { pid: number; pidfd: number }) {
	const stdin = takeFdIfOpen(pidfd, 0);
	if (stdin !== null) closeSync(stdin);
	if (!mayLookAt(pid)) throw new SyscallError('open', errno('EACCES'));
}

/** The recorded surviving processes of a stopping child whose leader has exited. The child drains until they have exited. */
function awaitedGroup(
	{ child, pid, phase, survivors, stopSignal }: ChildState,
	surviving: SurvivingProcess[],
): (Survivor & { group: [number, number][] })[] {
	if (pid === null || survivors.length === 0 || (phase !== 'orphaned' && phase !== 'killing')) return [];
	const group = surviving.flatMap((each): [number, number][] => {
		if (each.child !== child || !survivors.includes(each.pid)) return [];
		const pidfd = openPidfd(each.pid, lookUp(each.pid)?.startTime ?? 0);
		return pidfd === null ? [] : [[each.pid, pidfd]];
	});
	const wasKilled = phase === 'killing';
	const told = stopSignal?.signal ?? null;
	return [{ child, pid, pidfd: null, isOwn: false, wasKilled, group, told, abandonedUntil: null }];
}

/** If no child is alive, takes the output pipes and the listeners that surviving processes still hold. */
function takeOrphaned(
	{ listeners }: Header,
	surviving: SurvivingProcess[],
	inodes: ReadonlySet<number>,
): Orphaned | null {
	if (surviving.length === 0) return null;
	const pids = surviving.map(({ pid }) => pid);
	const holders = pids.filter((pid) => (fdsAmong(pid, inodes) ?? []).length > 0);
	let pipes: OpenPipe[] = [];
	const taken: Listener[] = [];
	try {
		// New children reuse these child numbers, so the pipes belong to no child.
		pipes = takePipes(surviving, []).map((pipe) => ({ ...pipe, child: nobody }));
		for (const each of listeners) taken.push(...[takeListening(each, surviving)].filter((found) => found !== null));
	} catch {
		// Continue with what was taken before the error.
	}
	return { orphaned: { pipes, listeners: taken, orphans: holders }, pids };
}
