/** A connection of the supervisor to one of its own listeners, and the socket at the other end of it. */
import { once } from 'node:events';
import { fstatSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { BoundAddress } from '../sockets/address.ts';
import { tcpConnection, unixPeer } from '../sockets/diag.ts';

export interface CheckConnection {
	socket: Socket;
	/**
	 * The inode of the socket that a process has accepted for this connection; 0 before a process has accepted it, null
	 * after that socket is gone.
	 * @throws {SyscallError} if the kernel does not report it
	 */
	acceptedInode: () => number | null;
}

/** @param signal ends the attempt to connect @throws {Error} if the connection fails */
export async function connectTo(bound: BoundAddress, signal: AbortSignal): Promise<CheckConnection> {
	const [first, second] = destinationsOf(bound);
	try {
		return await connectOnce(first, signal);
	} catch (error) {
		const isMissing = ['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'ENETUNREACH'].includes(
			(error as { code?: string }).code ?? '',
		);
		if (!second || !isMissing) throw error;
		return connectOnce(second, signal);
	}
}

type Destination = { path: string } | { host: string; port: number };

/** A listener on every address is reached on the loopback: a dual-stack one by IPv4, if this machine has no IPv6. */
function destinationsOf(bound: BoundAddress): [Destination, Destination?] {
	if (bound.family === 'AF_UNIX') return [{ path: bound.path }];
	const { port } = bound;
	if (bound.host === '0.0.0.0') return [{ host: '127.0.0.1', port }];
	if (bound.host === '[::]')
		return [
			{ host: '::1', port },
			{ host: '127.0.0.1', port },
		];
	return [{ host: bound.host.replace(/[[\]]/g, ''), port }];
}

async function connectOnce(destination: Destination, signal: AbortSignal): Promise<CheckConnection> {
	const socket = connect(destination);
	// An error after the connection was made shows in the exchange.
	socket.on('error', () => {});
	try {
		await once(socket, 'connect', { signal });
		return { socket, acceptedInode: 'path' in destination ? unixInode(socket) : tcpInode(socket) };
	} catch (error) {
		socket.destroy();
		throw error;
	}
}

/** The addresses are read now: a socket that is closed has none. */
function tcpInode({ localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 }: Socket) {
	const [local, peer] = [
		{ host: remoteAddress, port: remotePort },
		{ host: localAddress, port: localPort },
	];
	return () => tcpConnection(local, peer);
}

/** A UNIX connection has no address of its own that the kernel finds it by, so it is found by the inode of this end. */
function unixInode(socket: Socket) {
	const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
	const { ino } = fstatSync(fd);
	return () => unixPeer(ino);
}
