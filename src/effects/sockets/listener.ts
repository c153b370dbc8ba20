/** A -listen URI becomes a listening file descriptor. */
import {
	chmodSync,
	chownSync,
	closeSync,
	constants as fs,
	fstatSync,
	lstatSync,
	openSync,
	readFileSync,
	unlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { copyUp, moveUp } from '../os/descriptors.ts';
import { call, constants, errno, SyscallError } from '../os/libc.ts';
import { isHungUp } from '../os/poll.ts';
import { fileOf } from '../os/proc.ts';
import { boundAddress, resolve, type SocketAddress, splitHostPort, splitUri, unixAddress } from './address.ts';
import { type ListenOptions, listenOptions } from './options.ts';
import { bindWithMode } from './plain.ts';

export interface Listener {
	/** The URI as it was given. */
	uri: string;
	/** The listening socket, close-on-exec, above the fds that children see. */
	fd: number;
	/** What it is bound to: `127.0.0.1:8080`, `[::]:8080` or a path. */
	address: string;
	/** The inode of the socket: the same for every process that holds it. */
	inode: number;
	/** The path that a UNIX listener made, as it was then. */
	file: { path: string; dev: number; ino: number } | null;
}

/**
 * Opens what the URI names: `tcp://`, `tcp4://`, `tcp6://` with host and port, `unix://` with a path,
 * `fd://` with the number of an inherited listening socket.
 * @throws {Error} with the words for the operator
 */
export function openListener(uri: string): Listener {
	const { scheme, host, path, query } = splitUri(uri);
	const options = listenOptions(query, scheme === 'unix');
	switch (scheme) {
		case 'tcp':
		case 'tcp4':
		case 'tcp6':
			return openTcp(uri, scheme, host, options);
		case 'unix':
			return openUnix(uri, host + path, options);
		case 'fd':
			return withBacklog(openInherited(uri, host + path), options);
		default:
			throw new Error(`Unsupported scheme: ${scheme}`);
	}
}

/** Takes a listening socket that is open already; -1 or another kind of file is refused. @throws {Error} */
export function takeListener(uri: string, fd: number, file: Listener['file'] = null): Listener {
	return { uri, fd, address: boundAddress(fd), inode: fstatSync(fd).ino, file };
}

/** Closes the socket and removes the path of a UNIX listener if it is still the one that was made. */
export function closeListener({ fd, file }: Listener): void {
	closeSync(fd);
	if (!file) return;
	for (const path of [file.path, secondLink(file.path)]) {
		try {
			if (isFile(path, file)) unlinkSync(path);
		} catch {
			// Somebody else removed it: nothing of ours is left.
		}
	}
}

/** A second name of a UNIX listener's file, from which the first comes back where somebody removes it. */
export function secondLink(path: string): string {
	return join(dirname(path), `.${basename(path)}.socketmaster`);
}

/** Whether a path is the file that a UNIX listener has made. */
export function isFile(path: string, { dev, ino }: NonNullable<Listener['file']>): boolean {
	try {
		const stat = lstatSync(path);
		return stat.isSocket() && stat.dev === dev && stat.ino === ino;
	} catch {
		return false;
	}
}

/** The listening sockets this machine's kernel would accept for `listen(2)`: its own maximum. */
export function backlog(): number {
	try {
		return Number.parseInt(readFileSync('/proc/sys/net/core/somaxconn', 'ascii'), 10) || 128;
	} catch {
		return 128;
	}
}

/** listen(2) may be called again, and changes the backlog then. */
function withBacklog(listener: Listener, { backlog: wanted }: ListenOptions): Listener {
	if (wanted !== null) call('listen', listener.fd, wanted);
	return listener;
}

/** A listener that was taken over, with what its URI asks for now. @throws {Error} */
export function withOptions(listener: Listener, uri: string): Listener {
	const { scheme, query } = splitUri(uri);
	const options = listenOptions(query, scheme === 'unix');
	if (listener.file && isFile(listener.file.path, listener.file)) setOwner(listener.file.path, options, options.mode);
	return withBacklog({ ...listener, uri }, options);
}

function openTcp(
	uri: string,
	scheme: 'tcp' | 'tcp4' | 'tcp6',
	authority: string,
	{ backlog: wanted }: ListenOptions,
): Listener {
	const { host, port } = splitHostPort(authority);
	const addresses = resolve(host, port, scheme);
	const [address] = addresses;
	if (!address) throw new Error(`address ${host}: no suitable address found`);
	try {
		return listenOn(uri, address, scheme === 'tcp' && host === '', wanted);
	} catch (error) {
		const v4 = addresses.find(({ family }) => family === constants.AF_INET);
		const hasNoV6 = error instanceof SyscallError && error.errno === errno('EAFNOSUPPORT');
		try {
			if (hasNoV6 && host === '' && v4) return listenOn(uri, v4, false, wanted);
		} catch (second) {
			throw listenError(scheme, `${host}:${port}`, second);
		}
		throw listenError(scheme, host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, error);
	}
}

function listenError(network: string, address: string, error: unknown): Error {
	if (!(error instanceof SyscallError)) return error as Error;
	return new Error(`listen ${network} ${address}: ${error.syscall}: ${error.message}`, { cause: error });
}

function listenOn(uri: string, address: SocketAddress, isDualStack: boolean, wanted: number | null): Listener {
	const fd = newSocket(address.family);
	try {
		setOption(fd, constants.SOL_SOCKET, constants.SO_REUSEADDR, 1);
		if (address.family === constants.AF_INET6)
			setOption(fd, constants.IPPROTO_IPV6, constants.IPV6_V6ONLY, isDualStack ? 0 : 1);
		call('bind', fd, address.bytes, address.bytes.length);
		call('listen', fd, wanted ?? backlog());
		return takeListener(uri, fd);
	} catch (error) {
		closeSync(fd);
		throw error;
	}
}

function newSocket(family: number): number {
	return moveUp(call('socket', family, constants.SOCK_STREAM | constants.SOCK_CLOEXEC, 0));
}

function setOption(fd: number, level: number, name: number, value: number) {
	const bytes = Buffer.alloc(4);
	bytes.writeInt32LE(value);
	call('setsockopt', fd, level, name, bytes, 4);
}

function openUnix(uri: string, path: string, options: ListenOptions): Listener {
	const bind = () => bindWithMode(fd, path, options.mode ?? 0o777 & ~process.umask());
	unixAddress(path);
	const fd = newSocket(constants.AF_UNIX);
	const release = lockFolder(path);
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
		// Nobody can connect before listen(2).
		setOwner(path, options, null);
		call('listen', fd, options.backlog ?? backlog());
		const { dev, ino } = lstatSync(path);
		return takeListener(uri, fd, { path, dev, ino });
	} catch (error) {
		closeSync(fd);
		throw listenError('unix', path, error);
	} finally {
		release();
	}
}

