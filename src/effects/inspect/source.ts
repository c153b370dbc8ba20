/** The sources of facts for the inspector. */
import { statSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { Line, Report, Source } from '../../machines/facts/feed.ts';
import type { Header } from '../journal/lineSchemas.ts';
import { lineReader } from '../journal/lines.ts';
import { linesOf } from '../journal/tail.ts';
import { errorText } from '../os/errorText.ts';
import { bootId } from '../os/ids.ts';
import { onEnd, openPidfd } from '../os/pidfd.ts';

/** An item of a source, in order. */
export type Item =
	/** A timeline begins. It replaces an earlier one. */
	| { type: 'begins'; source: Source }
	/** The same timeline continues with another program or supervisor, or its supervisor has exited. */
	| { type: 'goesOn'; source: Source }
	/** `progress` rises from 0 to 1 while the existing lines are read. */
	| { type: 'lines'; lines: Line[]; progress: number }
	/** All items present have been sent. */
	| { type: 'live' }
	/** Nothing is known yet: no supervisor answers. `why` is a sentence. */
	| { type: 'waits'; why: string }
	/** Nothing follows. `why` is a sentence. */
	| { type: 'ended'; why: string };

/** The interface of all fact sources. */
export interface FactSource {
	/** All items from the start. @param tell receives items that can come at any time, out of order */
	items: (signal: AbortSignal, tell: (item: Item) => void) => AsyncIterable<Item>;
	/** Whether a fact, identified by run and number, belongs to the timeline. */
	hasFact: (run: string, seq: number) => Promise<boolean>;
	/** What the running supervisor says of itself. @throws {Error} if it does not answer. Undefined: there is none to ask */
	report?: () => Promise<Report>;
}

/** A journal, followed as it grows. The arguments and file paths in its headers are not passed on. */
export function journalSource(path: string): FactSource {
	return { items: (signal, tell) => itemsOf(path, signal, tell), hasFact: (run, seq) => hasFact(path, run, seq) };
}

async function* itemsOf(path: string, signal: AbortSignal, tell: (item: Item) => void): AsyncGenerator<Item> {
	const runs = new Set<string>();
	let stopWatching = () => {};
	let readLine = lineReader();
	let number = 0;
	let read = 0;

	/**
	 * Handles a header. A file that replaced another one counts its lines from 1 again, but its run may already be
	 * known.
	 */
	function headed(header: Header): Item {
		const isKnown = runs.has(header.run) || (runs.size > 0 && number > 1);
		if (!isKnown) runs.clear();
		runs.add(header.run);
		stopWatching();
		const source = sourceOf(path, header);
		stopWatching = watchWriter(header, () => tell({ type: 'goesOn', source: { ...source, isWritten: false } }));
		return { type: isKnown ? 'goesOn' : 'begins', source: { ...source, isWritten: stopWatching !== noop } };
	}

	try {
		const size = Math.max(1, statSync(path).size);
		for await (const { lines: raws, start } of linesOf(path, { follow: true, signal })) {
			if (raws.length === 0) yield { type: 'live' };
			if (start === 'rewritten') runs.clear();
			if (start !== null) {
				readLine = lineReader();
				number = 0;
			}
			let lines: Line[] = [];
			const batch = (): Item => ({ type: 'lines', lines, progress: Math.min(1, read / size) });
			for (const raw of raws) {
				number += 1;
				read += raw.length + 1;
				const line = readLine(raw, number);
				if (typeof line === 'string') {
					yield batch();
					return yield { type: 'ended', why: `${path}: ${line}; the story ends here` };
				}
				if (!('journal' in line)) lines.push(line);
				else {
					if (lines.length > 0) yield batch();
					lines = [];
					yield headed(line);
				}
			}
			if (lines.length > 0) yield batch();
		}
	} catch (error) {
		yield { type: 'ended', why: `${path}: ${errorText(error)}` };
	} finally {
		stopWatching();
	}
}

const noop = () => {};

/**
 * Calls `ended` when the supervisor named in a header exits. Does nothing if the supervisor has already exited.
 * @returns a function that stops the watch
 */
function watchWriter({ boot, pid, startTime }: Header, ended: () => void): () => void {
	const pidfd = boot === bootId() ? openPidfd(pid, startTime) : null;
	if (pidfd === null) return noop;
	let isWanted = true;
	const stop = onEnd(pidfd, () => {
		if (isWanted) ended();
	});
	return () => {
		isWanted = false;
		stop();
	};
}

/** Whether the file contains the fact, or a checkpoint that includes it. False if the file cannot be read. */
async function hasFact(path: string, run: string, seq: number): Promise<boolean> {
	let own = '';
	let isFirst = true;
	try {
		for await (const { lines } of linesOf(path, { follow: false })) {
			for (const line of lines) {
				const { journal, run: named, seq: number, checkpoint } = JSON.parse(line);
				if (journal) own = named;
				else {
					if (own === run && (number === seq || (isFirst && checkpoint && number > seq))) return true;
					isFirst = false;
				}
			}
			// Let other tasks of the event loop run.
			await setImmediate();
		}
	} catch {
		// `itemsOf` reports the error when it reads the file.
	}
	return false;
}

/** A source without facts, for the simulator: the page generates all events. */
export const imaginedSource: FactSource = {
	async *items() {
		const name = 'a simulated supervisor';
		const none = { isImagined: true, run: null, program: null, pid: null, listeners: [], isWritten: false };
		yield { type: 'begins', source: { name, ...none } };
		yield { type: 'live' };
	},
	hasFact: async () => false,
};

/** @throws {Error} with a sentence if the file is not a journal */
export async function requireJournal(path: string): Promise<void> {
	for await (const { lines } of linesOf(path, { follow: false })) {
		lineReader()(lines[0] ?? '', 1);
		return;
	}
	if (statSync(path).size > 0) throw new Error('line 1 is no journal header');
}

function sourceOf(path: string, { run, program, pid, listeners }: Header): Omit<Source, 'isWritten'> {
	const shown = listeners.map(({ uri, address }) => ({ uri, address }));
	return { name: path, isImagined: false, run, program, pid, listeners: shown };
}
