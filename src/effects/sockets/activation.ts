/** Sockets that a service manager passes to this process, with their names (sd_listen_fds_with_names(3)). */
import { firstGivenFd } from '../os/descriptors.ts';
import { isListening } from './socket.ts';

/** The passed fds, in order. Empty if LISTEN_PID names another process. */
export function passedSockets({ LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES = '' }: NodeJS.ProcessEnv) {
	if (Number(LISTEN_PID) !== process.pid) return [];
	const names = LISTEN_FDNAMES.split(':');
	return Array.from({ length: Math.min(Number(LISTEN_FDS) || 0, 4096) }, (_, place) => ({
		name: names[place] ?? '',
		fd: firstGivenFd + place,
	}));
}

/**
 * Replaces the name in `fd://NAME` with an fd number: the first passed fd of that name that still listens. An fd that
 * is already in use as a listener has been moved to another number. Any other URI is returned unchanged.
 * @throws {Error} with a message for the operator
 */
export function withoutName(uri: string, env: NodeJS.ProcessEnv): string {
	const [, scheme, name = '', options = ''] = /^(fd:\/*)([^?#]*)(.*)$/is.exec(uri) ?? [];
	if (scheme === undefined || name === '' || /^\d+$/.test(name)) return uri;
	const passed = passedSockets(env);
	const found = passed.find((each) => each.name === name && isListening(each.fd));
	if (found) return `fd://${found.fd}${options}`;
	const names = passed.map((each) => each.name).filter(Boolean);
	const there =
		names.length > 0 ? `there is ${[...new Set(names)].join(' and ')}` : 'a manager has passed none to this process';
	throw new Error(`fd ${name}: no listening socket of that name in LISTEN_FDNAMES; ${there}`);
}
