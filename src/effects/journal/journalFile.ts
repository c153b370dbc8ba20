/** The journal's file: opened, locked against a second supervisor, and trusted only when nobody else could have written it. */
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

/** A supervisor that was killed just now may not have ended yet: its lock is waited for so long, in milliseconds. */
const [longestWait, pause] = [1000, 20];

/**
 * Opens a journal file and locks it.
 * @returns the fd and what is in the file
 * @throws {Error} with the words for the operator
 */
export async function openJournal(path: string): Promise<{ fd: number; bytes: Buffer }> {
	for (const end = bootClock() + longestWait; ; await setTimeout(pause)) {
		const fd = openSync(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
		try {
			refuseForeign(fd);
			lock(fd);
			// Whoever compacted it a moment ago has put another file in its place.
			if (fstatSync(fd).ino === statSync(path).ino) return { fd, bytes: readFileSync(fd) };
			closeSync(fd);
		} catch (error) {
			closeSync(fd);
			if (!(error instanceof Locked) || bootClock() >= end) throw error;
		}
	}
}

/** Another process has locked it. */
class Locked extends Error {}

/**
 * Reads a journal, and cuts it to what was understood; what was not is kept in PATH.bad unless it is just a torn line.
 * @throws {UnreadableJournal} where it can't be read from its first line on; then it is left as it is
 */
export function readSound(fd: number, path: string, bytes: Buffer): JournalContent {
	const content = readJournal(bytes);
	const { soundLength, isCut } = content;
	const why = isCut ? keepBad(path, bytes.subarray(soundLength)) : null;
	if (why !== null) content.problems.push(`the rest could not be kept in ${path}.bad, and is lost: ${why}`);
	if (soundLength < bytes.length) ftruncateSync(fd, soundLength);
	return content;
}

/** What an earlier start has kept in PATH.bad; empty where there is nothing, or others may have written it. */
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

/** Keeps all of it in PATH.bad, and empties it. @returns why that could not be done, and it is left as it is; null where it was */
export function setAside(fd: number, path: string, bytes: Buffer): string | null {
	const why = bytes.length === 0 ? null : keepBad(path, bytes);
	if (why === null) ftruncateSync(fd, 0);
	return why;
}

/** Whether a journal is what it was: it may have lost its first lines, or all but its length. */
export function isOfAJournal(bytes: Buffer): boolean {
	return bytes.every((byte) => byte === 0) || bytes.toString('utf8').split('\n').some(isLine);
}

function isLine(line: string): boolean {
	return /^\0*\{"(journal|checkpoint|seq)":/.test(line) || /^\0*\{.*"seq":\d+.*"at":\d+/.test(line);
}

/** Why not all of it could be kept, and so what was kept before is still there; null where it was. */
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

/** A new file that nobody else could have put there, in the place of an old one. @throws {Error} */
export function createPrivate(path: string): number {
	rmSync(path, { force: true });
	return openSync(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
}

/** @throws {Error} when another process has locked it */
export function lock(fd: number): void {
	try {
		call('flock', fd, LOCK_EX | LOCK_NB);
	} catch (error) {
		if (!(error instanceof SyscallError) || error.errno !== errno('EAGAIN')) throw error;
		throw new Locked('another supervisor writes to it', { cause: error });
	}
}

/** A journal names processes to signal and paths to remove: it is believed only when nobody else could write it. */
function refuseForeign(fd: number) {
	const stat = fstatSync(fd);
	if (!stat.isFile()) throw new Error('not a regular file');
	if (stat.uid !== process.geteuid?.()) throw new Error(`it belongs to another user (uid ${stat.uid})`);
	if ((stat.mode & 0o022) !== 0) throw new Error('others may write to it');
}
