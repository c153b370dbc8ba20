/**
 * The journal: every fact as one JSON line, appended in one write before any part of the program acts on the fact.
 */
import { type FSWatcher, fstatSync, ftruncateSync, lstatSync, renameSync, unlinkSync, watch, writeSync } from 'node:fs';
import { nullable, number } from 'valibot';
import type { Fact } from '../../machines/facts/facts.ts';
import { evolveProjections, type Projections } from '../../machines/state/projections.ts';
import { stateOf } from '../../machines/state/supervisorState.ts';
import { closeAll } from '../os/descriptors.ts';
import { errorText } from '../os/errorText.ts';
import { type HandoverState, section } from '../upgrade/handoverState.ts';
import { createPrivate, lock } from './journalFile.ts';
import type { Header, JournalLine } from './lineSchemas.ts';

export interface Journal {
	/** Appends a fact. Never throws: a write error is reported once, and supervision continues. */
	record: (fact: Fact) => void;
	/** Call when no step is in progress. A checkpoint written then describes a complete state. */
	rest: () => void;
	/** The projections of all facts so far. */
	past: () => Projections;
	/** The size of the file in bytes; null for a journal in memory. */
	size: () => number | null;
	/** The journal is in a file, and outlives the supervisor. */
	isDurable: boolean;
}

/** The fd of the journal; null for a journal in memory. */
export const journalSection = section('journal', () => nullable(number()));

/** Size in bytes past which the journal is compacted: a checkpoint replaces its facts. */
const compactAt = 1024 * 1024;

/** Delay before a failed write is retried, in milliseconds: the first one and the longest one. */
const [shortestWait, longestWait] = [250, 30_000];

/** A journal in memory. It keeps only the projections of the facts, so its size stays bounded. */
export function memoryJournal(start: Projections, handoverState: HandoverState): Journal {
	let past = start;
	handoverState.save(journalSection, () => ({ state: null, fds: [] }));
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
	/** Open, locked and cut to its readable part. The journal owns the fd from now on. */
	fd: number;
	header: Header;
	/** The projections of the facts so far. */
	start: Projections;
	report: (text: string) => void;
	handoverState: HandoverState;
}

/** Continues a journal file. Each supervisor process and each program appends a header first. */
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
	/** While an upgrade is in progress, the journal is not compacted: a checkpoint does not record the upgrade. */
	let isUpgrading = false;
	handoverState.save(journalSection, () => ({ state: fd, fds: [fd] }));
	attempt(() => {
		append(header);
		hasHeader = true;
	});
	watchFile();

	/** Writes the complete line, or removes what was written of it. */
	function append(line: JournalLine) {
		const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
		const written = writeSync(fd, bytes);
		if (written < bytes.length) {
			// Another process may have truncated the file since, so the size is read again.
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

	/** Writes a checkpoint in place of the facts that could not be written. */
	function mend({ state, ...rest }: Projections, seq: number, at: number) {
		if (!hasHeader) append(header);
		hasHeader = true;
		if (state) append({ checkpoint: state, seq, at, ...rest, gap: true });
		report(`The journal ${path} is written again; what happened in between is missing in it`);
		isBroken = false;
	}

	/** Retries on a timer. The next fact may come late, and a crash before it would find an incomplete journal. */
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
	 * Checks that the journal is still at its path with its own contents. If the file was removed or truncated
	 * (logrotate's copytruncate), a start after a crash would find nothing, so the journal is written anew. Called
	 * after each event; reported once.
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

	/** Detects truncation or removal at once by inotify: a crash may come before the next fact. */
	function watchFile() {
		watcher?.close();
		try {
			watcher = watch(path, { persistent: false }, () => {
				if (isChanged()) rest();
			}).on('error', () => watcher?.close());
		} catch {
			// Without a watch, the change is detected with the next fact.
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

	/**
	 * Compacts the journal. If compaction fails, the journal remains usable and grows. The next attempt follows when
	 * its size has doubled.
	 */
	function compact(fact: Fact) {
		try {
			replace(fact);
			// The compacted journal may itself exceed the limit.
			nextCompaction = Math.max(compactAt, size * 2);
		} catch (error) {
			nextCompaction = size * 2;
			report(`The journal ${path} can't be compacted: ${errorText(error)}; it keeps growing`);
		}
	}

	/**
	 * Replaces the file by rename(2). If the supervisor is killed at any point, either the old or the new file is
	 * complete.
	 */
	function replace({ seq, at }: Fact) {
		const next = `${path}.new`;
		const nextFd = createPrivate(next);
		const old = fd;
		try {
			lock(nextFd);
			const { state, ...rest } = past;
			const lines: JournalLine[] = [header, ...(state ? [{ checkpoint: state, seq, at, ...rest }] : [])];
			const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
			if (writeSync(nextFd, bytes) < bytes.length) throw new Error('no space left on device');
			renameSync(next, path);
			fd = nextFd;
			size = bytes.length;
		} catch (error) {
			closeAll([nextFd]);
			unlinkSync(next);
			throw error;
		}
		closeAll([old]);
		watchFile();
	}

	return { record, rest, past: () => past, size: () => size, isDurable: true };
}
