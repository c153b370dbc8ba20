/** After a supervisor was killed: its children, its sockets and its pipes, found again by its journal. */
import { closeSync } from 'node:fs';
import { withoutChildThatNeverWas } from '../../machines/leftovers.ts';
import { evolvePast, noPast, type Past } from '../../machines/past.ts';
import type { Respawn, Roster, RosterChild } from '../../machines/roster.ts';
import type { Survivor } from '../children/children.ts';
import type { OpenPipe } from '../children/output.ts';
import type { KeptWords } from '../children/words.ts';
import { bootClock } from '../os/clock.ts';
import { bootId } from '../os/identity.ts';
import { errno, SyscallError } from '../os/libc.ts';
import { openPidfd, takeFdIfOpen } from '../os/pidfd.ts';
import { allPids, environmentOf, fileOf, lookUp, mayLookAt, tick } from '../os/proc.ts';
import type { User } from '../os/user.ts';
import type { Listener } from '../sockets/listener.ts';
import type { JournalContent } from './lines.ts';
import { nobody, type Relative, relativesOf, takeListening, takePipes, takeWords } from './relatives.ts';
import { type Header, pastOf } from './shapes.ts';

/** What the journal's facts amount to, and the number of the last one. */
export function foldJournal({ lines }: JournalContent): { past: Past; seq: number } {
	let past = noPast;
	let seq = 0;
	for (const line of lines) {
		past = 'checkpoint' in line ? pastOf(line) : evolvePast(past, line);
		seq = line.seq;
	}
	return { past, seq };
}

export interface Recovered {
	roster: Roster;
	survivors: Survivor[];
	/** What they print to. */
	pipes: OpenPipe[];
	/** Those that a survivor still holds. */
	listeners: Listener[];
	/** What they say that they are up through. */
	words: KeptWords;
	/** Sentences for the operator. */
	remarks: string[];
}

/** Children that live and can't be taken over, and why. */
export interface Denied {
	denied: number[];
	why: string;
}

/** Only what children of children have kept. */
export interface Orphaned {
	orphaned: { pipes: OpenPipe[]; listeners: Listener[] };
	/** Who they are. */
	pids: number[];
}

/**
 * Takes over what the last supervisor has left.
 * @param user whose processes its children are; null is ours
 * @returns null when there is nothing
 * @throws {Error} when the last supervisor is still alive
 */
export function recover(header: Header, folded: Roster, user: User | null): Recovered | Denied | Orphaned | null {
	if (header.boot === '' || header.boot !== bootId()) return null;
	const last = lookUp(header.pid);
	if (header.pid !== process.pid && last?.isAlive && last.startTime === header.startTime) {
		throw new Error(`its supervisor ${header.pid} is still alive`);
	}
	const roster = withUnrecorded(folded, header.run);
	const held: (RosterChild & { pid: number; pidfd: number })[] = [];
	for (const child of roster.children) {
		const { pid, startTime } = child;
		const pidfd = pid !== null && startTime !== null ? openPidfd(pid, startTime) : null;
		if (pidfd !== null) held.push({ ...child, pid: pid ?? 0, pidfd });
	}
	const relatives = relativesOf(header.run, held);
	if (held.length === 0) return takeOrphaned(header, relatives);
	let pipes: OpenPipe[] = [];
	try {
		for (const each of held) requireRight(each);
		pipes = takePipes(relatives, roster.children);
		const remarks = held
			.filter(({ child }) => !pipes.some((pipe) => pipe.child === child))
			.map(({ pid }) => `The output of ${pid} can't be taken over: it prints elsewhere`);
		const unknown = relatives
			.filter(({ pid, child }) => child > roster.lastChild && lookUp(pid)?.group === pid)
			.map(({ pid }) => pid);
		if (unknown.length > 0) remarks.push(unknownText(unknown));
		const survivors = held.map(({ child, pid, pidfd }) => ({
			child,
			pid,
			pidfd,
			isOwn: false,
			wasKilled: false,
			group: null,
		}));
		const listeners = header.listeners.flatMap((listener) => takeListening(listener, relatives) ?? []);
		const words = { folder: header.words, ...takeWords(header.words, relatives, user) };
		return { roster, survivors, pipes, listeners, words, remarks };
	} catch (error) {
		if (!(error instanceof SyscallError)) throw error;
		for (const { pidfd } of held) closeSync(pidfd);
		for (const { fd } of pipes) closeSync(fd);
		const why = `${error.message} (it takes CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, or the same user and ptrace allowed)`;
		return { denied: held.map(({ pid }) => pid), why };
	}
}

