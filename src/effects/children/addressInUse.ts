/** A child that ended because it tried to bind an address that is the supervisor's: known by what it printed last. */
import type { BoundAddress } from '../sockets/address.ts';
import type { Listener } from '../sockets/listener.ts';
import { describeSlot } from './activationEnv.ts';

/** In the words of Node, libc, Python, gunicorn, Java, nginx and others. */
const inUse =
	/EADDRINUSE|(address|port \d+) ((is|was) )?already in use|\[Errno 98\]|connection in use|\(98: |os error 98/i;

/** What names a port or a path. */
const isAddress = /(:|port\D{0,3}|', )\d{2,5}\b|unix:|\.sock/i;

/**
 * What to say of its end; null where its output has no such line, or the line names another address.
 * @param lines what it printed last
 */
export function addressInUseHint(lines: string[], listeners: Listener[]): string | null {
	const index = lines.findLastIndex((line) => inUse.test(line));
	if (index < 0) return null;
	// Its own line first; else the address may stand in lines beside it, as in Node's error objects (`port: 80`).
	const beside = lines
		.slice(Math.max(0, index - 12), index + 10)
		.filter((line) => /\b(port|address|path)\b\W/i.test(line));
	const line = namesIn(lines[index] ?? '');
	const text = isAddress.test(line) ? line : namesIn([line, ...beside].join('\n'));
	const own = listeners.find(({ bound }) => isNamed(text, bound));
	const describe = (listener: Listener) => describeSlot(listener, listeners.indexOf(listener));
	if (own) return `the address is the supervisor's: accept on ${describe(own)} instead, see docs/servers.md`;
	const [first] = listeners;
	// Another address is in use, perhaps by the generation that serves.
	if (!first || isAddress.test(text)) return null;
	return `if that is the address of ${describe(first)}: it is the supervisor's, accept on that instead, see docs/servers.md`;
}

/** Without what stands in every stack trace: lines and columns of source files. */
function namesIn(text: string): string {
	return text.replace(/[\w./-]+:\d+:\d+\)?/g, '').replace(/line \d+/g, '');
}

/** Whether a path, or a port with an address that can't be bound beside ours, is named. A port is no part of a longer number. */
function isNamed(text: string, bound: BoundAddress): boolean {
	if (bound.family === 'AF_UNIX') return bound.path !== '' && pathsIn(text).includes(bound.path);
	const named = addressesIn(text);
	// A bare number may be a port only where no address is named.
	if (named.length === 0) return new RegExp(`(^|[^\\d.])${bound.port}($|\\D)`, 'm').test(text);
	return named.some(({ host, port }) => port === bound.port && !isBeside(host, bound.host));
}

function pathsIn(text: string): string[] {
	return [...text.matchAll(/\/[^\s'"(),;]+/g)].map(([path]) => path.replace(/[:.]+$/, ''));
}

/** `127.0.0.1:80`, `[::1]:80`, `::1:80` and `:::80` (Node), `*:80`, `:80`, `('127.0.0.1', 80)` (Python). */
const addressPattern =
	/(?:\[([\da-f:.]+)\]:|'([\da-f:.*]*)', |((?:\d+\.){3}\d+|[\da-f]*:[\da-f:.]*|\*|):)(\d{1,5})(?![\d.]|:\d)/gi;

function addressesIn(text: string): { host: string; port: number }[] {
	return [...text.matchAll(addressPattern)].map(([, v6, quoted, plain, port]) => ({
		host: (v6 ?? quoted ?? plain ?? '').replace(/^::ffff:(?=\d+\.)/i, ''),
		port: Number(port),
	}));
}

/** Whether an address is another one than ours, so that both can be bound: none is any. */
function isBeside(named: string, own: string): boolean {
	const isAny = (host: string) => ['', '*', ':', '::', '0.0.0.0', '[::]'].includes(host);
	return !isAny(named) && !isAny(own) && named !== own.replace(/[[\]]/g, '');
}
