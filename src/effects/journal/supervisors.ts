/** A supervisor that lives, known by how it holds its listeners: whatever a journal tells of it. */
import { readFileSync } from 'node:fs';
import type { RosterChild } from '../../machines/roster.ts';
import { firstOwnFd } from '../os/descriptors.ts';
import { allPids, fdsAmong, fileOf, filesOf } from '../os/proc.ts';

/**
 * Another supervisor may have been given the same sockets (-share): that of these children reads what they print.
 * @param listeners inodes
 * @throws {Error} where another process than this one is the supervisor of children; what can't be seen is none
 */
export function refuseSupervised(listeners: ReadonlySet<number>, children: Pick<RosterChild, 'pipe'>[]): void {
	const pipes = new Set(children.flatMap(({ pipe }) => (pipe === null ? [] : `pipe:[${pipe}]`)));
	for (const pid of allPids()) {
		// Few processes have so many fds: the others are not looked at further.
		if (pid === process.pid || fileOf(pid, firstOwnFd) === null || isManager(pid)) continue;
		if (!isSupervisors(fdsAmong(pid, listeners) ?? [])) continue;
		if (pipes.size > 0 && !filesOf(pid).some(({ file }) => pipes.has(file))) continue;
		throw new Error(`its supervisor ${pid} is still alive`);
	}
}

/** Whether a process holds listeners as a supervisor does: above all that children are given. @param fds its own of them */
export function isSupervisors(fds: number[]): boolean {
	return fds.length > 0 && fds.every((fd) => fd >= firstOwnFd);
}

/** A service manager keeps the sockets that it has made, or was given. */
export function isManager(pid: number): boolean {
	try {
		return pid === 1 || readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'systemd';
	} catch {
		return false;
	}
}
