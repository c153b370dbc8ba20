/** A -listen URI becomes a listening file descriptor. */
import { closeSync, fstatSync } from 'node:fs';
import { copyUp, moveUp, setNonBlocking } from '../os/descriptors.ts';
import { errorText } from '../os/errorText.ts';
import { call, constants, errno, SyscallError } from '../os/libc.ts';
import { isHungUp } from '../os/poll.ts';
import { fileOf } from '../os/proc.ts';
import {
	addressText,
	type BoundAddress,
	boundAddress,
	resolve,
	type SocketAddress,
	splitHostPort,
	splitUri,
} from './address.ts';
import { type ListenOptions, listenOptions } from './options.ts';
import { backlog, isListening, newSocket, setOption } from './socket.ts';
import type { SocketFile } from './socketFile.ts';
import { isFile, listenAt, removeFile, setOwner } from './unixListener.ts';

export interface Listener {
	/** The URI as it was given. */
	uri: string;
	/** The listening socket, close-on-exec, above the fds that children see. */
	fd: number;
	bound: BoundAddress;
	/** The same as text: `127.0.0.1:8080`, `[::]:8080` or a path. */
	address: string;
	/** The inode of the socket: the same for every process that holds it. */
	inode: number;
	/** Null for one that made none. */
	file: SocketFile | null;
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
			return configured(openTcp(uri, scheme, host), options);
		case 'unix':
			return configured(openUnix(uri, host + path, options), options);
		case 'fd':
			return configured(openInherited(uri, host + path), options);
		default:
			throw new Error(`Unsupported scheme: ${scheme}`);
	}
}

/** Takes a listening socket that is open already; -1 or another kind of file is refused. @throws {Error} */
export function takeListener(uri: string, fd: number, file: Listener['file'] = null): Listener {
	const bound = boundAddress(fd);
	return { uri, fd, bound, address: addressText(bound), inode: fstatSync(fd).ino, file };
}

/** Closes the socket and removes the path of a UNIX listener if it is still the one that was made. */
export function closeListener({ fd, file }: Listener): void {
	closeSync(fd);
	if (file) removeFile(file);
}

/**
 * What can be set on one that listens: a second listen(2) changes the backlog. O_NONBLOCK is never taken away: children
 * that live may rely on it, and have set it themselves.
 */
function configured(listener: Listener, { backlog: wanted, isNonBlocking }: ListenOptions): Listener {
	if (wanted !== null) call('listen', listener.fd, wanted);
	if (isNonBlocking) setNonBlocking(listener.fd);
	return listener;
}

/** A listener that was taken over, with what its URI asks for now. @throws {Error} */
export function withOptions(listener: Listener, uri: string): Listener {
	const options = optionsOf(uri);
	if (listener.file && isFile(listener.file.path, listener.file)) setOwner(listener.file.path, options, options.mode);
	return configured({ ...listener, uri }, { ...options, backlog: backlogOf(uri) });
}

function optionsOf(uri: string): ListenOptions {
	const { scheme, query } = splitUri(uri);
	return listenOptions(query, scheme === 'unix');
}

/** What its URI asks for; null for one that somebody else has opened, and that is to be left as it is. @throws {Error} */
export function backlogOf(uri: string): number | null {
	return optionsOf(uri).backlog ?? (splitUri(uri).scheme === 'fd' ? null : backlog());
}

function openTcp(uri: string, scheme: 'tcp' | 'tcp4' | 'tcp6', authority: string): Listener {
	const { host, port } = splitHostPort(authority);
	const addresses = resolve(host, port, scheme);
	const [address] = addresses;
	if (!address) throw new Error(`address ${host}: no suitable address found`);
	try {
		return listenOn(uri, address, scheme === 'tcp' && host === '');
	} catch (error) {
		const v4 = addresses.find(({ family }) => family === constants.AF_INET);
		const hasNoV6 = error instanceof SyscallError && error.errno === errno('EAFNOSUPPORT');
		try {
			if (hasNoV6 && host === '' && v4) return listenOn(uri, v4, false);
		} catch (second) {
			throw listenError(scheme, `${host}:${port}`, second);
		}
		throw listenError(scheme, host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, error);
	}
}

/** A socket could not be opened, or not listen. */
export class ListenError extends Error {
	readonly network: string;
	/** As `127.0.0.1:80`, or a path. */
	readonly address: string;
	constructor(network: string, address: string, cause: unknown) {
		super(`listen ${network} ${address}: ${(cause as NodeJS.ErrnoException).syscall}: ${errorText(cause)}`, { cause });
		this.network = network;
		this.address = address;
	}
}

function listenError(network: string, address: string, error: unknown): Error {
	const { syscall } = error as NodeJS.ErrnoException;
	if (syscall === undefined) return error as Error;
	return new ListenError(network, address, error);
}

function listenOn(uri: string, address: SocketAddress, isDualStack: boolean): Listener {
	const fd = newSocket(address.family);
	try {
		setOption(fd, constants.SOL_SOCKET, constants.SO_REUSEADDR, 1);
		if (address.family === constants.AF_INET6)
			setOption(fd, constants.IPPROTO_IPV6, constants.IPV6_V6ONLY, isDualStack ? 0 : 1);
		call('bind', fd, address.bytes, address.bytes.length);
		call('listen', fd, backlog());
		return takeListener(uri, fd);
	} catch (error) {
		closeSync(fd);
		throw error;
	}
}

function openUnix(uri: string, path: string, options: ListenOptions): Listener {
	try {
		const { fd, file } = listenAt(path, options);
		return takeListener(uri, fd, file);
	} catch (error) {
		throw listenError('unix', path, error);
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
export function relisten({ fd, bound, uri }: Listener): void {
	const [at] =
		bound.family === 'AF_UNIX'
			? []
			: resolve(bound.host.replace(/[[\]]/g, ''), String(bound.port), bound.family === 'AF_INET6' ? 'tcp6' : 'tcp4');
	try {
		if (at) call('bind', fd, at.bytes, at.bytes.length);
	} catch (error) {
		// It is bound still.
		if (!(error instanceof SyscallError) || error.code !== 'EINVAL') throw error;
	}
	call('listen', fd, backlogOf(uri) ?? backlog());
}

/** Whether a child has shut the socket down, for all that share it. One of UNIX still says then that it listens (poll(2) knows). */
export function isShutDown({ fd }: Listener): boolean {
	return !isListening(fd) || isHungUp(fd);
}
