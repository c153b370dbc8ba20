/** Reads small files in /proc. */
import { closeSync, openSync, readSync } from 'node:fs';

/**
 * All reads share this buffer. Node's `readFileSync` allocates 64 KiB for each file of unknown size, and an inspection
 * of all processes reads hundreds of files.
 */
const buffer = Buffer.allocUnsafeSlow(4096);

/** The contents of a file, one character per byte. @throws {Error} if the file can't be read */
export function readProc(path: string): string {
	const fd = openSync(path, 'r');
	try {
		let text = '';
		for (let length = readSync(fd, buffer); length > 0; length = readSync(fd, buffer)) {
			text += buffer.toString('latin1', 0, length);
		}
		return text;
	} finally {
		closeSync(fd);
	}
}
