/**
 * The program and the working directory of a child as real paths, resolved at the spawn: symlinks may change at any
 * time.
 */
import { closeSync, constants, open, readlinkSync, type Stats, statSync } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { inTime, isLate, lateText, start } from '../os/boundedReads.ts';
import { errorText } from '../os/errorText.ts';
import { isDenial } from '../os/proc.ts';

/** Node has no such constant (open(2)). The value is the same on both supported architectures. */
const O_PATH = 0o10000000;

export interface StartedFrom {
	/**
	 * The open working directory: the child starts in it even if the path changes meanwhile. Null if the child inherits
	 * the supervisor's directory.
	 */
	fd: number | null;
	/** The directory was removed: the child starts in the root directory. */
	isGone: boolean;
	/** The real paths; null if they can't be read. */
	directory: string | null;
	program: string | null;
	close: () => void;
}

/**
 * The working directory of children.
 * @param chdir the value of -chdir; if it is empty, children start in `directory`
 * @param directory the logical path of the directory in which the supervisor was started
 */
export function directoryFor(chdir: string, directory: string): string {
	return chdir === '' ? directory : resolve(directory, chdir);
}

/** @throws {Error} if the path is not a directory */
export function requireDirectory(path: string): void {
	if (!statSync(path).isDirectory()) throw new Error('not a directory');
}

interface Wanted {
	/** The logical path. */
	directory: string;
	/** -chdir names the directory. Otherwise the supervisor was started in it, and children inherit it. */
	isDirectoryAsked: boolean;
	/** The path of the program: absolute, or relative to the directory. */
	path: string | Buffer;
	/** A shell executes the program: the supervisor would get no error if the program can't be executed. */
	isByShell: boolean;
}

/**
 * Threads of the pool access the file system: if it hangs, the event loop goes on.
 * @throws {Error} if the directory can't be opened: a dangling symlink must not start an old release again
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

/** @param mayBeGone the root directory is used if the path and the supervisor's current directory are gone */
async function openDirectory(
	path: string,
	isAsked: boolean,
	mayBeGone: boolean,
): Promise<{ fd: number | null; isGone: boolean }> {
	try {
		return { fd: !isAsked && (await isOurs(path)) ? null : await openPath(path), isGone: false };
	} catch (error) {
		// getcwd(3) must succeed in the program.
		if (mayBeGone && realDirectory(null) === null) return { fd: await openPath('/'), isGone: true };
		throw new Error(`the directory ${path}: ${errorText(error)}`, { cause: error });
	}
}

/** The supervisor's current directory; null until it is looked up. */
let own: Stats | null = null;

/** Call after chdir(2). */
export function forgetDirectory(): void {
	own = null;
}

/**
 * Whether the path leads to the supervisor's current directory. If access to the path is denied, its text is compared:
 * the supervisor was started there.
 */
async function isOurs(path: string): Promise<boolean> {
	try {
		const there = await stat(path);
		// Sequential: each call that hangs occupies a thread.
		own ??= await stat('/proc/self/cwd').catch(() => null);
		return own !== null && there.dev === own.dev && there.ino === own.ino;
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

/** @throws {Error} if a shell would execute the program and the program is not executable */
async function realProgram(
	directory: string | null,
	path: string | Buffer,
	isByShell: boolean,
): Promise<string | null> {
	const text = path.toString();
	if (directory === null && !text.startsWith('/')) return null;
	const fullPath = typeof path === 'string' ? resolve(directory ?? '/', text) : path;
	if (isByShell) await access(fullPath, constants.X_OK);
	return realpath(fullPath).catch(() => null);
}
