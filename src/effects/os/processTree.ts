/** Which processes belong to a child: descended from it, in the process group that it leads, or marked as its own. */
import { readdirSync, readFileSync } from 'node:fs';
import { bootClock } from './clock.ts';
import { allPids, environmentOf, isOwnProc, lookAt, lookUp } from './proc.ts';
import { giveTurn } from './yielding.ts';

/** How far up it is looked for an ancestor. */
const mostAncestors = 64;

/** A child's first process. */
export interface Leader {
	pid: number;
	/** Variables that all of its processes have, also those that have left it (daemon(7) forks twice); none where that does not count. */
	mark: string[];
}

/**
 * A process and its descendants, itself first, by /proc/PID/task/TID/children.
 * @returns null where the kernel does not tell (CONFIG_PROC_CHILDREN)
 */
export async function descendantsOf(pid: number): Promise<number[] | null> {
	if (!isOwnProc()) return null;
	const found = new Set([pid]);
	for (const each of found) {
		await giveTurn();
		const children = await childrenOf(each);
		if (children === null) return null;
		for (const child of children) found.add(child);
	}
	return [...found];
}

/** Null where the kernel does not tell; a process that is gone has none. */
async function childrenOf(pid: number): Promise<number[] | null> {
	const folder = `/proc/${pid}/task`;
	let threads: string[];
	try {
		threads = readdirSync(folder);
	} catch {
		return [];
	}
	const children: number[] = [];
	for (const thread of threads) {
		await giveTurn();
		try {
			for (const child of readFileSync(`${folder}/${thread}/children`, 'latin1').split(' ')) {
				if (child !== '') children.push(Number(child));
			}
		} catch {
			// The thread has ended, or no thread has such a file.
			if (lookUp(pid)?.isAlive && threads.length === 1) return null;
		}
	}
	return children;
}

interface Row {
	parent: number;
	group: number;
	startTime: number;
}

/** All processes of the machine, in small steps. */
async function allProcesses(): Promise<Map<number, Row>> {
	const rows = new Map<number, Row>();
	for (const pid of allPids()) {
		await giveTurn();
		const stat = lookUp(pid);
		if (stat) rows.set(pid, { parent: stat.parent, group: stat.group, startTime: stat.startTime });
	}
	return rows;
}

let recent: { at: number; rows: Promise<Map<number, Row>> } | null = null;

/** The same, as they were so many milliseconds ago at the most: those who ask at once share it. */
function recentProcesses(mostAge: number): Promise<Map<number, Row>> {
	const now = bootClock();
	if (mostAge === 0) return allProcesses();
	if (recent === null || now - recent.at > mostAge) recent = { at: now, rows: allProcesses() };
	return recent.rows;
}

/** They are kept no longer than somebody may ask for them. */
export function forgetProcesses(): void {
	recent = null;
}

/**
 * The processes of each child by its pid, itself first. It reads all processes of the machine once, in small steps.
 * @param mostAge how old what is known of them may be, in milliseconds
 */
export async function treesOf(leaders: Leader[], mostAge = 0): Promise<Map<number, number[]>> {
	const trees = new Map(leaders.map(({ pid }) => [pid, [pid]]));
	if (leaders.length === 0) return trees;
	const rows = await recentProcesses(mostAge);
	const oldest = Math.min(...leaders.map(({ pid }) => rows.get(pid)?.startTime ?? 0));
	const marked = leaders.filter(({ mark }) => mark.length > 0);
	for (const [pid, { group, startTime }] of rows) {
		if (trees.has(pid)) continue;
		await giveTurn();
		let at: number | undefined = pid;
		for (let steps = 0; at !== undefined && at > 1 && steps < mostAncestors && !trees.has(at); steps += 1)
			at = rows.get(at)?.parent;
		const own = trees.get(at ?? 0) ?? trees.get(group);
		if (own) own.push(pid);
		// Nothing that began before the first of them belongs to any of them.
		else if (startTime >= oldest && marked.length > 0) {
			const environment = (await environmentOf(pid)) ?? [];
			const leader = marked.find(({ mark }) => mark.every((entry) => environment.includes(entry)));
			if (leader) trees.get(leader.pid)?.push(pid);
		}
	}
	return trees;
}

/** Whom a process belongs to: itself, the leader of its group, and its ancestors; null where /proc does not show it. */
export function ancestorsOf(pid: number): Set<number> | null {
	const ancestors = new Set<number>([pid]);
	const own = lookAt(pid);
	if (own === 'hidden') return null;
	let stat = typeof own === 'object' ? own : null;
	if (stat) ancestors.add(stat.group);
	for (; stat && stat.parent > 1 && ancestors.size < mostAncestors; stat = lookUp(stat.parent)) {
		ancestors.add(stat.parent);
	}
	return ancestors;
}
