/** Connections that processes have accepted from listeners. */
import { type Connection, tcpConnections, unixConnections } from './diag.ts';
import type { Listener } from './listener.ts';

/**
 * The connections of all listeners, by the inode of the connection's socket.
 * @throws {Error} if the kernel does not report them or a listener is an unnamed UNIX socket
 */
export async function allConnections(listeners: Listener[]): Promise<Map<number, Connection>> {
	const known = new Map<number, Connection>();
	const seen = new Set<string | number>();
	for (const listener of listeners) {
		const key = keyOf(listener);
		if (seen.has(key)) continue;
		seen.add(key);
		for await (const part of connectionsTo(key)) for (const each of part) known.set(each.inode, each);
	}
	return known;
}

/**
 * The inodes of the connections of each listener. A connection belongs to a listener if its local address matches that
 * of the listener. On a dual-stack listener the socket of an IPv4 connection is an IPv6 socket (ipv6(7)).
 * @throws {Error} if the kernel does not report them or a listener is an unnamed UNIX socket
 */
export async function connectionsBy(listeners: Listener[]): Promise<Map<Listener, Set<number>>> {
	const found = new Map<Listener, Set<number>>();
	for (const listener of listeners) {
		const key = keyOf(listener);
		const host = listener.bound.family === 'AF_UNIX' ? null : listener.bound.host;
		const inodes = new Set<number>();
		for await (const part of connectionsTo(key)) {
			// A connection has inode 0 until a process accepts it.
			for (const { inode, local } of part) if (inode !== 0 && isTo(local, host)) inodes.add(inode);
		}
		found.set(listener, inodes);
	}
	return found;
}

/** @param host `[::]`, `0.0.0.0` or one address; null for a UNIX listener */
function isTo(local: string | null, host: string | null): boolean {
	if (host === null || local === host) return true;
	if (local === null) return false;
	return host === (local.startsWith('[') ? '[::]' : '0.0.0.0');
}

function connectionsTo(key: string | number) {
	return typeof key === 'number' ? tcpConnections(key) : unixConnections(key);
}

/** The port of a TCP listener, or the path of a UNIX listener. @throws {Error} for an unnamed UNIX socket */
function keyOf({ bound }: Listener): string | number {
	if (bound.family !== 'AF_UNIX') return bound.port;
	if (bound.path === '') throw new Error('one without a name is not known by it');
	return bound.path;
}
