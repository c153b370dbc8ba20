/** Reads the state of processes from /proc. */
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { asOwner } from './asOwner.ts';
import { bootClock } from './clock.ts';
import { exists } from './kill.ts';
import { readProc } from './procFile.ts';

export interface ProcessStat {
	/** In clock ticks since boot. A pid and a start time together identify one process. */
	startTime: number;
	/** The id of the process group. */
	group: number;
	parent: number;
	/** A thread of the process still exists; false for a zombie. */
	isAlive: boolean;
	/** The process is in uninterruptible sleep (state D): it waits for a disk or a lock, and ignores signals. */
	isBlocked: boolean;
	/** A signal or a tracer has stopped the process (states T and t). */
	isStopped: boolean;
}

/**
 * Reads /proc/PID/stat, fields 3, 4, 5, 20 and 22 (proc(5)). `gone`: the process does not exist. `hidden`: the
 * process exists and /proc does not show it (hidepid=, or /proc belongs to another pid namespace). `unknown`: the
 * read failed for lack of fds or memory.
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

/** Whether a process is gone or a zombie. In both cases its fds are closed. */
export function hasEnded(pid: number): boolean {
	const found = lookAt(pid);
	return found === 'gone' || (typeof found === 'object' && !found.isAlive);
}

let isOwn: boolean | null = null;

/** Whether /proc belongs to the pid namespace of this process: another one may be mounted, or none. */
export function isOwnProc(): boolean {
	isOwn ??= fileNamed('/proc/self') === String(process.pid);
	return isOwn;
}

/** Like `lookAt`; null if the process is gone or hidden, or if the read failed. */
export function lookUp(pid: number): ProcessStat | null {
	return isOwnProc() ? statOf(String(pid)) : null;
}

/** The state of this process; null without /proc. */
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
	const stat = readProc(`/proc/${name}/stat`);
	const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
	return {
		startTime: Number(fields[19]),
		group: Number(fields[2]),
		parent: Number(fields[1]),
		// If the main thread has exited, the process is alive as long as it has other threads.
		isAlive: !['Z', 'X'].includes(fields[0] ?? '') || Number(fields[17]) > 1,
		isBlocked: fields[0] === 'D',
		isStopped: fields[0] === 'T' || fields[0] === 't',
	};
}

/** Whether a process is gone or has freed its memory. An exiting process's /proc files belong to root for a moment. */
export function isEnding(pid: number): boolean {
	try {
		return readProc(`/proc/${pid}/statm`).startsWith('0 ');
	} catch {
		// The read also fails for lack of fds, and for a process that /proc hides.
		return !exists(pid);
	}
}

/** Duration of a clock tick of /proc, in milliseconds (USER_HZ). */
export const tick = 10;

/** Start time of this process, in milliseconds since 1970. execve(2) does not change it. */
export function processStart(): number {
	const { startTime } = lookUpSelf() ?? {};
	return startTime === undefined ? Date.now() : Date.now() - (bootClock() - startTime * tick);
}

/** The live processes of a process group, without its leader. */
export function othersInGroup(group: number): number[] {
	return allPids().filter((pid) => {
		if (pid === group) return false;
		const found = lookUp(pid);
		return found?.group === group && found.isAlive;
	});
}

/** Maximum number of reads of a process whose threads exit during a read. */
const mostReads = 10;

/** The child processes of a process, including adopted orphans. Empty if the kernel has no file for them. */
export function childrenOf(pid: number | 'self'): number[] {
	const found = new Set<number>();
	for (let reads = 0, isComplete = false; !isComplete && reads < mostReads; reads += 1) {
		isComplete = true;
		for (const thread of threadsOf(pid)) {
			try {
				const text = readProc(`/proc/${pid}/task/${thread}/children`);
				for (const child of text.split(' ')) if (child !== '') found.add(Number(child));
			} catch {
				// The thread has exited, and another thread has inherited its children.
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

/** The inode of a socket, from the link of its fd in /proc (`socket:[4711]`); null of any other file. */
export function socketInode(link: string): number | null {
	const inode = link.match(/^socket:\[(\d+)\]$/)?.[1];
	return inode === undefined ? null : Number(inode);
}

/** The fds of a process that refer to sockets with these inodes; null if unreadable, empty if the process is gone. */
export function fdsAmong(pid: number, inodes: ReadonlySet<number>): number[] | null {
	try {
		return asOwner(() =>
			readdirSync(`/proc/${pid}/fd`)
				.filter((fd) => inodes.has(socketInode(linkAt(`/proc/${pid}/fd/${fd}`)) ?? Number.NaN))
				.map(Number),
		);
	} catch {
		return isEnding(pid) ? [] : null;
	}
}

/** All processes that /proc shows; empty if /proc belongs to another pid namespace. */
export function allPids(): number[] {
	if (!isOwnProc()) return [];
	try {
		return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? Number(name) : []));
	} catch {
		return [];
	}
}

export type Files = { fd: number; file: string }[];

/** The target of each fd, as in `socket:[123]`. The process may open and close fds during the read. */
export function filesOf(pid: number | 'self'): Files {
	if (pid !== 'self' && !isOwnProc()) return [];
	try {
		const as = pid === 'self' ? (read: () => Files) => read() : asOwner<Files>;
		return as(() =>
			readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
				const file = fileOf(pid, Number(fd));
				return file === null ? [] : { fd: Number(fd), file };
			}),
		);
	} catch {
		return [];
	}
}

/**
 * Whether this process may read the fds of another process; also true for an exiting process. For a process of another
 * user, listing its fds takes CAP_DAC_READ_SEARCH, and reading them takes CAP_SYS_PTRACE.
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

/** Whether /proc denied access. */
export function isDenial(error: unknown): boolean {
	return ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** Whether a process, or a file of it, is gone. */
export function isMissing(error: unknown): boolean {
	return ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** The target of a link in /proc; empty if the link is gone. @throws {Error} if the link cannot be read */
export function linkAt(path: string): string {
	try {
		return readlinkSync(path);
	} catch (error) {
		if (isMissing(error)) return '';
		throw error;
	}
}

/** The target of an fd; null if it cannot be read. */
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

/** The soft limit of open files of this process; 1024 if unknown. */
export function openFileLimit(): number {
	try {
		const limits = readProc('/proc/self/limits');
		return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
	} catch {
		return 1024;
	}
}

/** Whether this process has an effective capability, by its number (capabilities(7)); null if unknown. */
export function hasCapability(number: number): boolean | null {
	try {
		const [, mask] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readProc('/proc/self/status')) ?? [];
		return mask === undefined ? null : (BigInt(`0x${mask}`) & (1n << BigInt(number))) !== 0n;
	} catch {
		return null;
	}
}

/** The uid of a process; undefined if unknown. Root owns the /proc entry of a process that is not dumpable. */
export function ownerOf(pid: number): number | undefined {
	try {
		return statSync(`/proc/${pid}`).uid;
	} catch {
		return undefined;
	}
}
