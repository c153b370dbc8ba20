/** The folder with the sockets that children say through that they are up. */
import { chmodSync, lstatSync, mkdirSync, readdirSync, rmdirSync, statSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Log } from '../log/log.ts';
import type { User } from '../os/user.ts';
import { longestUnixPath } from '../sockets/address.ts';
import { StartError } from '../startError.ts';

/** Others may pass through it, and not look around in it. */
const mode = 0o711;

/** A socket's name in the folder takes so many bytes at the most. */
const longestName = 32;

export interface NotifyDirOptions {
	run: string;
	user: User | null;
	/** The folder that an earlier life has made. */
	known: string | null;
	/** Children have to be heard. */
	isNeeded: boolean;
	log: Pick<Log, 'say'>;
}

/** The folder, or null where it can't be made and is not needed. @throws {StartError} */
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
 * A folder for a supervisor and its successors, which another user's child can reach.
 * @param known the folder that an earlier life has made
 * @throws {Error}
 */
function makeNotifyDir(run: string, user: User | null, known: string | null): string {
	let problem: unknown = new Error('there is no place for it');
	for (const path of [...(known ? [known] : []), ...placesFor(user).map((place) => join(place, nameOf(run)))]) {
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

/** The folders of any run, where one could be, that nobody else can have made, or write to. */
export function ownNotifyDirs(user: User | null): string[] {
	return placesFor(user).flatMap((place) =>
		namesIn(place)
			.filter((name) => runOf(name) !== null)
			.map((name) => join(place, name))
			.filter(isOwn),
	);
}

/** The run whose folder it is; null where it is no such name. */
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

/** Removes it with all sockets in it, if it is one. */
export function removeNotifyDir(path: string, run: string): void {
	try {
		if (basename(path) !== nameOf(run) || !isOwn(path)) return;
		// Without an fd, where it is empty.
		if (isRemoved(path)) return;
		for (const name of readdirSync(path)) if (lstatSync(join(path, name)).isSocket()) unlinkSync(join(path, name));
		rmdirSync(path);
	} catch {
		// Somebody else has put something into it, or has removed it.
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

/** @throws {Error} */
export function makeFolder(path: string): void {
	mkdirSync(path, { mode });
	// Whatever the mask says.
	chmodSync(path, mode);
}

function nameOf(run: string): string {
	return `socketmaster-${run}`;
}

function placesFor(user: User | null): string[] {
	const { RUNTIME_DIRECTORY = '', XDG_RUNTIME_DIR = '', SOCKETMASTER_RUN } = process.env;
	const [own = ''] = SOCKETMASTER_RUN ? [] : RUNTIME_DIRECTORY.split(':');
	const isRoot = process.geteuid?.() === 0;
	const slots = [own, isRoot ? '/run' : XDG_RUNTIME_DIR, tmpdir(), '/tmp'];
	return [...new Set(slots)].filter((place) => place.startsWith('/') && isReachable(place, user));
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
