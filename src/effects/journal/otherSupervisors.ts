/** Detects a live supervisor by the fds it holds, independent of the journal. */
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { bootClock } from '../os/clock.ts';
import { firstOwnFd } from '../os/descriptors.ts';
import { allPids, fdsAmong, fileOf, filesOf, lookUp, ownerOf } from '../os/proc.ts';
import { ancestorsOf } from '../os/processTree.ts';

/**
 * A process that a killed supervisor just spawned still holds the supervisor's fds until its execve(2). The check is
 * repeated every `pause` for up to `longestStart` milliseconds.
 */
const [longestStart, pause] = [1000, 20];

/** A process that may have a supervisor, and the inode of its output pipe; null if unknown. */
export interface Supervised {
	pid: number | null;
	pipe: number | null;
}

/**
 * Refuses to take over children that still have a supervisor. A supervisor holds the listeners, and is the parent of
 * one of the children or holds the pipe that a child prints to. The listeners alone are not sufficient: other
 * processes may share them (-share, systemd).
 * @param listeners inodes
 * @throws {Error} if another process of this user supervises the children; a process whose fds cannot be read is
 * ignored
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
		// Few processes have an fd with so high a number. All others are skipped here.
		fileOf(pid, firstOwnFd) !== null &&
		ownerOf(pid) === process.geteuid?.() &&
		isSupervisors(fdsAmong(pid, listeners) ?? []) &&
		!isManager(pid) &&
		// A child may hold its socket under any fd number, and may be a supervisor itself.
		![...(ancestorsOf(pid) ?? [])].some((each) => pids.has(each)) &&
		(parents.has(pid) || filesOf(pid).some(({ file }) => pipes.has(file)));
	return allPids().find(isOne) ?? null;
}

/**
 * Whether a process holds listeners as a supervisor does: above the fd numbers given to children.
 * @param fds the process's fds of listeners
 */
export function isSupervisors(fds: number[]): boolean {
	return fds.length > 0 && fds.every((fd) => fd >= firstOwnFd);
}

/** Whether a process is systemd, which keeps the sockets that it created or stores for a service. */
export function isManager(pid: number): boolean {
	try {
		return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'systemd';
	} catch {
		return false;
	}
}
