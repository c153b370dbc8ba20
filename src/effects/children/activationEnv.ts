/** The variables that pass the listeners to a child, in the format of each supported protocol (docs/protocols.md). */
import type { ProcessInput } from '../../machines/charts/protocol.ts';
import { firstGivenFd } from '../os/descriptors.ts';
import type { Variables } from '../os/spawn.ts';
import type { Listener } from '../sockets/listener.ts';

/** Variables for the fds of the listeners, and for the child's generation and slot. */
export function socketVariables(listeners: Listener[], { generation, index }: ProcessInput): Variables {
	const fds = listeners.map((_, position) => firstGivenFd + position);
	return {
		EINHORN_FDS: fds.join(' '),
		EINHORN_FD_COUNT: String(fds.length),
		...Object.fromEntries(
			listeners.flatMap((listener, position) => [
				[`EINHORN_FD_${position}`, String(fds[position])],
				[`EINHORN_FD_FAMILY_${position}`, listener.bound.family],
			]),
		),
		EINHORN_MASTER_PID: String(process.pid),
		EINHORN_CHILD_INDEX: String(index),
		LISTEN_FDS: String(fds.length),
		LISTEN_FDNAMES: listeners.map(nameOf).join(':'),
		SERVER_STARTER_PORT: serverStarterPorts(listeners),
		SERVER_STARTER_GENERATION: String(generation),
		SOCKETMASTER_INODES: listeners.map(({ inode }) => inode).join(' '),
	};
}

/**
 * Whether a variable belongs to one of these protocols. In the supervisor's own environment such a variable is meant
 * for the supervisor, so children do not inherit it.
 */
export function isOthersAnnouncement(name: string): boolean {
	return /^(EINHORN_|SERVER_STARTER_|LISTEN_(PID|FDS|FDNAMES)$)/.test(name);
}

/** Text for a listener that a child does not accept on or does not hold, as `tcp://:80 (its fd 3)`. */
export function describeSlot({ uri }: Listener, position: number): string {
	return `${uri} (its fd ${firstGivenFd + position})`;
}

/** The name in an `fd://NAME` URI, which the service manager gave, else `listenN`. Colons separate the names. */
function nameOf({ uri }: Listener, position: number): string {
	const [, given = ''] = /^fd:\/*([^?#]*)/i.exec(uri) ?? [];
	return given === '' || /^\d+$/.test(given) ? `listen${position}` : given;
}

/** Ports come before paths. A listener on every address is listed by its port alone (Server::Starter). */
function serverStarterPorts(listeners: Listener[]): string {
	const entries = listeners.map(({ bound, address }, position) => {
		const isAny = bound.family !== 'AF_UNIX' && ['[::]', '0.0.0.0'].includes(bound.host);
		return { isPath: bound.family === 'AF_UNIX', text: `${isAny ? bound.port : address}=${firstGivenFd + position}` };
	});
	const [ports, paths] = [entries.filter(({ isPath }) => !isPath), entries.filter(({ isPath }) => isPath)];
	return [...ports, ...paths].map(({ text }) => text).join(';');
}
