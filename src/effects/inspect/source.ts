/** Where the facts come from that an inspector shows. */
import { statSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { Line, Source } from '../../machines/facts/feed.ts';
import type { Header } from '../journal/lineSchemas.ts';
import { lineReader } from '../journal/lines.ts';
import { linesOf } from '../journal/tail.ts';
import { errorText } from '../os/errorText.ts';
import { bootId } from '../os/ids.ts';
import { onEnd, openPidfd } from '../os/pidfd.ts';

/** What comes out of a source, in order. */
export type Item =
	/** A story begins, also where another one was before. */
	| { type: 'begins'; source: Source }
	/** The same story, and another program or supervisor that goes on with it; or nobody does any more. */
	| { type: 'goesOn'; source: Source }
	/** `progress` goes from 0 to 1 while what is there already is read. */
	| { type: 'lines'; lines: Line[]; progress: number }
	/** For now there is no more. */
	| { type: 'live' }
	/** Nothing will follow: the sentence says why. */
	| { type: 'ended'; why: string };

/** The seam for whatever else has facts to show. */
export interface FactSource {
	/** Everything from the start. @param tell told, at any time, of what is in no order */
	items: (signal: AbortSignal, tell: (item: Item) => void) => AsyncIterable<Item>;
	/** Whether the fact of that number, of a supervisor of that name, is part of the story. */
	hasFact: (run: string, seq: number) => Promise<boolean>;
}

/** A journal, followed as it grows. Arguments and paths in its headers stay here. */
export function journalSource(path: string): FactSource {
	return { items: (signal, tell) => itemsOf(path, signal, tell), hasFact: (run, seq) => hasFact(path, run, seq) };
}

async function* itemsOf(path: string, signal: AbortSignal, tell: (item: Item) => void): AsyncGenerator<Item> {
	const runs = new Set<string>();
	let stopWatching = () => {};
	let readLine = lineReader();
	let number = 0;
	let read = 0;

	/** Lines of a file in the place of another one are counted anew; whoever wrote it may have been known before. */
	function headed(header: Header): Item {
		const isKnown = runs.has(header.run) || (runs.size > 0 && number > 1);
		if (!isKnown) runs.clear();
		runs.add(header.run);
		stopWatching();
		const source = sourceOf(path, header);
		stopWatching = watchWriter(header, () => tell({ type: 'goesOn', source: { ...source, isWritten: false } }));
		return { type: isKnown ? 'goesOn' : 'begins', source: { ...source, isWritten: stopWatching !== nobody } };
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

const nobody = () => {};

/** Tells when the supervisor that a header names has ended; nothing where it has already. @returns how to stop */
function watchWriter({ boot, pid, startTime }: Header, ended: () => void): () => void {
	const pidfd = boot === bootId() ? openPidfd(pid, startTime) : null;
	if (pidfd === null) return nobody;
	let isWanted = true;
	const stop = onEnd(pidfd, () => {
		if (isWanted) ended();
	});
	return () => {
		isWanted = false;
		stop();
	};
}

/** Whether a fact of that number and supervisor is in the file, or a checkpoint that stands for it; not where there is no telling. */
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
			// Others want something meanwhile.
			await setImmediate();
		}
	} catch {
		// What is wrong with it is said when it is read.
	}
	return false;
}

/** Nothing has happened: the page imagines it all. */
export const imaginedSource: FactSource = {
	async *items() {
		const name = 'an imagined supervisor';
		const none = { isImagined: true, run: null, program: null, pid: null, listeners: [], isWritten: false };
		yield { type: 'begins', source: { name, ...none } };
		yield { type: 'live' };
	},
	hasFact: async () => false,
};

/** @throws {Error} with a sentence when it is no journal */
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
