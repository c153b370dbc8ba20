/** The listeners that the supervisor has given to this process, from its environment and /proc. */
import { readdirSync, readlinkSync } from 'node:fs';

export interface GivenListener {
	fd: number;
	family: 'AF_INET' | 'AF_INET6' | 'AF_UNIX';
	/** For TCP; null for a UNIX listener. `host` is null if the listener is on every address. */
	port: number | null;
	host: string | null;
	/** For a UNIX listener; else null. */
	path: string | null;
}

/**
 * The listeners in the order of -listen; empty if the process was not started by a supervisor. A process that was
 * started by a child may have other files at these fds: the listener is looked for by its inode, and left out if the
 * process does not hold it.
 * @param env SERVER_STARTER_PORT has the addresses, EINHORN_FD_FAMILY_N the families, SOCKETMASTER_INODES the inodes
 */
export function givenListeners(env: NodeJS.ProcessEnv = process.env): GivenListener[] {
	const { SERVER_STARTER_PORT = '', SOCKETMASTER_INODES = '' } = env;
	const inodes = SOCKETMASTER_INODES.split(' ').filter(Boolean);
	if (SERVER_STARTER_PORT === '' || inodes.length === 0) return [];
	return SERVER_STARTER_PORT.split(';')
		.flatMap((entry) => {
			const [, address, number] = /^(.*)=(\d+)$/s.exec(entry) ?? [];
			if (address === undefined) return [];
			const given = Number(number);
			const fd = heldAt(given, inodes[given - 3] ?? '');
			if (fd === null) return [];
			const place = parsed(address);
			const family =
				place.path !== null ? 'AF_UNIX' : env[`EINHORN_FD_FAMILY_${given - 3}`] === 'AF_INET' ? 'AF_INET' : 'AF_INET6';
			return { fd, family, ...place } as const;
		})
		.sort((one, other) => one.fd - other.fd);
}

function parsed(address: string): Omit<GivenListener, 'fd' | 'family'> {
	const [, host, port] = /^(?:(.*):)?(\d+)$/.exec(address) ?? [];
	if (port === undefined) return { port: null, host: null, path: address };
	return { port: Number(port), host: host?.replace(/[[\]]/g, '') ?? null, path: null };
}

/** The fd at which this process holds the socket; null if it does not. */
function heldAt(fd: number, inode: string): number | null {
	const isIt = (each: number | string) => {
		try {
			return readlinkSync(`/proc/self/fd/${each}`) === `socket:[${inode}]`;
		} catch {
			return false;
		}
	};
	if (isIt(fd)) return fd;
	try {
		const other = readdirSync('/proc/self/fd').find(isIt);
		return other === undefined ? null : Number(other);
	} catch {
		return null;
	}
}
