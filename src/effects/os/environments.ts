/** Reads the environments of processes from /proc. */
import { setTimeout } from 'node:timers/promises';
import { inTime, isLate, type Late, look } from './boundedReads.ts';
import { bootClock } from './clock.ts';
import { allPids, isEnding, isOwnProc, lookUp } from './proc.ts';
import { readProc } from './procFile.ts';
import { readAs } from './readAs.ts';

/** Milliseconds to wait for the environment of a process that is blocked, or seems to have an empty one. */
const longestBlock = 50;

/** Milliseconds to wait for the end of execve(2): until then the environment is empty. A busy machine delays it. */
const longestExec = 250;

/** Pause between two reads of an environment, in milliseconds. */
const execPause = 2;

/** The environment as `NAME=value`, one character per byte. Empty if the process is gone; null if unreadable. */
export async function environmentOf(pid: number): Promise<string[] | null> {
	const found = await lookAtEnvironment(pid);
	return found === 'denied' || isLate(found) ? null : found;
}

/**
 * Reads the environment with a thread of the pool. If a change of the process's memory hangs (a page of a dead file
 * system), the read hangs too.
 */
async function lookAtEnvironment(pid: number): Promise<string[] | 'denied' | Late> {
	if (!isOwnProc()) return 'denied';
	let isEmpty = false;
	const began = bootClock();
	try {
		for (let longest = longestBlock; bootClock() - began < longest; await setTimeout(execPause)) {
			// A read of a blocked process can hang, and would occupy a thread of the pool.
			if (lookUp(pid)?.isBlocked) continue;
			const text = await inTime(String(pid), look, () => readAs(`/proc/${pid}/environ`));
			if (isLate(text)) return text;
			if (text !== '' || isEnding(pid)) return text.split('\0');
			// Either the environment is empty, or the process is in execve(2).
			isEmpty = hasNoVariables(pid);
			longest = isEmpty ? longestBlock : longestExec;
		}
		return isEmpty ? [] : 'stuck';
	} catch {
		return isEnding(pid) ? [] : 'denied';
	}
}

/** Number of environments that are read at the same time: a blocked process delays only one reader. */
const readersAtOnce = 16;

export interface Environments {
	/** Environments by pid, of the processes that allow the read. */
	variables: ReadonlyMap<number, string[]>;
	/** Pids of the processes whose environment could not be read in time. */
	late: number[];
}

/** The environments of all processes. */
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
 * Whether the environment is empty: its address is set and its length is 0 (proc(5), stat, fields 50 and 51). At the
 * end of execve(2) this is also true for a moment, before the kernel sets the length.
 */
function hasNoVariables(pid: number): boolean {
	const stat = readProc(`/proc/${pid}/stat`);
	const [start, end] = stat
		.slice(stat.lastIndexOf(')') + 2)
		.split(' ')
		.slice(47, 49);
	return start !== '0' && start === end;
}
