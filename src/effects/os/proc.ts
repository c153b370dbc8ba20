/** What /proc tells of processes. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { bootClock } from './clock.ts';

export interface ProcessStat {
	/** In clock ticks since boot: with it a pid is unique. */
	startTime: number;
	/** The process group. */
	group: number;
	parent: number;
	/** It still runs, as a zombie does not. */
	isAlive: boolean;
	/** It was stopped by a signal and does not run. */
	isStopped: boolean;
}

/** From /proc/PID/stat, fields 3, 4, 5, 20 and 22 (proc(5)); null when there is no such process. */
export function lookUp(pid: number): ProcessStat | null {
	try {
		const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
		const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
		return {
			startTime: Number(fields[19]),
			group: Number(fields[2]),
			parent: Number(fields[1]),
			// One whose main thread has ended lives on in its others.
			isAlive: !['Z', 'X'].includes(fields[0] ?? '') || Number(fields[17]) > 1,
			isStopped: fields[0] === 'T',
		};
	} catch {
		return null;
	}
}

/** A clock tick of /proc, in milliseconds (USER_HZ). */
export const tick = 10;

/** When this process began, through all programs that it was, in milliseconds since 1970. */
export function processStart(): number {
	const { startTime } = lookUp(process.pid) ?? {};
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

/** All processes there are; none where there is no /proc. */
export function allPids(): number[] {
	try {
		return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? Number(name) : []));
	} catch {
		return [];
	}
}

/** Its variables, as `NAME=value`; characters are bytes. Empty when it is gone or not ours to look at. */
export function environmentOf(pid: number): string[] {
	try {
		return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
	} catch {
		return [];
	}
}

/** What each of its fds is, as `socket:[123]`. It may be opening and closing others meanwhile. */
export function filesOf(pid: number): { fd: number; file: string }[] {
	try {
		return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
			const file = fileOf(pid, Number(fd));
			return file === null ? [] : { fd: Number(fd), file };
		});
	} catch {
		return [];
	}
}

/** Whether its files are ours to look at, also of one that is just ending: another user's take CAP_DAC_READ_SEARCH besides CAP_SYS_PTRACE. */
export function mayLookAt(pid: number): boolean {
	try {
		readdirSync(`/proc/${pid}/fd`);
		return true;
	} catch (error) {
		return (error as NodeJS.ErrnoException).code !== 'EACCES' || lookUp(pid)?.isAlive !== true;
	}
}

/** What one fd is, or null. */
export function fileOf(pid: number | 'self', fd: number): string | null {
	try {
		return readlinkSync(`/proc/${pid}/fd/${fd}`);
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
