/** Finds the processes of a child: its descendants, the members of its process group, and processes with its mark. */
import { readdirSync } from 'node:fs';
import { bootClock } from './clock.ts';
import { environmentOf } from './environments.ts';
import { allPids, isOwnProc, lookAt, lookUp } from './proc.ts';
import { readProc } from './procFile.ts';
import { giveTurn } from './yielding.ts';

/** Maximum number of ancestors to examine. */
const mostAncestors = 64;

/** A child's first process. */
export interface Leader {
	pid: number;
	/**
	 * Variables that all processes of the child have, including processes that have left the process tree (daemon(7)
	 * forks twice). Empty if the mark is ignored.
	 */
	mark: string[];
}

/**
 * A process, followed by its descendants, from /proc/PID/task/TID/children.
 * @returns null if the kernel has no such file (CONFIG_PROC_CHILDREN)
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

/** The child processes; null if the kernel has no file for them, empty if the process is gone. */
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
			for (const child of readProc(`${folder}/${thread}/children`).split(' ')) {
				if (child !== '') children.push(Number(child));
			}
		} catch {
			// The thread has exited, or the kernel has no such file.
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

/** Reads all processes of the machine, in short steps. */
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

/** The result of `allProcesses`, at most `mostAge` milliseconds old. Concurrent callers share one read. */
function recentProcesses(mostAge: number): Promise<Map<number, Row>> {
	const now = bootClock();
	if (mostAge === 0) return allProcesses();
	if (recent === null || now - recent.at > mostAge) recent = { at: now, rows: allProcesses() };
	return recent.rows;
}

/** Frees the shared result. Call after the last check that uses it. */
export function forgetProcesses(): void {
	recent = null;
}

/**
 * The processes of each child, by the pid of its leader; the leader is first. Reads all processes of the machine
 * once, in short steps.
 * @param mostAge maximum age of the data, in milliseconds
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
		// A process that started before the oldest leader belongs to no child.
		else if (startTime >= oldest && marked.length > 0) {
			const environment = (await environmentOf(pid)) ?? [];
			const leader = marked.find(({ mark }) => mark.every((entry) => environment.includes(entry)));
			if (leader) trees.get(leader.pid)?.push(pid);
		}
	}
	return trees;
}

/** The pids of a process, of its group leader and of its ancestors; null if /proc hides the process. */
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
