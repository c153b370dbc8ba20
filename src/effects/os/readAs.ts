/** Reads a file in /proc in the pool. If the user of the children has to open it, this thread does so. */
import { closeSync, open, openSync, read } from 'node:fs';
import { promisify } from 'node:util';
import { asOwner, isOwnerNeeded } from './asOwner.ts';

const [openFile, readFile] = [promisify(open), promisify(read)];

/** The size of the first part that is read, in bytes. Most environments are smaller. */
const firstPart = 8192;

/**
 * The contents, one character per byte. Not `readFile` of node:fs/promises: it takes five calls in the pool, this takes
 * two. A read that fills less than its buffer is the last one, as /proc/PID/environ and /proc/PID/fdinfo fill it.
 * @throws {Error} if the file may not be read
 */
export async function readAs(path: string): Promise<string> {
	const fd = isOwnerNeeded() ? asOwner(() => openSync(path, 'r')) : await openFile(path, 'r');
	try {
		let text = '';
		for (let size = firstPart; ; size *= 2) {
			const part = Buffer.allocUnsafe(size);
			const { bytesRead } = await readFile(fd, part, 0, size, null);
			text += part.toString('latin1', 0, bytesRead);
			if (bytesRead < size) return text;
		}
	} finally {
		closeSync(fd);
	}
}
