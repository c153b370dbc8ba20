/** A listening socket at a path, and the file that it makes. */
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

/** Listens at a path, which one that nobody listens on any more gives way to. @throws {Error} */
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
		// Now, as it is ours still: a link to another user's file takes CAP_FOWNER (fs.protected_hardlinks).
		linkSecond(path);
		// Nobody can connect before listen(2).
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

/** A second name of a UNIX listener's file, from which the first comes back where somebody removes it. */
export function secondLink(path: string): string {
	return join(dirname(path), `.${basename(path)}.socketmaster`);
}

/** One of an earlier supervisor that was killed gives way. */
function linkSecond(path: string): void {
	const second = secondLink(path);
	try {
		if (lstatSync(second, { throwIfNoEntry: false })?.isSocket()) unlinkSync(second);
		linkSync(path, second);
	} catch {
		// Whoever keeps the path says so.
	}
}

/**
 * A second name of a file that we have made, and may have given to another user since: without CAP_FOWNER it is ours for
 * that moment. @throws {Error}
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

/** Whether a path is the file that a UNIX listener has made. */
export function isFile(path: string, { dev, ino }: SocketFile): boolean {
	try {
		const stat = lstatSync(path);
		return stat.isSocket() && stat.dev === dev && stat.ino === ino;
	} catch {
		return false;
	}
}

/**
 * What was made at a path for a socket that is bound to a file. Where the path does not lead to the file its second name may.
 * Some file systems give stat(2) another number than the kernel has (overlayfs): where no other socket listens at that path the
 * socket there is believed to be it.
 * @returns null where neither leads to it
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

/** Removes the file, and its second name, where they are still what was made. */
export function removeFile(file: SocketFile): void {
	for (const path of [file.path, secondLink(file.path)]) {
		try {
			if (isFile(path, file)) unlinkSync(path);
		} catch {
			// Somebody else removed it: nothing of ours is left.
		}
	}
}

/**
 * By the inode that is there now, whatever its path becomes meanwhile. The mode of another user's file takes CAP_FOWNER: it
 * is ours for that moment. @throws {Error}
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
 * Waits until no other starter is between looking at a path and binding it, in the same folder: for half a second at the
 * most, as anybody may lock a folder that he can read. @returns how to let go
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
		// It can't be read, or is on a file system without locks: then nobody else's can either.
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

/** A socket file nobody listens on: its maker died without removing it. */
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

/** Whether a living socket is bound to the path, listening or not (/proc/net/unix has the path in its last column). */
function isBound(path: string): boolean {
	try {
		return readFileSync('/proc/net/unix', 'utf8').includes(` ${path}\n`);
	} catch {
		return false;
	}
}
