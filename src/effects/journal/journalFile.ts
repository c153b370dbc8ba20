/** The journal's file: opened, locked against a second supervisor, and trusted only if no other user can write it. */
import {
	closeSync,
	constants,
	fstatSync,
	ftruncateSync,
	openSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	writeSync,
} from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { bootClock } from '../os/clock.ts';
import { errorText } from '../os/errorText.ts';
import { call, errno, SyscallError } from '../os/libc.ts';
import { type JournalContent, readJournal } from './lines.ts';

const { O_RDWR, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
const [LOCK_EX, LOCK_NB] = [2, 4];

/**
 * A supervisor that was just killed may still hold its lock. The lock is retried every `pause` for up to
 * `longestWait` milliseconds.
 */
const [longestWait, pause] = [1000, 20];

/** Whether there is a journal with contents: children of its supervisor may live. */
export function isJournalThere(path: string): boolean {
	try {
		return statSync(path).size > 0;
	} catch {
		return false;
	}
}

/**
 * Opens a journal file and locks it.
 * @returns the fd and the contents of the file
 * @throws {Error} with a message for the operator
 */
export async function openJournal(path: string): Promise<{ fd: number; bytes: Buffer }> {
	for (const end = bootClock() + longestWait; ; await setTimeout(pause)) {
		const fd = openSync(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
		try {
			refuseForeign(fd);
			lock(fd);
			// If a supervisor compacted the journal meanwhile, another file is at the path now. Open that one.
			const [opened, there] = [fstatSync(fd), statSync(path)];
			if (opened.ino === there.ino && opened.dev === there.dev) return { fd, bytes: readFileSync(fd) };
			throw new Locked('another file has taken its place');
		} catch (error) {
			closeSync(fd);
			if (!(error instanceof Locked) || bootClock() >= end) throw error;
		}
	}
}

/** Another supervisor writes to the journal. */
export class Locked extends Error {}

/**
 * Reads a journal and truncates the file to its readable part. The unreadable rest is kept in PATH.bad, unless it is
 * only a torn last line.
 * @throws {UnreadableJournal} if the first line cannot be read; the file is unchanged then
 */
export function readSound(fd: number, path: string, bytes: Buffer): JournalContent {
	const content = readJournal(bytes);
	const { soundLength, isCut } = content;
	const why = isCut ? keepBad(path, bytes.subarray(soundLength)) : null;
	if (why !== null) content.problems.push(`the rest could not be kept in ${path}.bad, and is lost: ${why}`);
	if (soundLength < bytes.length) ftruncateSync(fd, soundLength);
	return content;
}

/**
 * Returns the contents of PATH.bad, kept by an earlier start. Empty if the file is missing or other users can write
 * it.
 */
export function keptBeside(path: string): Buffer {
	try {
		const fd = openSync(`${path}.bad`, constants.O_RDONLY | constants.O_NONBLOCK | O_NOFOLLOW);
		try {
			refuseForeign(fd);
			return readFileSync(fd);
		} finally {
			closeSync(fd);
		}
	} catch {
		return Buffer.alloc(0);
	}
}

/**
 * Keeps the whole journal in PATH.bad and empties the file.
 * @returns null on success; else the reason, and the file is unchanged
 */
export function setAside(fd: number, path: string, bytes: Buffer): string | null {
	const why = bytes.length === 0 ? null : keepBad(path, bytes);
	if (why === null) ftruncateSync(fd, 0);
	return why;
}

/**
 * Whether the contents come from a journal. A damaged journal may lack its first lines, or consist of NUL bytes only.
 */
export function isOfAJournal(bytes: Buffer): boolean {
	return bytes.every((byte) => byte === 0) || bytes.toString('utf8').split('\n').some(isLine);
}

function isLine(line: string): boolean {
	return /^\0*\{"(journal|checkpoint|seq)":/.test(line) || /^\0*\{.*"seq":\d+.*"at":\d+/.test(line);
}

/** Writes PATH.bad. @returns null on success; else the reason, and an earlier PATH.bad is unchanged */
function keepBad(path: string, bytes: Buffer): string | null {
	const next = `${path}.bad.new`;
	let bad: number | null = null;
	try {
		bad = createPrivate(next);
		for (let rest = bytes; rest.length > 0; ) rest = rest.subarray(writeSync(bad, rest));
		renameSync(next, `${path}.bad`);
		return null;
	} catch (error) {
		if (bad !== null) rmSync(next, { force: true });
		return errorText(error);
	} finally {
		if (bad !== null) closeSync(bad);
	}
}

/**
 * Removes the file at the path and creates a new one, exclusively, so that no other process supplies it.
 * @throws {Error}
 */
export function createPrivate(path: string): number {
	rmSync(path, { force: true });
	return openSync(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
}

/** @throws {Error} if another process holds the lock */
export function lock(fd: number): void {
	try {
		call('flock', fd, LOCK_EX | LOCK_NB);
	} catch (error) {
		if (!(error instanceof SyscallError) || error.errno !== errno('EAGAIN')) throw error;
		throw new Locked('another supervisor writes to it', { cause: error });
	}
}

/** The journal names processes to signal and paths to remove. It is trusted only if no other user can write it. */
function refuseForeign(fd: number) {
	const stat = fstatSync(fd);
	if (!stat.isFile()) throw new Error('not a regular file');
	if (stat.uid !== process.geteuid?.()) throw new Error(`it belongs to another user (uid ${stat.uid})`);
	if ((stat.mode & 0o022) !== 0) throw new Error('others may write to it');
}
