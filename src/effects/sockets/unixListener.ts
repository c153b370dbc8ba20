/** UNIX listeners and their socket files. */
import {
	chmodSync,
	chownSync,
	closeSync,
	constants as fs,
	fstatSync,
	linkSync,
	lstatSync,
	openSync,
	readFileSync,
	rmSync,
	unlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { call, constants, errno, SyscallError } from '../os/libc.ts';
import { unixAddress } from './address.ts';
import { bindWithMode } from './bindUnix.ts';
import type { FileId } from './diag.ts';
import type { FileOptions } from './options.ts';
import { backlog, newSocket } from './socket.ts';
import type { SocketFile } from './socketFile.ts';

/** Binds and listens on a path; replaces a stale socket file. @throws {Error} */
export function listenAt(path: string, options: FileOptions): { fd: number; file: SocketFile } {
	const bind = () => bindWithMode(fd, path, options.mode ?? 0o777 & ~process.umask());
	unixAddress(path);
	const fd = newSocket(constants.AF_UNIX);
	const release = lockFolder(path);
	let isMade = false;
	try {
		try {
			bind();
		} catch (error) {
			if (!(error instanceof SyscallError && error.code === 'EADDRINUSE')) throw error;
			if (lstatSync(path).isDirectory()) throw new SyscallError('bind', errno('EISDIR'));
			if (!isAbandoned(path)) throw error;
			unlinkSync(path);
			bind();
		}
		isMade = true;
		// Before the owner changes: a link to another user's file requires CAP_FOWNER (fs.protected_hardlinks, proc(5)).
		linkSecond(path);
		// No client can connect before listen(2), so the owner changes in time. bind() has set the mode.
		setOwner(path, options, null);
		call('listen', fd, backlog());
		const { dev, ino } = lstatSync(path);
		return { fd, file: { path, dev, ino } };
	} catch (error) {
		closeSync(fd);
		if (isMade) for (const name of [path, secondLink(path)]) rmSync(name, { force: true });
		throw error;
	} finally {
		release();
	}
}

/** The path of the second hard link to a socket file. If the file is removed, it is restored from this link. */
export function secondLink(path: string): string {
	return join(dirname(path), `.${basename(path)}.socketmaster`);
}

/** Creates the second link. Replaces a link that a killed supervisor has left behind. */
function linkSecond(path: string): void {
	const second = secondLink(path);
	try {
		if (lstatSync(second, { throwIfNoEntry: false })?.isSocket()) unlinkSync(second);
		linkSync(path, second);
	} catch {
		// The guard of the path tries again, and reports the error.
	}
}

/**
 * Creates a hard link to a socket file of the supervisor. The file can belong to another user by now (option user). If
 * CAP_FOWNER is missing, the user of this process owns it while the link is created.
 * @throws {Error}
 */
export function linkOwn(from: string, to: string): void {
	try {
		linkSync(from, to);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
		const { uid, gid } = lstatSync(from);
		setOwner(from, { uid: process.geteuid?.() ?? uid, gid: -1 }, null);
		try {
			linkSync(from, to);
		} finally {
			setOwner(from, { uid, gid }, null);
		}
	}
}

/** Whether a path leads to the file that a UNIX listener has created. */
export function isFile(path: string, { dev, ino }: SocketFile): boolean {
	try {
		const stat = lstatSync(path);
		return stat.isSocket() && stat.dev === dev && stat.ino === ino;
	} catch {
		return false;
	}
}

/**
 * Finds the file of a socket at its path, or at its second link.
 * @param bound the file that the socket is bound to, as sock_diag(7) reports it
 * @param isOnlyOne whether no other socket listens on the path. Any socket file there is then accepted, because on some
 *   file systems (overlayfs) stat(2) reports another inode number than sock_diag(7).
 * @returns null if neither path leads to the file
 */
export function socketFileOf(path: string, bound: FileId | null, isOnlyOne: boolean): SocketFile | null {
	const found = [path, secondLink(path)].flatMap((name) => fileAt(name) ?? []);
	const same = found.find(({ dev, ino }) => dev === bound?.dev && ino === bound.ino);
	const [any] = isOnlyOne ? found : [];
	return same || any ? { path, ...((same ?? any) as FileId) } : null;
}

function fileAt(path: string): FileId | null {
	const stat = lstatSync(path, { throwIfNoEntry: false });
	return stat?.isSocket() ? { dev: stat.dev, ino: stat.ino } : null;
}

/** Removes the socket file and its second link, if they are still the file that the listener created. */
export function removeFile(file: SocketFile): void {
	for (const path of [file.path, secondLink(file.path)]) {
		try {
			if (isFile(path, file)) unlinkSync(path);
		} catch {
			// Another process has removed it meanwhile, or the folder does not permit the removal.
		}
	}
}

/**
 * Sets owner, group and mode of a socket file through an O_PATH fd: if the path is replaced meanwhile, the new file is
 * not affected. A mode change on another user's file requires CAP_FOWNER, so the user of this process becomes the owner
 * first.
 * @param mode null leaves the mode unchanged
 * @throws {Error}
 */
export function setOwner(path: string, { uid, gid }: Pick<FileOptions, 'uid' | 'gid'>, mode: number | null) {
	if (uid < 0 && gid < 0 && mode === null) return;
	const O_PATH = 0o10000000;
	const fd = openSync(path, O_PATH | constants.O_CLOEXEC | fs.O_NOFOLLOW);
	try {
		const stat = fstatSync(fd);
		if (!stat.isSocket()) throw new Error('it is no socket any more');
		const name = `/proc/self/fd/${fd}`;
		const isToChange = mode !== null && (stat.mode & 0o7777) !== mode;
		const own = process.geteuid?.() ?? stat.uid;
		const isLent = isToChange && stat.uid !== own;
		if (isLent) chownSync(name, own, -1);
		try {
			if (isToChange) chmodSync(name, mode);
		} finally {
			if (isLent || uid >= 0 || gid >= 0) chownSync(name, uid < 0 ? stat.uid : uid, gid);
		}
	} finally {
		closeSync(fd);
	}
}

/**
 * Locks the folder of a path with flock(2): two supervisors must not check and bind the same path at the same time.
 * Waits up to 25 x 20 ms, and then continues without the lock, because any process that can read the folder can hold
 * it.
 * @returns a function that releases the lock
 */
function lockFolder(path: string): () => void {
	const [LOCK_EX, LOCK_NB, tries, pause] = [2, 4, 25, 20];
	try {
		const fd = openSync(dirname(path), constants.O_CLOEXEC);
		for (let count = 0; count < tries && !isLocked(fd, LOCK_EX | LOCK_NB); count += 1) {
			Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pause);
		}
		return () => closeSync(fd);
	} catch {
		// The folder cannot be opened for reading: the path is bound without the lock.
		return () => {};
	}
}

function isLocked(fd: number, operation: number): boolean {
	try {
		call('flock', fd, operation);
		return true;
	} catch {
		return false;
	}
}

/** Whether no socket is bound to a socket file: the process that created it has exited without removing it. */
function isAbandoned(path: string): boolean {
	if (!lstatSync(path).isSocket() || isBound(path)) return false;
	const probe = call(
		'socket',
		constants.AF_UNIX,
		constants.SOCK_STREAM | constants.SOCK_CLOEXEC | constants.SOCK_NONBLOCK,
		0,
	);
	try {
		const address = unixAddress(path);
		call('connect', probe, address, address.length);
		return false;
	} catch (error) {
		return error instanceof SyscallError && error.errno === errno('ECONNREFUSED');
	} finally {
		closeSync(probe);
	}
}

/** Whether an open socket is bound to the path, listening or not. The last column of /proc/net/unix is the path. */
function isBound(path: string): boolean {
	try {
		return readFileSync('/proc/net/unix', 'utf8').includes(` ${path}\n`);
	} catch {
		return false;
	}
}
