/** The file that holds the supervisor's pid. */
import { closeSync, constants, lstatSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

/**
 * Writes the pid file by rename(2), so that a reader sees either the complete new file or the old one.
 * @throws {Error}
 */
export function writePidFile(path: string): void {
	const there = lstatSync(path, { throwIfNoEntry: false });
	if (there && !there.isFile() && !there.isSymbolicLink()) throw new Error('it is there, and no regular file');
	const next = `${path}.new`;
	rmSync(next, { force: true });
	const fd = openSync(next, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644);
	try {
		writeSync(fd, `${process.pid}\n`);
		renameSync(next, path);
	} catch (error) {
		rmSync(next, { force: true });
		throw error;
	} finally {
		closeSync(fd);
	}
}

/** Removes the pid file, unless another supervisor has written its own pid into it. */
export function removePidFile(path: string): void {
	try {
		// Reading a FIFO at this path would block.
		if (!lstatSync(path).isFile()) return;
		if (readFileSync(path, 'latin1').trim() === String(process.pid)) rmSync(path);
	} catch {
		// The file is already removed.
	}
}
