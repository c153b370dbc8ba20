/** Evidence from several inspections of a child in a row, where a single one proves nothing. */
import type { Unclear } from '../os/acceptance.ts';

/**
 * If the threads of a process can't be inspected, after this many inspections the process counts as waiting on what it
 * polls.
 */
const looksThatPoll = 5;

/**
 * By process and listener: for how many inspections in a row the process polled the listener and its threads could
 * not be inspected.
 */
export type PolledLooks = ReadonlyMap<string, number>;

/**
 * Adds one inspection.
 * @param polledUnseen the pid of the process, by the inode of the listener that it polls
 * @returns the new counts, and the inodes of the listeners that count as accepted
 */
export function countPolledLooks(
	before: PolledLooks,
	polledUnseen: ReadonlyMap<number, number>,
): { looks: PolledLooks; accepted: number[] } {
	const looks = new Map<string, number>();
	const accepted: number[] = [];
	for (const [inode, process] of polledUnseen) {
		const key = `${process} ${inode}`;
		const count = (before.get(key) ?? 0) + 1;
		looks.set(key, count);
		if (count >= looksThatPoll) accepted.push(inode);
	}
	return { looks, accepted };
}

/** The process that can't be inspected completely, and since when, in milliseconds since boot. */
export interface UnclearSince {
	pid: number;
	since: number;
}

/** Adds one inspection. @param now in milliseconds since boot */
export function unclearSince(before: UnclearSince | null, unclear: Unclear | null, now: number): UnclearSince | null {
	if (unclear === null) return null;
	return before?.pid === unclear.pid ? before : { pid: unclear.pid, since: now };
}
