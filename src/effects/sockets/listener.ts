/** Opens the listening socket of a -listen URI. */
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
	/** The URI as given on the command line. */
	uri: string;
	/** The listening socket, close-on-exec, numbered above the fds that children inherit. */
	fd: number;
	bound: BoundAddress;
	/** `bound` as text: `127.0.0.1:8080`, `[::]:8080` or a path. */
	address: string;
	/** The inode of the socket: the same for every process that holds it. */
	inode: number;
	/** The file that a UNIX listener has created; null for TCP and inherited sockets. */
	file: SocketFile | null;
}

/**
 * Opens the listener of a URI: `tcp://`, `tcp4://`, `tcp6://` with host and port, `unix://` with a path,
 * `fd://` with the number of an inherited listening socket.
 * @throws {Error} with a message for the operator
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

/** Makes a listener of an open listening socket. @throws {Error} if the fd is not an open socket */
export function takeListener(uri: string, fd: number, file: Listener['file'] = null): Listener {
	const bound = boundAddress(fd);
	return { uri, fd, bound, address: addressText(bound), inode: fstatSync(fd).ino, file };
}

/**
 * Closes the socket. Removes the file of a UNIX listener if the path still leads to the file that the listener created.
 */
export function closeListener({ fd, file }: Listener): void {
	closeSync(fd);
	if (file) removeFile(file);
}

/**
 * Applies the options that can change on a listening socket. A second listen(2) changes the backlog. O_NONBLOCK is
 * never cleared: running children can have set it and depend on it.
 */
function configured(listener: Listener, { backlog: wanted, isNonBlocking }: ListenOptions): Listener {
	if (wanted !== null) call('listen', listener.fd, wanted);
	if (isNonBlocking) setNonBlocking(listener.fd);
	return listener;
}

/** Applies the options of the URI to a listener that was taken over from another process. @throws {Error} */
export function withOptions(listener: Listener, uri: string): Listener {
	const options = listenOptionsOf(uri);
	if (listener.file && isFile(listener.file.path, listener.file)) setOwner(listener.file.path, options, options.mode);
	return configured({ ...listener, uri }, { ...options, backlog: backlogOf(uri) });
}

/** The options of a listener's URI. @throws {Error} */
export function listenOptionsOf(uri: string): ListenOptions {
	const { scheme, query } = splitUri(uri);
	return listenOptions(query, scheme === 'unix');
}

/**
 * The backlog to set for a URI: its option, or the maximum of the kernel. Null for `fd://` without the option: the
 * backlog of an inherited socket stays unchanged.
 * @throws {Error}
 */
export function backlogOf(uri: string): number | null {
	return listenOptionsOf(uri).backlog ?? (splitUri(uri).scheme === 'fd' ? null : backlog());
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

/** A listening socket could not be created, bound or made to listen. */
export class ListenError extends Error {
	readonly network: string;
	/** `127.0.0.1:80`, or a path. */
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
	// If the fd was not passed, the number can belong to a file of Node's event loop.
	if (given === null || given.startsWith('anon_inode:') || given.startsWith('pipe:'))
		throw refuse('bad file descriptor');
	if (!given.startsWith('socket:') || !isListening(number)) throw refuse('not a listening socket');
	return takeListener(uri, number > 2 ? moveUp(number) : copyUp(number));
}

/**
 * Makes a TCP socket listen again after shutdown(2). If the kernel had chosen the port, shutdown(2) has released the
 * port, so the socket is bound to it again.
 * @throws {SyscallError} also if another process has taken the port
 */
export function relisten({ fd, bound, uri }: Listener): void {
	const [at] =
		bound.family === 'AF_UNIX'
			? []
			: resolve(bound.host.replace(/[[\]]/g, ''), String(bound.port), bound.family === 'AF_INET6' ? 'tcp6' : 'tcp4');
	try {
		if (at) call('bind', fd, at.bytes, at.bytes.length);
	} catch (error) {
		// EINVAL: the socket is still bound.
		if (!(error instanceof SyscallError) || error.code !== 'EINVAL') throw error;
	}
	call('listen', fd, backlogOf(uri) ?? backlog());
}

/**
 * Whether a process has shut the socket down, which affects all processes that share it. SO_ACCEPTCONN of a UNIX socket
 * stays 1 then, but poll(2) reports the shutdown.
 */
export function isShutDown({ fd }: Listener): boolean {
	return !isListening(fd) || isHungUp(fd);
}
