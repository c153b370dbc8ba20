/** Where the facts come from that an inspector shows. */
import { statSync } from 'node:fs';
import type { Line, Source } from '../../machines/wire.ts';
import { type Header, lineReader } from '../journal/lines.ts';
import { linesOf } from '../journal/tail.ts';
import { wordsOf } from '../os/words.ts';

/** What comes out of a source, in order. */
export type Item =
	/** A story begins, also where another one was before. */
	| { type: 'begins'; source: Source }
	/** `progress` goes from 0 to 1 while what is there already is read. */
	| { type: 'lines'; lines: Line[]; progress: number }
	/** For now there is no more. */
	| { type: 'live' }
	/** Nothing will follow: the sentence says why. */
	| { type: 'ended'; why: string };

/** Each call begins from the start. The seam for whatever else has facts to show. */
export type FactSource = (signal: AbortSignal) => AsyncIterable<Item>;

/** A journal, followed as it grows. Arguments and paths in its headers stay here. */
export function journalSource(path: string): FactSource {
	return async function* (signal) {
		const readLine = lineReader();
		let number = 0;
		let read = 0;
		let run: string | null = null;
		try {
			const size = statSync(path).size;
			for await (const raws of linesOf(path, { follow: true, signal })) {
				if (raws.length === 0) yield { type: 'live' };
				let lines: Line[] = [];
				for (const raw of raws) {
					number += 1;
					read += raw.length + 1;
					const line = readLine(raw, number);
					const progress = Math.min(1, read / size);
					if (typeof line === 'string') {
						yield { type: 'lines', lines, progress };
						return yield { type: 'ended', why: `${path}: ${line}; the story ends here` };
					}
					if (!('journal' in line)) lines.push(line);
					else {
						if (line.run === run) continue;
						if (lines.length > 0) yield { type: 'lines', lines, progress };
						lines = [];
						run = line.run;
						yield { type: 'begins', source: sourceOf(path, line) };
					}
				}
				if (lines.length > 0) yield { type: 'lines', lines, progress: Math.min(1, read / size) };
			}
		} catch (error) {
			yield { type: 'ended', why: `${path}: ${wordsOf(error)}` };
		}
	};
}

/** Nothing has happened: the page imagines it all. */
export async function* imaginedSource(): AsyncIterable<Item> {
	const source = {
		name: 'an imagined supervisor',
		isImagined: true,
		run: null,
		program: null,
		pid: null,
		listeners: [],
	};
	yield { type: 'begins', source };
	yield { type: 'live' };
}

/** @throws {Error} with a sentence when it is no journal */
export async function requireJournal(path: string): Promise<void> {
	for await (const [first] of linesOf(path, { follow: false })) {
		lineReader()(first ?? '', 1);
		return;
	}
	if (statSync(path).size > 0) throw new Error('line 1 is no journal header');
}

function sourceOf(path: string, { run, program, pid, listeners }: Header): Source {
	const shown = listeners.map(({ uri, address }) => ({ uri, address }));
	return { name: path, isImagined: false, run, program, pid, listeners: shown };
}
