/** Connections that were accepted from listeners. */
import { type Connection, tcpConnections, unixConnections } from './diag.ts';
import type { Listener } from './listener.ts';

/** Those of all listeners, by the inodes of their sockets. @throws {Error} where the kernel does not tell */
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
 * Those of each listener, by inode: whose own end has its port, its family and its address. An IPv4 connection that a
 * listener of both families has accepted is one of IPv6 (ipv6(7)). @throws {Error} where the kernel does not tell
 */
export async function connectionsBy(listeners: Listener[]): Promise<Map<Listener, Set<number>>> {
	const found = new Map<Listener, Set<number>>();
	for (const listener of listeners) {
		const key = keyOf(listener);
		const host = listener.bound.family === 'AF_UNIX' ? null : listener.bound.host;
		const inodes = new Set<number>();
		for await (const part of connectionsTo(key)) {
			// Those that nobody has accepted have none.
			for (const { inode, local } of part) if (inode !== 0 && isTo(local, host)) inodes.add(inode);
		}
		found.set(listener, inodes);
	}
	return found;
}

/** @param host `[::]`, `0.0.0.0` or one address; null for a path */
function isTo(local: string | null, host: string | null): boolean {
	if (host === null || local === host) return true;
	if (local === null) return false;
	return host === (local.startsWith('[') ? '[::]' : '0.0.0.0');
}

function connectionsTo(key: string | number) {
	return typeof key === 'number' ? tcpConnections(key) : unixConnections(key);
}

/** A port, or a path. @throws {Error} for a socket without a name */
function keyOf({ bound }: Listener): string | number {
	if (bound.family !== 'AF_UNIX') return bound.port;
	if (bound.path === '') throw new Error('one without a name is not known by it');
	return bound.path;
}
