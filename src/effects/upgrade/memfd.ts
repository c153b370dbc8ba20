/** A file in memory that only one program can have left to another. */
import { closeSync, fstatSync, readSync, writeSync } from 'node:fs';
import { call } from '../os/libc.ts';
import { fileOf } from '../os/proc.ts';

const name = 'socketmaster';

/** A memfd, close-on-exec unless it is given on. @throws {SyscallError} */
export function newMemfd(text: string): number {
	const closeOnExec = 1;
	const fd = call('memfd_create', name, closeOnExec);
	append(fd, text);
	return fd;
}

/** Adds to it. */
export function append(fd: number, text: string | Buffer): void {
	for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
}

/** All that is in it, from the beginning. */
export function readWhole(fd: number): Buffer {
	const bytes = Buffer.alloc(fstatSync(fd).size);
	readSync(fd, bytes, 0, bytes.length, 0);
	return bytes;
}

/**
 * The text in the file that an environment variable names by its fd, once: file and variable are gone then. Null
 * where the variable is not set, or names no such file: then somebody else has set it.
 * @throws {Error} where it can't be seen what the fd is: a program that was asked to check itself must not go on as a supervisor
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
