/** How a child learns of its sockets, in the words of every protocol that servers know (docs/protocols.md). */
import type { ProcessInput } from '../../machines/charts/protocol.ts';
import { firstGivenFd } from '../os/descriptors.ts';
import type { Variables } from '../os/spawn.ts';
import type { Listener } from '../sockets/listener.ts';

/** What tells a child of its sockets, and of its place. */
export function socketVariables(listeners: Listener[], { generation, index }: ProcessInput): Variables {
	const fds = listeners.map((_, place) => firstGivenFd + place);
	return {
		EINHORN_FDS: fds.join(' '),
		EINHORN_FD_COUNT: String(fds.length),
		...Object.fromEntries(
			listeners.flatMap((listener, place) => [
				[`EINHORN_FD_${place}`, String(fds[place])],
				[`EINHORN_FD_FAMILY_${place}`, listener.bound.family],
			]),
		),
		EINHORN_MASTER_PID: String(process.pid),
		EINHORN_CHILD_INDEX: String(index),
		LISTEN_FDS: String(fds.length),
		LISTEN_FDNAMES: listeners.map(nameOf).join(':'),
		SERVER_STARTER_PORT: serverStarterPorts(listeners),
		SERVER_STARTER_GENERATION: String(generation),
	};
}

/** Variables of these protocols that somebody else has set for us are not meant for our children. */
export function isOthersAnnouncement(name: string): boolean {
	return /^(EINHORN_|SERVER_STARTER_|LISTEN_(PID|FDS|FDNAMES)$)/.test(name);
}

/** What is said where a child does not hold a socket. */
export function describeSlot({ uri }: Listener, place: number): string {
	return `${uri} (its fd ${firstGivenFd + place})`;
}

/** A manager's own name for it, or its place: names are parted by colons. */
function nameOf({ uri }: Listener, place: number): string {
	const [, given = ''] = /^fd:\/*([^?#]*)/i.exec(uri) ?? [];
	return given === '' || /^\d+$/.test(given) ? `listen${place}` : given;
}

/** Ports first, then paths; a socket on every address is known by its port alone (Server::Starter). */
function serverStarterPorts(listeners: Listener[]): string {
	const entries = listeners.map(({ bound, address }, place) => {
		const isAny = bound.family !== 'AF_UNIX' && ['[::]', '0.0.0.0'].includes(bound.host);
		return { isPath: bound.family === 'AF_UNIX', text: `${isAny ? bound.port : address}=${firstGivenFd + place}` };
	});
	const [ports, paths] = [entries.filter(({ isPath }) => !isPath), entries.filter(({ isPath }) => isPath)];
	return [...ports, ...paths].map(({ text }) => text).join(';');
}
