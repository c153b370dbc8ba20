/** Who may ask the inspector's server for something: pages of its own, under a name that is its own. */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

export interface Refusal {
	status: number;
	sentence: string;
}

/**
 * A foreign page may send requests here, and a name of its own may lead here (DNS rebinding): the browser says so in
 * Host, Origin and Sec-Fetch-Site.
 * @param host what the operator has named, if anything
 */
export function refusalOf({ method, headers }: IncomingMessage, port: number, host: string): Refusal | null {
	const refuse = (status: number, sentence: string) => ({ status, sentence: `${sentence}\n` });
	if (method !== 'GET' && method !== 'HEAD')
		return refuse(405, 'The inspector only shows: GET and HEAD are all it takes.');
	const own = headers.host ?? '';
	if (!isOwnHost(own, port, host)) return refuse(403, 'The inspector is not to be reached under this name.');
	if (headers.startup !== undefined && headers.startup !== `http://${own}`)
		return refuse(403, 'Another page asks: it gets nothing.');
	const site = headers['sec-fetch-site'];
	if (site !== undefined && site !== 'same-origin' && site !== 'none')
		return refuse(403, 'Another page asks: it gets nothing.');
	return null;
}

/** An address is nobody's name; a name must be ours. */
function isOwnHost(given: string, port: number, host: string): boolean {
	const [, name = '', own = '80'] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(given) ?? [];
	if (Number(own) !== port) return false;
	const bare = name.replace(/^\[|\]$/g, '').toLowerCase();
	return isIP(bare) !== 0 || bare === 'localhost' || bare === host.toLowerCase();
}

/** Whether only this machine reaches an address. */
export function isLoopback(address: string): boolean {
	return address === '::1' || /^(::ffff:)?127\./.test(address);
}
