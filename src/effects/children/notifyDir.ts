/** The directory of the sockets through which children report that they are ready. */
import { chmodSync, lstatSync, mkdirSync, readdirSync, rmdirSync, statSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Log } from '../log/log.ts';
import type { User } from '../os/user.ts';
import { longestUnixPath } from '../sockets/address.ts';
import { StartError } from '../startError.ts';

/** Other users can traverse the directory, but can't list it. */
const mode = 0o711;

/** The name of a socket file in the directory has at most this many bytes. */
const longestName = 32;

export interface NotifyDirOptions {
	run: string;
	user: User | null;
	/** The directory that an earlier supervisor program made; null if there is none. */
	known: string | null;
	/** -ready=notify: children become ready only through these sockets. */
	isNeeded: boolean;
	log: Pick<Log, 'say'>;
}

/** The directory; null if it can't be made and is not needed. @throws {StartError} if it can't be made and is needed */
export function notifyDirFor({ run, user, known, isNeeded, log }: NotifyDirOptions): string | null {
	try {
		return StartError.unless('Unable to make a folder for what children say:', () => makeNotifyDir(run, user, known));
	} catch (error) {
		if (isNeeded) throw error;
		log.say('warn', `${(error as Error).message}; they count as up when they have lived for -start`);
		return null;
	}
}

/**
 * Makes a directory for a supervisor and its successors, which a child of another user can traverse.
 * @param known the directory that an earlier supervisor program made
 * @throws {Error}
 */
function makeNotifyDir(run: string, user: User | null, known: string | null): string {
	let problem: unknown = new Error('there is no place for it');
	for (const path of [...(known ? [known] : []), ...parentsFor(user).map((parent) => join(parent, nameOf(run)))]) {
		const length = Buffer.byteLength(path) + 1 + longestName;
		if (length > longestUnixPath) {
			problem = new Error(
				`a socket in ${path} would have a path of ${length} bytes, and ${longestUnixPath} is the most`,
			);
			continue;
		}
		try {
			if (isOwn(path)) return path;
			makeFolder(path);
			return path;
		} catch (error) {
			problem = error;
		}
	}
	throw problem;
}

/** The directories of all runs that belong to the supervisor's user and that no other user can write to. */
export function ownNotifyDirs(user: User | null): string[] {
	return parentsFor(user).flatMap((parent) =>
		namesIn(parent)
			.filter((name) => runOf(name) !== null)
			.map((name) => join(parent, name))
			.filter(isOwn),
	);
}

/** The run that a directory belongs to, by its name; null for any other name. */
export function runOf(path: string): string | null {
	const name = basename(path);
	return name.startsWith(nameOf('')) ? name.slice(nameOf('').length) : null;
}

function namesIn(folder: string): string[] {
	try {
		return readdirSync(folder);
	} catch {
		return [];
	}
}

/** Removes a socket file. One that can't be removed (a read-only file system) stays. */
export function removeSocketFile(path: string): void {
	try {
		unlinkSync(path);
	} catch {
		// A directory of notify sockets is removed with all that is in it.
	}
}

/** Removes the directory with all sockets in it, if it is the directory of this run. */
export function removeNotifyDir(path: string, run: string): void {
	try {
		if (basename(path) !== nameOf(run) || !isOwn(path)) return;
		// An empty directory is removed without an fd; to list it takes an fd.
		if (isRemoved(path)) return;
		for (const name of readdirSync(path)) if (lstatSync(join(path, name)).isSocket()) unlinkSync(join(path, name));
		rmdirSync(path);
	} catch {
		// Another process has put a file into the directory, or has removed it.
	}
}

function isRemoved(path: string): boolean {
	try {
		rmdirSync(path);
		return true;
	} catch {
		return false;
	}
}

/** Makes a directory of mode 0711. @throws {Error} */
export function makeFolder(path: string): void {
	mkdirSync(path, { mode });
	// mkdir(2) applies the umask, chmod(2) does not.
	chmodSync(path, mode);
}

function nameOf(run: string): string {
	return `socketmaster-${run}`;
}

function parentsFor(user: User | null): string[] {
	const { RUNTIME_DIRECTORY = '', XDG_RUNTIME_DIR = '', SOCKETMASTER_RUN } = process.env;
	const [own = ''] = SOCKETMASTER_RUN ? [] : RUNTIME_DIRECTORY.split(':');
	const isRoot = process.geteuid?.() === 0;
	const parents = [own, isRoot ? '/run' : XDG_RUNTIME_DIR, tmpdir(), '/tmp'];
	return [...new Set(parents)].filter((parent) => parent.startsWith('/') && isReachable(parent, user));
}

function isReachable(path: string, user: User | null): boolean {
	if (!user) return true;
	try {
		return (statSync(path).mode & 0o001) !== 0;
	} catch {
		return false;
	}
}

function isOwn(path: string): boolean {
	try {
		const stat = lstatSync(path);
		return stat.isDirectory() && stat.uid === process.geteuid?.() && (stat.mode & 0o022) === 0;
	} catch {
		return false;
	}
}
