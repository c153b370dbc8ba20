/**
 * Work of the thread pool that others can hold up: a page that its process serves by itself (userfaultfd(2), FUSE), a file
 * system that does not answer (a dead NFS). Nobody waits for it for ever, and it does not take all threads.
 */

import { lstat } from 'node:fs/promises';

/** The pool has four threads, and one is kept free. */
const mostStuck = 3;

/** How long the pool may take for work that nothing outside can hold up, on a machine that is busy, in milliseconds. */
const longestAnswer = 5000;

interface Kind {
	/** How long it may take, in milliseconds. */
	longest: number;
	/** So many may be under way that have taken longer. */
	mostStuck: number;
	/** It is not tried again before it has come back. */
	isOnce: boolean;
	/** What has not come back. */
	stuck: string[];
	/** What is under way, and is not stuck yet. */
	running: number;
	/** Who waits until less is under way: if all of it hung, it would take no more threads than it may. */
	waiting: (() => void)[];
}

/** A look at a process: what that holds up is no other process's matter. */
export const look: Kind = { longest: 250, mostStuck: 2, isOnce: true, stuck: [], running: 0, waiting: [] };

/** What is read before a child is started: a path may lead elsewhere the next time. */
export const start: Kind = { longest: 5000, mostStuck: 2, isOnce: false, stuck: [], running: 0, waiting: [] };

/** Work that has not come back in time; or that was not begun, as too much of its kind has not come back. */
export type Late = 'stuck' | 'not begun';

/** Whether work has not come, and what has come otherwise. */
export function isLate(result: unknown): result is Late {
	return result === 'stuck' || result === 'not begun';
}

/**
 * Waits for work that is done by a thread of the pool.
 * @param of what it is about
 * @param undo told of what comes too late
 */
export async function inTime<T>(
	of: string,
	kind: Kind,
	work: () => Promise<T>,
	undo: (value: T) => void = () => {},
): Promise<T | Late> {
	const { stuck } = kind;
	for (;;) {
		const isFull = stuck.length >= kind.mostStuck || look.stuck.length + start.stuck.length >= mostStuck;
		if (stuck.includes(of) && (isFull || kind.isOnce)) return 'stuck';
		if (isFull) return 'not begun';
		if (stuck.length + kind.running < kind.mostStuck) break;
		await new Promise<void>((resolve) => kind.waiting.push(resolve));
	}
	kind.running += 1;
	let [isStuck, isDone] = [false, false];
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<'stuck'>((resolve) => {
		// Where this process, or the pool, was held up itself, what was to come has the other half of its time then.
		after(kind.longest / 2, () => {
			const goOn = () => isStuck || after(kind.longest / 2, fail);
			void poolAnswers().then(() => isDone || goOn());
			timer = setTimeout(goOn, longestAnswer);
		});

		function fail() {
			if (isStuck) return;
			isStuck = true;
			release(kind);
			stuck.push(of);
			resolve('stuck');
		}
	});
	const working = work().finally(() => {
		isDone = true;
		clearTimeout(timer);
		if (isStuck) stuck.splice(stuck.indexOf(of), 1);
		else release(kind);
	});
	working.then((value) => isStuck && undo(value)).catch(() => {});
	return Promise.race([working, late]);

	/** What has come meanwhile is told after the timers. */
	function after(millis: number, next: () => void) {
		clearTimeout(timer);
		timer = setTimeout(() => setImmediate(() => !isDone && next()), millis);
	}
}

/** Whoever waits looks again. */
function release(kind: Kind) {
	kind.running -= 1;
	for (const next of kind.waiting.splice(0)) next();
}

/** Work that nothing outside can hold up. */
async function poolAnswers(): Promise<void> {
	await lstat('/').catch(() => {});
}

/** Why what is to be started can't be. */
export function lateText(what: string, late: Late): string {
	if (late === 'stuck') return `${what}: its file system has not answered for ${start.longest / 1000} s`;
	const processes = look.stuck.map((pid) => `process ${pid}`);
	const names = [...start.stuck.map((path) => `the file system of ${path}`), ...processes];
	return `${what}: not looked at, as ${names.join(' and ')} still does not answer`;
}