/** By the inode that is there now, whatever its path becomes meanwhile. @throws {Error} */
function setOwner(path: string, { uid, gid }: ListenOptions, mode: number | null) {
	if (uid < 0 && gid < 0 && mode === null) return;
	const O_PATH = 0o10000000;
	const fd = openSync(path, O_PATH | constants.O_CLOEXEC | fs.O_NOFOLLOW);
	try {
		if (!fstatSync(fd).isSocket()) throw new Error('it is no socket any more');
		const name = `/proc/self/fd/${fd}`;
		if (uid >= 0 || gid >= 0) chownSync(name, uid, gid);
		if (mode !== null) chmodSync(name, mode);
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

function openInherited(uri: string, text: string): Listener {
	const number = /^[0-9]+$/.test(text) ? Number(text) : -1;
	const refuse = (why: string) => new Error(`fd ${text}: ${why}`);
	const given = number < 0 ? null : fileOf('self', number);
	// A number that was free when this program started may since belong to Node: to its event loop's own files.
	if (given === null || given.startsWith('anon_inode:') || given.startsWith('pipe:'))
		throw refuse('bad file descriptor');
	if (!given.startsWith('socket:') || !isListening(number)) throw refuse('not a listening socket');
	return takeListener(uri, number > 2 ? moveUp(number) : copyUp(number));
}

/** Has a socket listen again that was shut down; one that was given a free port has lost it. @throws {SyscallError} also when somebody else has that port now */
export function reviveListener({ fd, address }: Listener): void {
	const { host, port } = splitHostPort(address);
	const [at] = resolve(host, port, host.includes(':') ? 'tcp6' : 'tcp4');
	try {
		if (at) call('bind', fd, at.bytes, at.bytes.length);
	} catch (error) {
		// It is bound still.
		if (!(error instanceof SyscallError) || error.code !== 'EINVAL') throw error;
	}
	call('listen', fd, backlog());
}

/** Whether a child has shut the socket down, for all that share it. One of UNIX still says then that it listens (poll(2) knows). */
export function isShutDown({ fd }: Listener): boolean {
	return !isListening(fd) || isHungUp(fd);
}

/** Whether listen(2) was called on the socket. */
export function isListening(fd: number): boolean {
	try {
		return getOption(fd, constants.SO_ACCEPTCONN) === 1;
	} catch {
		return false;
	}
}

/** SOCK_STREAM, SOCK_DGRAM. @throws {SyscallError} */
export function typeOf(fd: number): number {
	return getOption(fd, constants.SO_TYPE);
}

function getOption(fd: number, name: number): number {
	const value = Buffer.alloc(4);
	const length = Buffer.alloc(4);
	length.writeUInt32LE(4);
	call('getsockopt', fd, constants.SOL_SOCKET, name, value, length);
	return value.readInt32LE();
}
