/** Reads a file in /proc in the pool. If the user of the children has to open it, this thread does so. */
import { closeSync, openSync, readFile as readDescriptor } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { asOwner, isOwnerNeeded } from './asOwner.ts';

const readOpen = promisify(readDescriptor);

/** The contents, one character per byte. @throws {Error} if the file may not be read */
export async function readAs(path: string): Promise<string> {
	if (!isOwnerNeeded()) return readFile(path, 'latin1');
	const fd = asOwner(() => openSync(path, 'r'));
	try {
		return await readOpen(fd, 'latin1');
	} finally {
		closeSync(fd);
	}
}
