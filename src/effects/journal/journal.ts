/**
 * The journal: every fact as one JSON line, appended in one write before any part of the program acts on the fact.
 */
import { nullable, number } from 'valibot';
import type { Fact } from '../../machines/facts/facts.ts';
import { evolveProjections, type Projections } from '../../machines/state/projections.ts';
import { stateOf } from '../../machines/state/supervisorState.ts';
import { errorText } from '../os/errorText.ts';
import { type HandoverState, section } from '../upgrade/handoverState.ts';
import { checkpointLine, compactedLines } from './checkpointLine.ts';
import { changeOf, type Place, placeOf, placeText } from './journalPlace.ts';
import { JournalWriter } from './journalWriter.ts';
import type { Header } from './lineSchemas.ts';

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
export function fileJournal(options: FileJournalOptions): Journal {
	return new FileJournal(options);
}

class FileJournal implements Journal {
	readonly isDurable = true;
	readonly #path: string;
	readonly #header: Header;
	readonly #report: (text: string) => void;
	readonly #writer: JournalWriter;
	#past: Projections;
	#nextCompaction = compactAt;
	#last: Fact | null = null;
	#isBroken = false;
	#hasHeader = false;
	#place: Place = 'there';
	/** While an upgrade is in progress, the journal is not compacted: a checkpoint does not record the upgrade. */
	#isUpgrading = false;

	constructor({ path, fd, header, start, report, handoverState }: FileJournalOptions) {
		this.#path = path;
		this.#header = header;
		this.#report = report;
		this.#past = start;
		const writer = new JournalWriter(path, fd, () => this.rest());
		this.#writer = writer;
		handoverState.save(journalSection, () => ({ state: writer.fd, fds: [writer.fd] }));
		this.#attempt(() => {
			writer.append(header);
			this.#hasHeader = true;
		});
		writer.watch();
	}

	readonly past = (): Projections => this.#past;

	readonly size = (): number => this.#writer.size;

	readonly record = (fact: Fact): void => {
		const before = this.#past;
		this.#past = evolveProjections(before, fact);
		this.#attempt(() => {
			if (this.#isBroken) this.#mend(before, fact.seq - 1, fact.at);
			this.#writer.append(fact);
		});
		this.#last = fact;
		if (fact.type === 'upgrade.begun') this.#isUpgrading = true;
		if (fact.type === 'upgrade.refused' || fact.type === 'upgrade.failed') this.#isUpgrading = false;
	};

	readonly rest = (): void => {
		const last = this.#last;
		if (this.#isUpgrading || !this.#past.state || !last) return;
		this.#keep(last);
		const isQuiet = ['running', 'draining'].includes(stateOf(this.#past.state));
		if (isQuiet && this.#place === 'there' && this.#writer.size > this.#nextCompaction) this.#compact(last);
	};

	#attempt(work: () => void): void {
		try {
			work();
		} catch (error) {
			if (!this.#isBroken) {
				const why = errorText(error);
				this.#report(`The journal ${this.#path} can't be written: ${why}; supervision continues without it`);
			}
			if (!this.#isBroken) this.#tryAgain(shortestWait);
			this.#isBroken = true;
		}
	}

	/** Writes a checkpoint in place of the facts that could not be written. */
	#mend(past: Projections, seq: number, at: number): void {
		if (!this.#hasHeader) this.#writer.append(this.#header);
		this.#hasHeader = true;
		const checkpoint = checkpointLine(past, seq, at);
		if (checkpoint) this.#writer.append({ ...checkpoint, gap: true });
		this.#report(`The journal ${this.#path} is written again; what happened in between is missing in it`);
		this.#isBroken = false;
	}

	/** Retries on a timer. The next fact may come late, and a crash before it would find an incomplete journal. */
	#tryAgain(wait: number): void {
		setTimeout(() => {
			const last = this.#last;
			if (this.#isBroken && last) this.#attempt(() => this.#mend(this.#past, last.seq, last.at));
			if (this.#isBroken) this.#tryAgain(Math.min(wait * 2, longestWait));
		}, wait).unref();
	}

	/**
	 * Checks that the journal is still at its path with its own contents. If the file was removed or truncated
	 * (logrotate's copytruncate), a start after a crash would find nothing, so the journal is written anew. Called
	 * after each event; reported once.
	 */
	#keep(fact: Fact): void {
		const before = this.#place;
		let [change, why] = ['', ''];
		try {
			const { opened, found } = this.#writer.look();
			const place = placeOf(opened, found, this.#isBroken ? null : this.#writer.size);
			this.#place = place;
			if (place === 'removed' || place === 'changed') {
				change = changeOf(place, opened.size, this.#writer.size);
				this.#replace(fact);
				this.#place = 'there';
				this.#report(`Somebody has ${change} the journal ${this.#path}; it is written anew`);
				return;
			}
		} catch (error) {
			why = errorText(error);
			if (change === '') this.#place = 'hidden';
		}
		if (this.#place === before || this.#place === 'there') return;
		this.#report(placeText(this.#place, this.#path, change, why));
	}

	/**
	 * Compacts the journal. If compaction fails, the journal remains usable and grows. The next attempt follows when
	 * its size has doubled.
	 */
	#compact(fact: Fact): void {
		try {
			this.#replace(fact);
			// The compacted journal may itself exceed the limit.
			this.#nextCompaction = Math.max(compactAt, this.#writer.size * 2);
		} catch (error) {
			this.#nextCompaction = this.#writer.size * 2;
			this.#report(`The journal ${this.#path} can't be compacted: ${errorText(error)}; it keeps growing`);
		}
	}

	#replace(fact: Fact): void {
		this.#writer.replace(compactedLines(this.#header, this.#past, fact));
	}
}
