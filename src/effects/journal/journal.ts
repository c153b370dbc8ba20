/** The journal: every fact as one JSON line, appended in one write before anybody acts on it. */
import {
	closeSync,
	type FSWatcher,
	fstatSync,
	ftruncateSync,
	lstatSync,
	renameSync,
	unlinkSync,
	watch,
	writeSync,
} from 'node:fs';
import { nullable, number } from 'valibot';
import type { Fact } from '../../machines/facts/facts.ts';
import { evolveProjections, type Projections } from '../../machines/state/projections.ts';
import { stateOf } from '../../machines/state/supervisorState.ts';
import { errorText } from '../os/errorText.ts';
import { type HandoverState, section } from '../upgrade/handoverState.ts';
import { createPrivate, lock } from './journalFile.ts';
import type { Header, JournalLine } from './lineSchemas.ts';

export interface Journal {
	/** Appends a fact. Never throws: a disk that fails is reported once, and supervision goes on. */
	record: (fact: Fact) => void;
	/** To be called when no step is under way: what is compacted then is complete. */
	rest: () => void;
	/** What the facts so far amount to. */
	past: () => Projections;
	/** How large the file is, in bytes; null where it is in memory. */
	size: () => number | null;
	/** It is in a file, and outlives the supervisor. */
	isDurable: boolean;
}

/** Its fd, or null where it is in memory. */
export const journalSection = section('journal', () => nullable(number()));

/** A journal that has grown past this is replaced by what it amounts to. */
const compactAt = 1024 * 1024;

/** How long until a journal that could not be written is tried again, in milliseconds: at first, and at most. */
const [shortestWait, longestWait] = [250, 30_000];

/** A journal in memory: what is kept is what the facts amount to, so it does not grow with time. */
export function memoryJournal(start: Projections, handoverState: HandoverState): Journal {
	let past = start;
	handoverState.leave(journalSection, () => ({ state: null, fds: [] }));
	return {
		record: (fact) => {
			past = evolveProjections(past, fact);
		},
		rest: () => {},
		past: () => past,
		size: () => null,
		isDurable: false,
	};
}

interface FileJournalOptions {
	path: string;
	/** Open, locked, cut to what is sound, and owned by the journal from now on. */
	fd: number;
	header: Header;
	/** What the facts so far amount to. */
	start: Projections;
	report: (text: string) => void;
	handoverState: HandoverState;
}

