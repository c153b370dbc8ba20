/** Which processes belong to a child: descended from it, in the process group that it leads, or marked as its own. */
import { allPids, environmentOf, lookUp } from './proc.ts';

/** How far up it is looked for an ancestor. */
const mostAncestors = 64;

/**
 * Who belongs to a child, besides itself.
 * @param mark variables that all of them have, also those that have left it (daemon(7) forks twice)
 */
export function familyOf(child: number, mark: string[]): number[] {
	const parents = new Map<number, number>();
	const family = new Set<number>([child]);
	const pids = allPids();
	for (const pid of pids) {
		const stat = lookUp(pid);
		if (!stat) continue;
		parents.set(pid, stat.parent);
		if (stat.group === child) family.add(pid);
	}
	for (const pid of pids) {
		if (hasAncestor(family, pid, (each) => parents.get(each)) || isMarked(pid, mark)) family.add(pid);
	}
	family.delete(child);
	return [...family];
}

function isMarked(pid: number, mark: string[]): boolean {
	const environment = environmentOf(pid);
	return mark.every((entry) => environment.includes(entry));
}

/** Whom a process belongs to: itself, the leader of its group, and its ancestors. */
export function kinOf(pid: number): Set<number> {
	const kin = new Set<number>([pid]);
	const own = lookUp(pid);
	if (own) kin.add(own.group);
	for (let at = own?.parent; at !== undefined && at > 1 && kin.size < mostAncestors; at = lookUp(at)?.parent)
		kin.add(at);
	return kin;
}

function hasAncestor(wanted: Set<number>, pid: number, parentOf: (pid: number) => number | undefined): boolean {
	let at: number | undefined = pid;
	for (let steps = 0; at !== undefined && at > 1 && steps < mostAncestors; steps += 1) {
		if (wanted.has(at)) return true;
		at = parentOf(at);
	}
	return false;
}
