/** Queues log lines for a writer, so that the supervisor never waits for the log. */

/** Totals since the start. */
export interface LogCounts {
	/** Accepted lines and bytes. They include those that the writer has lost later. */
	lines: number;
	bytes: number;
	/** Lines and bytes that were dropped, or that the writer could not write. */
	lost: Loss;
}

export interface Loss {
	lines: number;
	bytes: number;
}

/** Accepts text in complete lines. Each character is one byte (latin1). */
export interface Sink {
	/** @param lines the number of lines, if the caller knows it */
	write: (text: string, lines?: number) => void;
	/** Whether the queue exceeds `stallAt`. Producers that can wait should stop. */
	isStalled: () => boolean;
	/** Whether all lines are written. */
	isIdle: () => boolean;
	/** Called when a stall ends. */
	onReady: (listener: () => void) => void;
	/** Called with the number of lost lines after the stall or the write errors end. */
	onDropped: (listener: (lines: number) => void) => void;
	counts: () => LogCounts;
	/** Resolves with true when all lines are written, or with false after `limitMs`. */
	flush: (limitMs: number) => Promise<boolean>;
}

/**
 * Above this many bytes in the queue (16 MiB), lines are dropped and counted. In a stall the queue grows only by the
 * lines of the supervisor and by the last output of children that exit.
 */
const dropAt = 16 * 1024 * 1024;

/**
 * Writes complete lines and then calls `done`, with the loss if an error occurred. A log error never ends the
 * supervisor.
 */
export type Writer = (text: string, done: (lost?: Loss) => void) => void;

/**
 * Opens a sink. The writer receives one text at a time.
 * @param stallAt the sink is stalled above this many unwritten bytes
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

	/** Called after a successful write: while writes fail, the report would be lost too. */
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
