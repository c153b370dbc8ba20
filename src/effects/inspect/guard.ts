/**
 * Access control of the inspector's server: only the inspector's own pages may send requests, under the server's own
 * host name.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

export interface Refusal {
	status: number;
	sentence: string;
}

/**
 * Checks a request. A foreign page may send requests to this server, and a foreign host name may resolve to it (DNS
 * rebinding). The browser shows this in Host, Origin and Sec-Fetch-Site.
 * @param host the value of the operator's host option, possibly empty
 */
export function refusalOf({ method, headers }: IncomingMessage, port: number, host: string): Refusal | null {
	const refuse = (status: number, sentence: string) => ({ status, sentence: `${sentence}\n` });
	if (method !== 'GET' && method !== 'HEAD')
		return refuse(405, 'The inspector only shows: GET and HEAD are all it takes.');
	const own = headers.host ?? '';
	if (!isOwnHost(own, port, host)) return refuse(403, 'The inspector is not to be reached under this name.');
	if (headers.origin !== undefined && headers.origin !== `http://${own}`)
		return refuse(403, 'Another page asks: it gets nothing.');
	const site = headers['sec-fetch-site'];
	if (site !== undefined && site !== 'same-origin' && site !== 'none')
		return refuse(403, 'Another page asks: it gets nothing.');
	return null;
}

/** An IP address cannot be rebound by DNS. A host name must be the server's own. */
function isOwnHost(given: string, port: number, host: string): boolean {
	const [, name = '', own = '80'] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(given) ?? [];
	if (Number(own) !== port) return false;
	const bare = name.replace(/^\[|\]$/g, '').toLowerCase();
	return isIP(bare) !== 0 || bare === 'localhost' || bare === host.toLowerCase();
}

/** Whether the address is reachable only from this machine. */
export function isLoopback(address: string): boolean {
	return address === '::1' || /^(::ffff:)?127\./.test(address);
}
