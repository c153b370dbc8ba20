/** What /proc tells of processes. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { inTime, isLate, type Late, look } from './boundedReads.ts';
import { bootClock } from './clock.ts';
import { exists } from './kill.ts';

export interface ProcessStat {
	/** In clock ticks since boot: with it a pid is unique. */
	startTime: number;
	/** The process group. */
	group: number;
	parent: number;
	/** It still runs, as a zombie does not. */
	isAlive: boolean;
	/** It waits for something in the kernel that lets no signal through: a disk, a lock. */
	isBlocked: boolean;
	/** It was stopped by a signal and does not run. */
	isStopped: boolean;
}

/**
 * From /proc/PID/stat, fields 3, 4, 5, 20 and 22 (proc(5)). `gone`: there is no such process; `hidden`: there is one, and
 * /proc does not show it (hidepid=, another pid namespace's /proc); `unknown`: there was no fd, or no memory, to look with.
 */
export function lookAt(pid: number): ProcessStat | 'gone' | 'hidden' | 'unknown' {
	if (!isOwnProc()) return exists(pid) ? 'hidden' : 'gone';
	try {
		return readStat(String(pid));
	} catch (error) {
		if (!exists(pid)) return 'gone';
		return isDenial(error) || isMissing(error) ? 'hidden' : 'unknown';
	}
}

/** Whether a process is gone, or has ended and is not reaped: either holds nothing any more. */
export function hasEnded(pid: number): boolean {
	const found = lookAt(pid);
	return found === 'gone' || (typeof found === 'object' && !found.isAlive);
}

let isOwn: boolean | null = null;

/** Whether /proc shows the processes by the numbers that they have for us: it may belong to another pid namespace, or be missing. */
export function isOwnProc(): boolean {
	isOwn ??= fileNamed('/proc/self') === String(process.pid);
	return isOwn;
}

/** The same; null for a process that is gone or hidden. */
export function lookUp(pid: number): ProcessStat | null {
	return isOwnProc() ? statOf(String(pid)) : null;
}

/** This process itself; null where there is no /proc. */
export function lookUpSelf(): ProcessStat | null {
	return statOf('self');
}

function statOf(name: string): ProcessStat | null {
	try {
		return readStat(name);
	} catch {
		return null;
	}
}

/** @throws {Error} */
function readStat(name: string): ProcessStat {
	const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
	const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
	return {
		startTime: Number(fields[19]),
		group: Number(fields[2]),
		parent: Number(fields[1]),
		// One whose main thread has ended lives on in its others.
		isAlive: !['Z', 'X'].includes(fields[0] ?? '') || Number(fields[17]) > 1,
		isBlocked: fields[0] === 'D',
		isStopped: fields[0] === 'T' || fields[0] === 't',
	};
}

/** Whether a process has given its memory back: it is just ending, and its files are root's for that moment. */
export function isEnding(pid: number): boolean {
	try {
		return readFileSync(`/proc/${pid}/statm`, 'latin1').startsWith('0 ');
	} catch {
		return true;
	}
}

/** A clock tick of /proc, in milliseconds (USER_HZ). */
export const tick = 10;

/** When this process began, through all programs that it was, in milliseconds since 1970. */
export function processStart(): number {
	const { startTime } = lookUpSelf() ?? {};
	return startTime === undefined ? Date.now() : Date.now() - (bootClock() - startTime * tick);
}

/** Who lives in a process group, besides its leader. */
export function othersInGroup(group: number): number[] {
	return allPids().filter((pid) => {
		if (pid === group) return false;
		const found = lookUp(pid);
		return found?.group === group && found.isAlive;
	});
}

/** A process whose threads end while it is looked at is looked at again so often. */
const mostReads = 10;

/** Processes whose parent one is: its children, and orphans that were given to it. Empty where the kernel does not tell. */
export function childrenOf(pid: number | 'self'): number[] {
	const found = new Set<number>();
	for (let reads = 0, isComplete = false; !isComplete && reads < mostReads; reads += 1) {
		isComplete = true;
		for (const thread of threadsOf(pid)) {
			try {
				const text = readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1');
				for (const child of text.split(' ')) if (child !== '') found.add(Number(child));
			} catch {
				// That thread has ended: its children are another one's now.
				isComplete = false;
			}
		}
	}
	return [...found];
}

function threadsOf(pid: number | 'self'): string[] {
	try {
		return readdirSync(`/proc/${pid}/task`);
	} catch {
		return [];
	}
}

/** The fds of a process that are sockets of these inodes; null where they may not be looked at, empty when it is gone. */
export function fdsAmong(pid: number, inodes: ReadonlySet<number>): number[] | null {
	try {
		return readdirSync(`/proc/${pid}/fd`)
			.filter((fd) => inodes.has(Number(linkAt(`/proc/${pid}/fd/${fd}`).slice('socket:['.length, -1))))
			.map(Number);
	} catch (error) {
		return isMissing(error) || isEnding(pid) ? [] : null;
	}
}

/** All processes that /proc shows; none where it is not ours. */
export function allPids(): number[] {
	if (!isOwnProc()) return [];
	try {
		return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? Number(name) : []));
	} catch {
		return [];
	}
}

