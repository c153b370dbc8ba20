/** A connection of the supervisor to one of its own listeners, and the socket at the other end of it. */
import { once } from 'node:events';
import { fstatSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { BoundAddress } from '../sockets/address.ts';
import { tcpConnection, unixPeer } from '../sockets/diag.ts';

/** @param signal ends the attempt to connect @throws {Error} if the connection fails */
export async function connectTo(bound: BoundAddress, signal: AbortSignal): Promise<Socket> {
	const socket = connect(destinationOf(bound));
	// An error after the connection was made shows in the exchange.
	socket.on('error', () => {});
	try {
		await once(socket, 'connect', { signal });
		return socket;
	} catch (error) {
		socket.destroy();
		throw error;
	}
}

/** A listener on every address is reached on the address of this machine. */
function destinationOf(bound: BoundAddress) {
	if (bound.family === 'AF_UNIX') return { path: bound.path };
	const { port } = bound;
	if (bound.host === '0.0.0.0') return { host: '127.0.0.1', port };
	if (bound.host === '[::]') return { host: '::1', port };
	return { host: bound.host.replace(/[[\]]/g, ''), port };
}

/**
 * The inode of the socket that a process has accepted for this connection; 0 before a process has accepted it, null
 * after that socket is gone.
 * @throws {SyscallError} if the kernel does not report it
 */
export function acceptedInode(socket: Socket): number | null {
	const { localAddress, localPort, remoteAddress, remotePort } = socket;
	if (remoteAddress === undefined || localAddress === undefined) return unixPeer(inodeOf(socket));
	return tcpConnection({ host: remoteAddress, port: remotePort ?? 0 }, { host: localAddress, port: localPort ?? 0 });
}

/** A UNIX connection has no address of its own that the kernel finds it by. */
function inodeOf(socket: Socket): number {
	const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
	return fstatSync(fd).ino;
}
