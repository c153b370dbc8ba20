/**
 * Runs operations on the thread pool with a time limit. Another process can delay such an operation: by a page that
 * it serves in user space (userfaultfd(2), FUSE), or as a dead NFS server. Every wait ends, and one pool thread stays
 * free.
 */

import { lstat } from 'node:fs/promises';

/** The pool has 4 threads; 1 is kept free. */
const mostStuck = 3;

/** Milliseconds to wait for a probe of the pool (`poolAnswers`), sufficient for a busy machine. */
const longestAnswer = 5000;

interface Kind {
	/** Time limit of one operation, in milliseconds. */
	longest: number;
	/** Maximum number of unfinished operations beyond their time limit. */
	mostStuck: number;
	/** An operation on a stuck subject starts only after the stuck operation has finished. */
	isOnce: boolean;
	/** Subjects of the operations that have exceeded the time limit and are unfinished. */
	stuck: string[];
	/** Number of unfinished operations within the time limit. */
	running: number;
	/** Callers that wait to start. If all running operations hang, they occupy at most `mostStuck` threads. */
	waiting: (() => void)[];
}

/** Inspection of a process. The process itself can delay the inspection, so the limit is short. */
export const look: Kind = { longest: 250, mostStuck: 2, isOnce: true, stuck: [], running: 0, waiting: [] };

/**
 * Reads before a child starts. A stuck path is tried again, because it may lead to another file system the next time.
 */
export const start: Kind = { longest: 5000, mostStuck: 2, isOnce: false, stuck: [], running: 0, waiting: [] };

/** `stuck`: the operation exceeds its time limit. `not begun`: too many other operations are stuck. */
export type Late = 'stuck' | 'not begun';

/** Whether `inTime` returned without the operation's result. */
export function isLate(result: unknown): result is Late {
	return result === 'stuck' || result === 'not begun';
}

/**
 * Runs `work` on a thread of the pool and waits for its result, within the limits of its kind.
 * @param of the subject: a pid or a path
 * @param undo receives a result that arrives after the time limit
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
		// If this process or the pool was delayed, the operation gets the second half of its time after the pool responds.
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

	/** Calls `next` from setImmediate, after pending I/O callbacks: a result that has arrived counts. */
	function after(millis: number, next: () => void) {
		clearTimeout(timer);
		timer = setTimeout(() => setImmediate(() => !isDone && next()), millis);
	}
}

/** Lets the waiting callers check the limits again. */
function release(kind: Kind) {
	kind.running -= 1;
	for (const next of kind.waiting.splice(0)) next();
}

/** Probes the pool with an operation that other processes cannot delay. */
async function poolAnswers(): Promise<void> {
	await lstat('/').catch(() => {});
}

/** The error text for a program or directory that cannot be read before a start. */
export function lateText(what: string, late: Late): string {
	if (late === 'stuck') return `${what}: its file system has not answered for ${start.longest / 1000} s`;
	const processes = look.stuck.map((pid) => `process ${pid}`);
	const names = [...start.stuck.map((path) => `the file system of ${path}`), ...processes];
	return `${what}: not looked at, as ${names.join(' and ')} still does not answer`;
}