/** How long a process may take from one program to the next, or be blocked, in milliseconds: until then it shows no variables. */
const longestExec = 50;

/** How long until it is looked at again, in milliseconds. */
const execPause = 2;

/** Its variables, as `NAME=value`; characters are bytes. Empty when it is gone; null where they may not, or can't, be looked at. */
export async function environmentOf(pid: number): Promise<string[] | null> {
	const found = await lookAtEnvironment(pid);
	return found === 'denied' || isLate(found) ? null : found;
}

/**
 * The same, by a thread of the pool: a process whose memory is being changed by something that hangs (a page of a dead file
 * system) lets nobody read them.
 */
async function lookAtEnvironment(pid: number): Promise<string[] | 'denied' | Late> {
	if (!isOwnProc()) return 'denied';
	let isEmpty = false;
	try {
		for (const end = bootClock() + longestExec; bootClock() < end; await setTimeout(execPause)) {
			// One that hangs would keep a thread of the pool.
			if (lookUp(pid)?.isBlocked) continue;
			const text = await inTime(String(pid), look, () => readFile(`/proc/${pid}/environ`, 'latin1'));
			if (isLate(text)) return text;
			if (text !== '' || isEnding(pid)) return text.split('\0');
			// It may have none, or be about to have them.
			isEmpty = hasNoVariables(pid);
		}
		return isEmpty ? [] : 'stuck';
	} catch (error) {
		return isMissing(error) || isEnding(pid) ? [] : 'denied';
	}
}

/** So many that are blocked are waited for at the same time. */
const readersAtOnce = 16;

export interface Environments {
	/** Of the processes that show them. */
	variables: ReadonlyMap<number, string[]>;
	/** Those that do not answer. */
	late: number[];
}

/** The variables of all processes. */
export async function environments(): Promise<Environments> {
	const variables = new Map<number, string[]>();
	const late: number[] = [];
	const pids = allPids();
	const readers = Array.from({ length: readersAtOnce }, async () => {
		for (let pid = pids.pop(); pid !== undefined; pid = pids.pop()) {
			const found = await lookAtEnvironment(pid);
			if (isLate(found)) late.push(pid);
			else if (found !== 'denied') variables.set(pid, found);
		}
	});
	await Promise.all(readers);
	return { variables, late };
}

/**
 * Whether it has none: their place is known, and empty (proc(5), stat, fields 50 and 51). At the end of an execve that is so for a
 * moment, too, before the kernel has counted them.
 */
function hasNoVariables(pid: number): boolean {
	const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
	const [start, end] = stat
		.slice(stat.lastIndexOf(')') + 2)
		.split(' ')
		.slice(47, 49);
	return start !== '0' && start === end;
}

/** What each of its fds is, as `socket:[123]`. It may be opening and closing others meanwhile. */
export function filesOf(pid: number | 'self'): { fd: number; file: string }[] {
	if (pid !== 'self' && !isOwnProc()) return [];
	try {
		return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
			const file = fileOf(pid, Number(fd));
			return file === null ? [] : { fd: Number(fd), file };
		});
	} catch {
		return [];
	}
}

/**
 * Whether its files are ours to look at, also of one that is just ending: another user's take CAP_DAC_READ_SEARCH to list
 * and CAP_SYS_PTRACE to read.
 */
export function mayLookAt(pid: number): boolean {
	try {
		const [first] = readdirSync(`/proc/${pid}/fd`);
		if (first !== undefined) readlinkSync(`/proc/${pid}/fd/${first}`);
		return true;
	} catch (error) {
		return !isDenial(error) || lookUp(pid)?.isAlive !== true;
	}
}

/** Whether /proc refused a look, and did not say that there is nothing. */
export function isDenial(error: unknown): boolean {
	return ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** Whether a process, or a file of it, is gone. */
export function isMissing(error: unknown): boolean {
	return ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** What a link in /proc leads to; empty for one that is gone. @throws {Error} where it may not, or can't, be looked at */
export function linkAt(path: string): string {
	try {
		return readlinkSync(path);
	} catch (error) {
		if (isMissing(error)) return '';
		throw error;
	}
}

/** What one fd is, or null. */
export function fileOf(pid: number | 'self', fd: number): string | null {
	return fileNamed(`/proc/${pid}/fd/${fd}`);
}

function fileNamed(path: string): string | null {
	try {
		return readlinkSync(path);
	} catch {
		return null;
	}
}

/** How many files this process may have open. */
export function openFileLimit(): number {
	try {
		const limits = readFileSync('/proc/self/limits', 'ascii');
		return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
	} catch {
		return 1024;
	}
}

/** Whether this process has a capability (capabilities(7)), by its number; null where that can't be seen. */
export function hasCapability(number: number): boolean | null {
	try {
		const [, mask] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
		return mask === undefined ? null : (BigInt(`0x${mask}`) & (1n << BigInt(number))) !== 0n;
	} catch {
		return null;
	}
}

/** The user of a process; undefined where that can't be seen. One that is not dumpable is root's. */
export function ownerOf(pid: number): number | undefined {
	try {
		return statSync(`/proc/${pid}`).uid;
	} catch {
		return undefined;
	}
}
