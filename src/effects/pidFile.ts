/** The file that holds the supervisor's pid. */
import { closeSync, constants, lstatSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

/** Whoever reads it finds all of it, or what was there before. @throws {Error} */
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

/** Removes it, unless another supervisor has written it since. */
export function removePidFile(path: string): void {
	try {
		// Whatever is there now must not keep us waiting.
		if (!lstatSync(path).isFile()) return;
		if (readFileSync(path, 'latin1').trim() === String(process.pid)) rmSync(path);
	} catch {
		// It is gone.
	}
}
