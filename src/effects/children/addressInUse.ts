/** Recognises a child that exited because it tried to bind an address of the supervisor: by the child's last output. */
import type { BoundAddress } from '../sockets/address.ts';
import type { Listener } from '../sockets/listener.ts';
import { describeSlot } from './activationEnv.ts';

/** The messages of Node, libc, Python, gunicorn, Java, nginx and others. */
const inUse =
	/EADDRINUSE|(address|port \d+) ((is|was) )?already in use|\[Errno 98\]|connection in use|\(98: |os error 98/i;

/** Matches a port or a path. */
const isAddress = /(:|port\D{0,3}|', )\d{2,5}\b|unix:|\.sock/i;

/**
 * A hint for the log line about the exit. Null if no line says that an address is in use, or if the text names only
 * addresses that are not the supervisor's.
 * @param lines the last output of the child
 */
export function addressInUseHint(lines: string[], listeners: Listener[]): string | null {
	const index = lines.findLastIndex((line) => inUse.test(line));
	if (index < 0) return null;
	// The matching line comes first. If it has no address, nearby lines may, as in Node's error objects (`port: 80`).
	const nearby = lines
		.slice(Math.max(0, index - 12), index + 10)
		.filter((line) => /\b(port|address|path)\b\W/i.test(line));
	const line = namesIn(lines[index] ?? '');
	const text = isAddress.test(line) ? line : namesIn([line, ...nearby].join('\n'));
	const own = listeners.find(({ bound }) => isNamed(text, bound));
	const describe = (listener: Listener) => describeSlot(listener, listeners.indexOf(listener));
	if (own) return `the address is the supervisor's: accept on ${describe(own)} instead, see docs/servers.md`;
	const [first] = listeners;
	// Another address is in use, possibly by the serving generation.
	if (!first || isAddress.test(text)) return null;
	return `if this is the address of ${describe(first)}, the supervisor has it open: accept on that fd instead, see docs/servers.md`;
}

/** Removes the line and column numbers of source files, which every stack trace contains (Ruby: `binder.rb:341:in`). */
function namesIn(text: string): string {
	return text.replace(/[\w./-]+:\d+:(?:\d+\)?|in\b)/g, '').replace(/line \d+/g, '');
}

/**
 * Whether the text names the listener's path, or its port with a host that conflicts with the listener's host. A port
 * inside a longer number does not count.
 */
function isNamed(text: string, bound: BoundAddress): boolean {
	if (bound.family === 'AF_UNIX') return bound.path !== '' && pathsIn(text).includes(bound.path);
	const named = addressesIn(text);
	// If the text names no address, a bare number may be a port.
	if (named.length === 0) return new RegExp(`(^|[^\\d.])${bound.port}($|\\D)`, 'm').test(text);
	return named.some(({ host, port }) => port === bound.port && !canBindBoth(host, bound.host));
}

function pathsIn(text: string): string[] {
	return [...text.matchAll(/\/[^\s'"(),;]+/g)].map(([path]) => path.replace(/[:.]+$/, ''));
}

/** Matches `127.0.0.1:80`, `[::1]:80`, `::1:80` and `:::80` (Node), `*:80`, `:80`, `('127.0.0.1', 80)` (Python). */
const addressPattern =
	/(?:\[([\da-f:.]+)\]:|'([\da-f:.*]*)', |((?:\d+\.){3}\d+|[\da-f]*:[\da-f:.]*|\*|):)(\d{1,5})(?![\d.]|:\d)/gi;

function addressesIn(text: string): { host: string; port: number }[] {
	return [...text.matchAll(addressPattern)].map(([, v6, quoted, plain, port]) => ({
		host: (v6 ?? quoted ?? plain ?? '').replace(/^::ffff:(?=\d+\.)/i, ''),
		port: Number(port),
	}));
}

/**
 * Whether both hosts can be bound to the same port: the hosts differ and neither is a wildcard. An empty host is a
 * wildcard.
 */
function canBindBoth(named: string, own: string): boolean {
	const isAny = (host: string) => ['', '*', ':', '::', '0.0.0.0', '[::]'].includes(host);
	return !isAny(named) && !isAny(own) && named !== own.replace(/[[\]]/g, '');
}
