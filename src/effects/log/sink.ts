/** Where log lines wait to be written, so that nobody waits for them. */

/** What was taken, and what was lost for good. */
export interface LogCounts {
	lines: number;
	bytes: number;
	lost: Loss;
}

export interface Loss {
	lines: number;
	bytes: number;
}

/** Takes text whose characters are bytes (latin1), whole lines at a time. */
export interface Sink {
	/** @param lines how many they are, where that is known already */
	write: (text: string, lines?: number) => void;
	/** It holds more than it should: whoever can wait should wait. */
	isStalled: () => boolean;
	/** All is written. */
	isIdle: () => boolean;
	/** Told when a stall is over. */
	onReady: (listener: () => void) => void;
	/** Told how many lines were dropped, in a stall or because nobody could take them, when that is over. */
	onDropped: (listener: (lines: number) => void) => void;
	/** What was taken and what was lost so far. */
	counts: () => LogCounts;
	/** Resolves with true when all is written, with false when the patience (milliseconds) is at its end. */
	flush: (limitMs: number) => Promise<boolean>;
}

/** Above this many, lines are dropped and counted: only the supervisor's own and last output come in a stall. */
const dropAt = 16 * 1024 * 1024;

/** Writes whole lines and answers when they are out, with what was lost for good: the log is no reason to die. */
export type Writer = (text: string, done: (lost?: Loss) => void) => void;

/**
 * A sink in front of a writer, which gets one text at a time.
 * @param stallAt above this many bytes not yet written it is stalled
 */
export function openSink(write: Writer, stallAt: number): Sink {
	let waiting: string[] = [];
	let waitingBytes = 0;
	let isWriting = false;
	let dropped = 0;
	const counts = { lines: 0, bytes: 0, lost: { lines: 0, bytes: 0 } };
	const readyListeners: (() => void)[] = [];
	const droppedListeners: ((lines: number) => void)[] = [];
	let flushed: (() => void)[] = [];

	function add(text: string, lines = countLines(text)) {
		if (waitingBytes > dropAt) return drop({ lines, bytes: text.length });
		counts.lines += lines;
		counts.bytes += text.length;
		waiting.push(text);
		waitingBytes += text.length;
		if (!isWriting) next();
	}

	function drop({ lines, bytes }: Loss) {
		dropped += lines;
		counts.lost.lines += lines;
		counts.lost.bytes += bytes;
	}

	function next() {
		isWriting = true;
		while (waiting.length > 0) {
			const text = waiting.length === 1 ? (waiting[0] ?? '') : waiting.join('');
			waiting = [];
			let isSync = true;
			let isDone = false;
			write(text, (lost) => {
				isDone = true;
				if (lost) drop(lost);
				written(text.length, lost === undefined);
				if (!isSync) next();
			});
			isSync = false;
			if (!isDone) return;
		}
		isWriting = false;
		for (const resolve of flushed) resolve();
		flushed = [];
	}

	function written(bytes: number, isComplete: boolean) {
		const wasStalled = waitingBytes > stallAt;
		waitingBytes -= bytes;
		const isStalled = waitingBytes > stallAt;
		if (!isStalled && isComplete) reportDropped();
		if (wasStalled && !isStalled) for (const listener of readyListeners) listener();
	}

	/** Told when something is taken again, not while it is lost. */
	function reportDropped() {
		const count = dropped;
		dropped = 0;
		if (count > 0) for (const listener of droppedListeners) listener(count);
	}

	return {
		write: add,
		isStalled: () => waitingBytes > stallAt,
		isIdle: () => !isWriting,
		counts: () => counts,
		onReady: (listener) => readyListeners.push(listener),
		onDropped: (listener) => droppedListeners.push(listener),
		flush: (limitMs) =>
			new Promise((resolve) => {
				if (!isWriting) return resolve(true);
				const limit = setTimeout(resolve, limitMs, false);
				flushed.push(() => {
					clearTimeout(limit);
					resolve(true);
				});
			}),
	};
}

function countLines(text: string): number {
	let count = 0;
	for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count += 1;
	return count;
}
