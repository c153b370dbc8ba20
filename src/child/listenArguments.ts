/** The arguments of `server.listen`, and which listener of the supervisor they mean. */
import type { ListenOptions } from 'node:net';
import type { GivenListener } from './givenListeners.ts';

export interface ListenCall {
	/** Without port, host and path if an fd replaces them. */
	options: ListenOptions;
	callback: (() => void) | null;
}

/** Null for a call that names neither port nor path: a handle, an fd, or nothing. */
export function readListenCall(given: unknown[]): ListenCall | null {
	const last = given.at(-1);
	const callback = typeof last === 'function' ? (last as () => void) : null;
	const [first, second, third] = callback === null ? given : given.slice(0, -1);
	if (typeof first === 'object' && first !== null) {
		const options = first as ListenOptions & { fd?: unknown; _handle?: unknown; handle?: unknown };
		if (options.fd !== undefined || options._handle !== undefined || options.handle !== undefined) return null;
		if (options.port === undefined && options.path === undefined) return null;
		return { options, callback };
	}
	if (isPort(first)) {
		const [host, backlog] = typeof second === 'string' ? [second, third] : [undefined, second];
		return {
			options: {
				port: Number(first),
				...(host === undefined ? {} : { host }),
				...(typeof backlog === 'number' ? { backlog } : {}),
			},
			callback,
		};
	}
	if (typeof first === 'string' && first !== '') {
		return { options: { path: first, ...(typeof second === 'number' ? { backlog: second } : {}) }, callback };
	}
	return null;
}

function isPort(value: unknown): boolean {
	return typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value));
}

/** The listener at the address of the call; null if there is none. Of several, the one with the same host comes first. */
export function listenerFor(
	listeners: GivenListener[],
	{ port, host, path, ipv6Only }: ListenOptions,
): GivenListener | null {
	if (path !== undefined) return listeners.find((each) => each.path === path) ?? null;
	const wanted = Number(port);
	if (wanted === 0 || Number.isNaN(wanted)) return null;
	// Node listens on IPv6 and IPv4 if no host is named.
	const family = host?.includes(':') || host === undefined || host === null ? 'AF_INET6' : 'AF_INET';
	const isOther = (each: GivenListener) => Number(each.family !== family);
	const here = listeners
		.filter((each) => each.port === wanted && !(ipv6Only && each.family === 'AF_INET'))
		.sort((one, other) => isOther(one) - isOther(other));
	const name = isEvery(host) ? null : (host ?? '');
	const same = here.find((each) => each.host === name);
	if (same) return same;
	// One of them covers the other, so the bind would fail.
	const covering = here.find((each) => each.host === null || name === null);
	if (covering) return covering;
	return here.find((each) => isLoopback(name ?? '') && isLoopback(each.host ?? '')) ?? null;
}

/** The primary of a cluster passes null. */
function isEvery(host: string | null | undefined): boolean {
	return host === undefined || host === null || host === '' || host === '0.0.0.0' || host === '::';
}

function isLoopback(host: string): boolean {
	return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
