/** A supervisor that lives, known by what it holds: whatever a journal tells of it. */
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { bootClock } from '../os/clock.ts';
import { firstOwnFd } from '../os/descriptors.ts';
import { allPids, fdsAmong, fileOf, filesOf, lookUp, ownerOf } from '../os/proc.ts';
import { ancestorsOf } from '../os/processTree.ts';

/** What a supervisor was about to start when it was killed has its fds for a moment: it is looked at again for so long, in milliseconds. */
const [longestStart, pause] = [1000, 20];

/** A process that may have a supervisor, and the pipe that it prints to, by its inode; null where that is not known. */
export interface Supervised {
	pid: number | null;
	pipe: number | null;
}

/**
 * A supervisor holds the listeners, and has started one of its children or reads what one of them prints: others may have been given
 * the same sockets (-share, systemd).
 * @param listeners inodes
 * @throws {Error} where another process of our user is the supervisor of children; what can't be seen is none
 */
export async function refuseSupervised(listeners: ReadonlySet<number>, children: Supervised[]): Promise<void> {
	if (children.length === 0) return;
	for (const end = bootClock() + longestStart; ; await setTimeout(pause)) {
		const living = supervisorOf(listeners, children);
		if (living === null) return;
		if (bootClock() >= end) throw new Error(`its supervisor ${living} is still alive`);
	}
}

function supervisorOf(listeners: ReadonlySet<number>, children: Supervised[]): number | null {
	const pids = new Set(children.flatMap(({ pid }) => pid ?? []));
	const pipes = new Set(children.flatMap(({ pipe }) => (pipe === null ? [] : `pipe:[${pipe}]`)));
	const parents = new Set([...pids].flatMap((pid) => lookUp(pid)?.parent ?? []));
	const isOne = (pid: number) =>
		pid !== process.pid &&
		// Few processes have so many fds: the others are not looked at further.
		fileOf(pid, firstOwnFd) !== null &&
		ownerOf(pid) === process.geteuid?.() &&
		isSupervisors(fdsAmong(pid, listeners) ?? []) &&
		!isManager(pid) &&
		// A child may hold its socket under any number, and be a supervisor itself.
		![...(ancestorsOf(pid) ?? [])].some((each) => pids.has(each)) &&
		(parents.has(pid) || filesOf(pid).some(({ file }) => pipes.has(file)));
	return allPids().find(isOne) ?? null;
}

/** Whether a process holds listeners as a supervisor does: above all that children are given. @param fds its own of them */
export function isSupervisors(fds: number[]): boolean {
	return fds.length > 0 && fds.every((fd) => fd >= firstOwnFd);
}

/** A service manager keeps the sockets that it has made, or was given. */
export function isManager(pid: number): boolean {
	try {
		return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'systemd';
	} catch {
		return false;
	}
}