/** What was spawned while the journal could not be written. */
export function unknownText(pids: number[]): string {
	return `Processes ${pids.join(', ')} of an earlier supervisor live on, and are no child that it knew`;
}

/** Children that were about to be spawned are looked for among all processes; whoever is not found never was. */
function withUnrecorded(roster: Roster, run: string): Roster {
	const pipes = new Set(roster.children.map(({ pipe }) => pipe));
	let rest = roster;
	const born: RosterChild[] = [];
	for (const child of roster.children) {
		if (child.pid !== null) continue;
		const found = findSpawned(run, child, pipes);
		rest = withoutChildThatNeverWas(rest, child);
		if (found) born.push({ ...child, ...found, phase: 'booting' });
	}
	const isFilled = ({ generation, index }: Respawn) =>
		born.some((child) => child.generation === generation && child.index === index);
	return { ...rest, children: [...rest.children, ...born], respawns: rest.respawns.filter((each) => !isFilled(each)) };
}

/** How far the clock of the wall may have been set meanwhile, in milliseconds. */
const slack = 2000;

/** A child leads its process group, its own children do not: their environment alone would not tell them apart. */
function findSpawned(run: string, { child, since }: RosterChild, known: Set<number | null>) {
	const wanted = [`SOCKETMASTER_RUN=${run}`, `SOCKETMASTER_CHILD=${child}`];
	const earliest = bootClock() - (Date.now() - since) - slack;
	for (const pid of allPids()) {
		const stat = lookUp(pid);
		if (stat?.group !== pid) continue;
		const environment = environmentOf(pid);
		if (!wanted.every((entry) => environment.includes(entry))) continue;
		// A child of the child may lead a group too.
		if (environmentOf(stat.parent).includes(`SOCKETMASTER_RUN=${run}`)) continue;
		const pipe = Number(fileOf(pid, 1)?.match(/^pipe:\[(\d+)\]$/)?.[1] ?? 0);
		// Another child may have left one that says it is this child: before its time, or with that one's pipe.
		if (known.has(pipe) || stat.startTime * tick < earliest) continue;
		return { pid, startTime: stat.startTime, pipe };
	}
	return null;
}

/** /proc shows nothing of who can't be traced or looked at, without a word; this says so. @throws {SyscallError} */
function requireRight({ pid, pidfd }: { pid: number; pidfd: number }) {
	const stdin = takeFdIfOpen(pidfd, 0);
	if (stdin !== null) closeSync(stdin);
	if (!mayLookAt(pid)) throw new SyscallError('open', errno('EACCES'));
}

/** With no child left to go on with, what theirs print is read all the same, and the sockets they hold are ours. */
function takeOrphaned({ listeners }: Header, relatives: Relative[]): Orphaned | null {
	if (relatives.length === 0) return null;
	const pids = relatives.map(({ pid }) => pid);
	try {
		// Their children's numbers are used again.
		const pipes = takePipes(relatives, []).map((pipe) => ({ ...pipe, child: nobody }));
		return { orphaned: { pipes, listeners: listeners.flatMap((each) => takeListening(each, relatives) ?? []) }, pids };
	} catch {
		return { orphaned: { pipes: [], listeners: [] }, pids };
	}
}
