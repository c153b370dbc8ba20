/** After a supervisor was killed: its children, its sockets and its pipes, found again by its journal. */
import { closeSync, fstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { evolve, type Roster, type RosterChild } from '../machines/roster.ts';
import type { Survivor } from './children.ts';
import { bootId } from './identity.ts';
import type { Header, JournalContent } from './journalFormat.ts';
import { c, call, SyscallError } from './libc.ts';
import { isListening, type Listener, takeListener } from './listener.ts';
import { openPidfd, reopenForReading, takeFd } from './pidfd.ts';
import { lookUp } from './process.ts';

/** What the journal's facts amount to, and the number of the last one. */
export function foldJournal({ lines }: JournalContent): { roster: Roster | null; seq: number } {
	let roster: Roster | null = null;
	let seq = 0;
	for (const line of lines) {
		roster = 'checkpoint' in line ? line.checkpoint : evolve(roster, line);
		seq = line.seq;
	}
	return { roster, seq };
}

export interface Recovered {
	roster: Roster;
	survivors: Map<number, Survivor>;
	/** By their place; null for one that no survivor holds any more. */
	listeners: (Listener | null)[];
	/** Sentences for the operator. */
	remarks: string[];
}

/** Children that live and can't be taken over, and why. */
export interface Denied {
	denied: number[];
	why: string;
}

/**
 * Takes over what the last supervisor has left.
 * @returns null when there is nothing: another boot, no survivor, or a stop that was never undone
 * @throws {Error} when the last supervisor is still alive
 */
export function recover(header: Header, folded: Roster): Recovered | Denied | null {
	if (header.boot === '' || header.boot !== bootId()) return null;
	const last = lookUp(header.pid);
	if (header.pid !== process.pid && last?.isAlive && last.startTime === header.startTime) {
		throw new Error(`its supervisor ${header.pid} is still alive`);
	}
	const roster = withUnrecorded(folded, header.run);
	const held = new Map<number, number>();
	for (const { child, pid, startTime } of roster.children) {
		const pidfd = pid !== null && startTime !== null ? openPidfd(pid, startTime) : null;
		if (pidfd !== null) held.set(child, pidfd);
	}
	if (held.size === 0) return null;
	const remarks: string[] = [];
	const survivors = new Map<number, Survivor>();
	try {
		for (const child of roster.children) {
			const pidfd = held.get(child.child);
			if (pidfd === undefined || child.pid === null) continue;
			const pipe = takePipe(pidfd, child);
			if (pipe === null) remarks.push(`The output of ${child.pid} can't be taken over: it prints elsewhere`);
			survivors.set(child.child, { pid: child.pid, pidfd, pipe });
		}
		const listeners = header.listeners.map((listener) => takeListening(listener, [...survivors.values()]));
		return { roster, survivors, listeners, remarks };
	} catch (error) {
		if (!(error instanceof SyscallError)) throw error;
		for (const pidfd of held.values()) closeSync(pidfd);
		for (const { pipe } of survivors.values()) if (pipe) closeSync(pipe.fd);
		const pids = roster.children.flatMap(({ child, pid }) => (pid !== null && held.has(child) ? [pid] : []));
		return { denied: pids, why: `${error.message} (it takes CAP_SYS_PTRACE, or the same user and ptrace allowed)` };
	}
}

/** Children that were about to be spawned are looked for among all processes; whoever is not found never was. */
function withUnrecorded(roster: Roster, run: string): Roster {
	const children = roster.children.flatMap((child): RosterChild[] => {
		if (child.pid !== null) return [child];
		const found = findSpawned(run, child.child);
		if (!found) return [];
		const deadline = child.since + Math.max(0, roster.plan.start);
		return [{ ...child, ...found, phase: 'booting', deadline }];
	});
	const isCandidateGone = !children.some(({ generation }) => generation === roster.candidate);
	const wasLost = children.length < roster.children.length && isCandidateGone;
	// A rotation that had not come to a process begins again.
	return wasLost
		? { ...roster, children, candidate: null, queued: roster.stopSignal === null }
		: { ...roster, children };
}

/** A child leads its process group, its own children do not: their environment alone would not tell them apart. */
function findSpawned(run: string, child: number) {
	const wanted = [`SOCKETMASTER_RUN=${run}`, `SOCKETMASTER_CHILD=${child}`];
	for (const name of readdirSync('/proc')) {
		const pid = Number(name);
		if (!Number.isInteger(pid)) continue;
		try {
			const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
			if (!wanted.every((entry) => environment.includes(entry))) continue;
			const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
			const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
			if (Number(fields[2]) !== pid) continue;
			const pipe = Number(readlinkSync(`/proc/${pid}/fd/1`).match(/^pipe:\[(\d+)\]$/)?.[1] ?? 0);
			return { pid, startTime: Number(fields[19]), pipe };
		} catch {
			// It has ended, or is not ours to look at.
		}
	}
	return null;
}

/** The pipe that a child prints to, by its fd 1. @throws {SyscallError} without the right to */
function takePipe(pidfd: number, { pid, generation, pipe }: RosterChild) {
	const stdout = takeFdIfOpen(pidfd, 1);
	if (stdout === null) return null;
	try {
		const stat = fstatSync(stdout);
		if (!stat.isFIFO() || stat.ino !== pipe) return null;
		return { fd: reopenForReading(stdout), pid: pid ?? 0, generation, unfinished: '' };
	} finally {
		closeSync(stdout);
	}
}

/** Null when the process has no such fd, or is just ending. @throws {SyscallError} */
function takeFdIfOpen(pidfd: number, fd: number): number | null {
	try {
		return takeFd(pidfd, fd);
	} catch (error) {
		if (error instanceof SyscallError && ['EBADF', 'ESRCH'].includes(error.code)) return null;
		throw error;
	}
}

/** The listening socket of that inode, from whoever still holds it under whatever number. @throws {SyscallError} */
function takeListening(wanted: Header['listeners'][number], survivors: Survivor[]): Listener | null {
	for (const { pid, pidfd } of survivors) {
		for (const number of socketsOf(pid, wanted.inode)) {
			const fd = takeFdIfOpen(pidfd ?? -1, number);
			if (fd === null) continue;
			const high = call('fcntl', fd, c.F_DUPFD_CLOEXEC, 64);
			closeSync(fd);
			const listener = takeListener(wanted.uri, high, wanted.file);
			if (isListening(high) && listener.inode === wanted.inode && listener.address === wanted.address) return listener;
			closeSync(high);
		}
	}
	return null;
}

/** Under which numbers a process holds a socket. It may be opening and closing others meanwhile. */
function socketsOf(pid: number, inode: number): number[] {
	try {
		return readdirSync(`/proc/${pid}/fd`)
			.map(Number)
			.filter((fd) => linkOf(pid, fd) === `socket:[${inode}]`);
	} catch {
		return [];
	}
}

function linkOf(pid: number, fd: number): string | null {
	try {
		return readlinkSync(`/proc/${pid}/fd/${fd}`);
	} catch {
		return null;
	}
}
