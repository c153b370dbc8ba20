/** The journal on disk: every fact as one JSON line, appended in one write before anybody acts on it. */
import {
	closeSync,
	constants,
	fstatSync,
	ftruncateSync,
	openSync,
	readFileSync,
	renameSync,
	statSync,
	unlinkSync,
	writeSync,
} from 'node:fs';
import type { Fact } from '../machines/facts.ts';
import { evolve, type Roster, stateOf } from '../machines/roster.ts';
import type { Header, JournalLine } from './journalFormat.ts';
import { call, errno, SyscallError } from './libc.ts';

export interface Journal {
	/**
	 * Appends a fact, and with it the state of the charts before it, where they are at rest. Never throws: a
	 * disk that fails is reported once, and supervision goes on.
	 */
	record: (fact: Fact, from: (() => string) | null) => void;
	/** What the facts so far amount to. */
	roster: () => Roster | null;
	/** The fd to hand over, or null where the journal is in memory only. */
	fd: () => number | null;
}

/** A journal that has grown past this is replaced by what it amounts to. */
const compactAt = 1024 * 1024;

const [LOCK_EX, LOCK_NB] = [2, 4];

/** A journal in memory: what is kept is what the facts amount to, so it does not grow with time. */
export function memoryJournal(start: Roster | null): Journal {
	let roster = start;
	return {
		record: (fact) => {
			roster = evolve(roster, fact);
		},
		roster: () => roster,
		fd: () => null,
	};
}

/**
 * Opens a journal file and locks it against a second supervisor.
 * @returns the fd and what is in the file
 * @throws {Error} with the words for the operator
 */
export function lockJournal(path: string): { fd: number; text: string } {
	for (;;) {
		const fd = openSync(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
		try {
			if (!fstatSync(fd).isFile()) throw new Error('not a regular file');
			call('flock', fd, LOCK_EX | LOCK_NB);
			// Whoever compacted it a moment ago has put another file in its place.
			if (fstatSync(fd).ino === statSync(path).ino) return { fd, text: readFileSync(fd, 'utf8') };
			closeSync(fd);
		} catch (error) {
			closeSync(fd);
			if (error instanceof SyscallError && error.errno === errno('EAGAIN')) {
				throw new Error('another supervisor writes to it', { cause: error });
			}
			throw error;
		}
	}
}

interface FileJournalOptions {
	path: string;
	/** Open, locked, cut to what is sound, and owned by the journal from now on. */
	fd: number;
	header: Header;
	/** What the facts so far amount to. */
	start: Roster | null;
	report: (text: string) => void;
}

/** Goes on with a journal file: a new life, with a header of its own. */
export function fileJournal({ path, fd: opened, header, start, report }: FileJournalOptions): Journal {
	let fd = opened;
	let roster = start;
	let size = fstatSync(fd).size;
	let isBroken = false;
	let hasHeader = false;
	attempt(() => {
		append(header);
		hasHeader = true;
	});

	/** All of the line, or nothing of it. */
	function append(line: JournalLine | Fact) {
		const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
		const written = writeSync(fd, bytes);
		if (written < bytes.length) {
			ftruncateSync(fd, size);
			throw new Error('no space left on device');
		}
		size += bytes.length;
	}

	function record(fact: Fact, from: (() => string) | null) {
		const before = roster;
		roster = evolve(roster, fact);
		attempt(() => {
			if (isBroken) {
				if (!hasHeader) append(header);
				hasHeader = true;
				if (before) append({ checkpoint: before, seq: fact.seq - 1, at: fact.at, gap: true });
				report(`The journal ${path} is written again; what happened in between is missing in it`);
				isBroken = false;
			}
			append(from === null ? fact : { ...fact, from: from() });
			if (size > compactAt && roster && stateOf(roster) === 'running') replace(roster, fact);
		});
	}

	function attempt(work: () => void) {
		try {
			work();
		} catch (error) {
			if (!isBroken) report(`The journal ${path} can't be written: ${words(error)}; supervision goes on without it`);
			isBroken = true;
		}
	}

	/** A new file takes the old one's place in one step: killed at any point, one of the two is there, whole. */
	function replace(checkpoint: Roster, { seq, at }: Fact) {
		const next = `${path}.new`;
		const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
		const nextFd = openSync(next, flags, 0o600);
		try {
			call('flock', nextFd, LOCK_EX | LOCK_NB);
			const lines: JournalLine[] = [header, { checkpoint, seq, at }];
			const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
			if (writeSync(nextFd, bytes) < bytes.length) throw new Error('no space left on device');
			renameSync(next, path);
			closeSync(fd);
			fd = nextFd;
			size = bytes.length;
		} catch (error) {
			closeSync(nextFd);
			unlinkSync(next);
			throw error;
		}
	}

	return { record, roster: () => roster, fd: () => fd };
}

function words(error: unknown): string {
	const { message } = error as Error;
	return message.replace(/^E[A-Z]+: /, '').replace(/, \w+( '.*')?$/, '');
}
