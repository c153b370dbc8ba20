/** A memory file (memfd) that passes data from one program to another. */
import { closeSync, fstatSync, readSync, writeSync } from 'node:fs';
import { call } from '../os/libc.ts';
import { fileOf } from '../os/proc.ts';

const name = 'socketmaster';

/**
 * Creates a memfd. The fd is close-on-exec; to pass it on, clear that flag or duplicate the fd.
 * @throws {SyscallError}
 */
export function newMemfd(text: string): number {
	const closeOnExec = 1;
	const fd = call('memfd_create', name, closeOnExec);
	append(fd, text);
	return fd;
}

export function append(fd: number, text: string | Buffer): void {
	for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
}

/** Reads the complete file, independent of the file offset. */
export function readWhole(fd: number): Buffer {
	const bytes = Buffer.alloc(fstatSync(fd).size);
	readSync(fd, bytes, 0, bytes.length, 0);
	return bytes;
}

/**
 * Reads the memfd whose fd an environment variable names, then closes the fd and removes the variable. Returns null
 * if the variable is not set or the fd is not such a memfd: then another program set the variable.
 * @throws {Error} if /proc does not show the fd. A new program that runs only to check itself must not continue as a
 * supervisor.
 */
export function readMemfd(variable: string): string | null {
	const fd = Number(process.env[variable]);
	delete process.env[variable];
	if (!Number.isInteger(fd) || !isOpen(fd)) return null;
	const file = fileOf('self', fd);
	if (file === null) throw new Error(`${variable} is set, and /proc does not tell what fd ${fd} is`);
	if (file !== `/memfd:${name} (deleted)`) return null;
	const text = readWhole(fd).toString();
	closeSync(fd);
	return text;
}

function isOpen(fd: number): boolean {
	try {
		fstatSync(fd);
		return true;
	} catch {
		return false;
	}
}