/** Goes on with a journal file: a new life, with a header of its own. */
export function fileJournal({ path, fd: opened, header, start, report, handoverState }: FileJournalOptions): Journal {
	let fd = opened;
	let past = start;
	let size = fstatSync(fd).size;
	let nextCompaction = compactAt;
	let last: Fact | null = null;
	let isBroken = false;
	let hasHeader = false;
	let place: 'there' | 'removed' | 'changed' | 'taken' | 'hidden' = 'there';
	let watcher: FSWatcher | null = null;
	/** A checkpoint knows nothing of it. */
	let isUpgrading = false;
	handoverState.leave(journalSection, () => ({ state: fd, fds: [fd] }));
	attempt(() => {
		append(header);
		hasHeader = true;
	});
	watchFile();

	/** All of the line, or nothing of it. */
	function append(line: JournalLine) {
		const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
		const written = writeSync(fd, bytes);
		if (written < bytes.length) {
			// Somebody may have shortened it meanwhile.
			ftruncateSync(fd, Math.max(0, fstatSync(fd).size - written));
			throw new Error('no space left on device');
		}
		size += bytes.length;
	}

	function record(fact: Fact) {
		const before = past;
		past = evolveProjections(past, fact);
		attempt(() => {
			if (isBroken) mend(before, fact.seq - 1, fact.at);
			append(fact);
		});
		last = fact;
		if (fact.type === 'upgrade.begun') isUpgrading = true;
		if (fact.type === 'upgrade.refused' || fact.type === 'upgrade.failed') isUpgrading = false;
	}

	/** What could not be written is told by a checkpoint. */
	function mend({ state, ...rest }: Projections, seq: number, at: number) {
		if (!hasHeader) append(header);
		hasHeader = true;
		if (state) append({ checkpoint: state, seq, at, ...rest, gap: true });
		report(`The journal ${path} is written again; what happened in between is missing in it`);
		isBroken = false;
	}

	/** Without a fact that comes by it would stay unwritten, and a crash would find too little. */
	function tryAgain(wait: number) {
		setTimeout(() => {
			if (isBroken && last) attempt(() => mend(past, last?.seq ?? 0, last?.at ?? 0));
			if (isBroken) tryAgain(Math.min(wait * 2, longestWait));
		}, wait).unref();
	}

	function rest() {
		if (isUpgrading || !past.state || !last) return;
		keep(last);
		const isQuiet = ['running', 'draining'].includes(stateOf(past.state));
		if (isQuiet && place === 'there' && size > nextCompaction) compact(last);
	}

	/**
	 * A start after a crash would find nothing where somebody has removed the file, or emptied it (logrotate's copytruncate).
	 * Tried with each fact, and said once.
	 */
	function keep(fact: Fact) {
		const before = place;
		let [what, why] = ['', ''];
		try {
			const { dev, ino, size: length } = fstatSync(fd);
			const found = lstatSync(path, { throwIfNoEntry: false });
			const isOther = found !== undefined && (found.dev !== dev || found.ino !== ino);
			const isOurs = length === size || isBroken;
			place = found === undefined ? 'removed' : isOther ? 'taken' : isOurs ? 'there' : 'changed';
			if (place === 'removed' || place === 'changed') {
				what = place === 'removed' ? 'removed' : length < size ? 'truncated' : 'written to';
				replace(fact);
				place = 'there';
				return report(`Somebody has ${what} the journal ${path}; it is written anew`);
			}
		} catch (error) {
			why = errorText(error);
			if (what === '') place = 'hidden';
		}
		if (place === before || place === 'there') return;
		if (place === 'taken') report(`Somebody has put another file at ${path}: a start after a crash goes by that one`);
		else if (place === 'hidden') report(`The journal ${path} can't be looked at: ${why}`);
		else report(`Somebody has ${what} the journal ${path}, and it can't be written anew: ${why}`);
	}

	/** What is truncated or removed is noticed at once: the next fact may be long in coming, and a crash comes first. */
	function watchFile() {
		watcher?.close();
		try {
			watcher = watch(path, { persistent: false }, () => {
				if (isChanged()) rest();
			}).on('error', () => watcher?.close());
		} catch {
			// Where it can't be watched it is noticed with the next fact.
			watcher = null;
		}
	}

	function isChanged(): boolean {
		try {
			return fstatSync(fd).size !== size || lstatSync(path, { throwIfNoEntry: false }) === undefined;
		} catch {
			return false;
		}
	}

	function attempt(work: () => void) {
		try {
			work();
		} catch (error) {
			if (!isBroken)
				report(`The journal ${path} can't be written: ${errorText(error)}; supervision continues without it`);
			if (!isBroken) tryAgain(shortestWait);
			isBroken = true;
		}
	}

	/** A journal that can't be compacted is no broken one: it grows, and is tried again when it has doubled. */
	function compact(fact: Fact) {
		try {
			replace(fact);
			// What is left may be much, too.
			nextCompaction = Math.max(compactAt, size * 2);
		} catch (error) {
			nextCompaction = size * 2;
			report(`The journal ${path} can't be compacted: ${errorText(error)}; it keeps growing`);
		}
	}

	/** A new file takes the old one's place in one step: killed at any point, one of the two is there, whole. */
	function replace({ seq, at }: Fact) {
		const next = `${path}.new`;
		const nextFd = createPrivate(next);
		try {
			lock(nextFd);
			const { state, ...rest } = past;
			const lines: JournalLine[] = [header, ...(state ? [{ checkpoint: state, seq, at, ...rest }] : [])];
			const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
			if (writeSync(nextFd, bytes) < bytes.length) throw new Error('no space left on device');
			renameSync(next, path);
			closeSync(fd);
			fd = nextFd;
			size = bytes.length;
			watchFile();
		} catch (error) {
			closeSync(nextFd);
			unlinkSync(next);
			throw error;
		}
	}

	return { record, rest, past: () => past, size: () => size, isDurable: true };
}
