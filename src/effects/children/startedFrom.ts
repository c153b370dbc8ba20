/** What is started, and where: real paths, taken at the spawn, as the links in a path may change at any time. */
import { closeSync, constants, open, readlinkSync, statSync } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { inTime, isLate, lateText, start } from '../os/boundedReads.ts';
import { errorText } from '../os/errorText.ts';
import { isDenial } from '../os/proc.ts';

/** Not among Node's constants (open(2)); the same on both architectures. */
const O_PATH = 0o10000000;

export interface StartedFrom {
	/** The directory, open: the child starts in this one, whatever its path leads to by then. Null where it inherits ours. */
	fd: number | null;
	/** It was removed: the child starts in the root directory. */
	isGone: boolean;
	/** The real paths; null where they can't be read. */
	directory: string | null;
	program: string | null;
	close: () => void;
}

/** Where children are to start. @param chdir of -chdir; empty is where we were started, by its logical path */
export function directoryFor(chdir: string, directory: string): string {
	return chdir === '' ? directory : resolve(directory, chdir);
}

/** @throws {Error} where a path is no directory */
export function requireDirectory(path: string): void {
	if (!statSync(path).isDirectory()) throw new Error('not a directory');
}

interface Wanted {
	/** By its logical path. */
	directory: string;
	/** -chdir names it; else it is where the supervisor was started, and inherited. */
	isDirectoryAsked: boolean;
	/** Of the program, absolute or from there. */
	path: string | Buffer;
	/** What is spawned is a shell that becomes it: nobody would tell that it can't be executed. */
	isByShell: boolean;
}

/**
 * All that touches a file system is done by a thread of the pool.
 * @throws {Error} where the directory can't be opened: a link that leads nowhere must not bring an old release back
 */
export async function startedFrom({ directory, isDirectoryAsked, path, isByShell }: Wanted): Promise<StartedFrom> {
	const mayBeGone = !isDirectoryAsked && path.toString().startsWith('/');
	const open = () => openDirectory(directory, isDirectoryAsked, mayBeGone);
	const opened = await inTime(directory, start, open, ({ fd }) => fd !== null && closeSync(fd));
	if (isLate(opened)) throw new Error(lateText(`the directory ${directory}`, opened));
	const { fd, isGone } = opened;
	const close = () => {
		if (fd !== null) closeSync(fd);
	};
	try {
		const real = realDirectory(fd);
		const program = await inTime(String(path), start, () => realProgram(real, path, isByShell));
		if (isLate(program)) throw new Error(lateText(String(path), program));
		return { fd, isGone, directory: real, program, close };
	} catch (error) {
		close();
		throw error;
	}
}

/** @param mayBeGone where it, and the one we are in, are gone the root directory has to do */
async function openDirectory(
	path: string,
	isAsked: boolean,
	mayBeGone: boolean,
): Promise<{ fd: number | null; isGone: boolean }> {
	try {
		return { fd: !isAsked && (await isOurs(path)) ? null : await openPath(path), isGone: false };
	} catch (error) {
		// A program that asks for its directory (getcwd(3)) has to get one.
		if (mayBeGone && realDirectory(null) === null) return { fd: await openPath('/'), isGone: true };
		throw new Error(`the directory ${path}: ${errorText(error)}`, { cause: error });
	}
}

/** Whether a path leads to the directory that we are in. One that may not be looked at is taken for it: it is where we were started. */
async function isOurs(path: string): Promise<boolean> {
	try {
		const there = await stat(path);
		// One after the other: each that hangs keeps a thread.
		const here = await stat('/proc/self/cwd').catch(() => null);
		return here !== null && there.dev === here.dev && there.ino === here.ino;
	} catch (error) {
		if (isDenial(error) && realDirectory(null) === path) return true;
		throw error;
	}
}

function openPath(path: string): Promise<number> {
	return promisify(open)(path, O_PATH | constants.O_DIRECTORY);
}

function realDirectory(fd: number | null): string | null {
	try {
		const path = readlinkSync(fd === null ? '/proc/self/cwd' : `/proc/self/fd/${fd}`);
		return path.endsWith(' (deleted)') ? null : path;
	} catch {
		return null;
	}
}

/** @throws {Error} where it can't be executed, and nobody else would tell */
async function realProgram(
	directory: string | null,
	path: string | Buffer,
	isByShell: boolean,
): Promise<string | null> {
	const text = path.toString();
	if (directory === null && !text.startsWith('/')) return null;
	const whole = typeof path === 'string' ? resolve(directory ?? '/', text) : path;
	if (isByShell) await access(whole, constants.X_OK);
	return realpath(whole).catch(() => null);
}
