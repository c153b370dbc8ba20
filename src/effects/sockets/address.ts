/** Addresses of -listen URIs and of bound sockets, as bytes and as text. */
import { bytesAt, call, constants, libc } from '../os/libc.ts';

/** Splits a URI into its parts. @throws {Error} with a message for the operator */
export function splitUri(uri: string) {
	const [, scheme, rest] = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/s.exec(uri) ?? [];
	if (scheme === undefined || rest === undefined || /^[0-9]+$/.test(rest)) {
		throw new Error(`${uri || '""'}: no scheme; say tcp://HOST:PORT, unix:///PATH or fd://NUMBER`);
	}
	const [, target = '', query = ''] = /^([^?#]*)(?:\?([^#]*))?/s.exec(rest) ?? [];
	if (!target.startsWith('//')) return { scheme: scheme.toLowerCase(), host: '', path: target, query };
	const [, host = '', path = ''] = /^\/\/([^/]*)(.*)$/s.exec(target) ?? [];
	return { scheme: scheme.toLowerCase(), host: decode(host), path: decode(path), query };
}

function decode(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

/** @throws {Error} with a message for the operator */
export function splitHostPort(authority: string): { host: string; port: string } {
	const [, v6, v6port] = /^\[([^\]]*)\](?::(.*))?$/.exec(authority) ?? [];
	if (v6 !== undefined) {
		if (v6port === undefined) throw new Error(`address ${authority}: missing port in address`);
		return { host: v6, port: v6port };
	}
	const colon = authority.lastIndexOf(':');
	if (colon < 0) throw new Error(`address ${authority}: missing port in address`);
	const host = authority.slice(0, colon);
	if (host.includes(':')) throw new Error(`address ${authority}: too many colons in address`);
	return { host, port: authority.slice(colon + 1) };
}

export interface SocketAddress {
	family: number;
	bytes: Buffer;
}

/**
 * All addresses of a host; the first is the address to listen on. As in Go, IPv4 precedes IPv6 for a host name. For an
 * empty host, IPv6 precedes IPv4.
 * @throws {Error} with a message for the operator
 */
export function resolve(host: string, port: string, scheme: 'tcp' | 'tcp4' | 'tcp6'): SocketAddress[] {
	const isNumber = /^[+-]?[0-9]+$/.test(port);
	if (isNumber && (Number(port) < 0 || Number(port) > 65535)) throw new Error(`address ${port}: invalid port`);
	const family = { tcp: 0, tcp4: constants.AF_INET, tcp6: constants.AF_INET6 }[scheme];
	const found = getAddresses(host, isNumber ? String(Number(port)) : port || '0', 0);
	if (found === 'unknown host') throw new Error(`lookup ${host}: no such host`);
	if (found === 'unknown service') throw new Error(`lookup tcp/${port}: unknown port`);
	const first = host === '' ? constants.AF_INET6 : constants.AF_INET;
	const rank = (address: SocketAddress) => (address.family === first ? 0 : 1);
	return found.filter((each) => family === 0 || each.family === family).sort((a, b) => rank(a) - rank(b));
}

/** getaddrinfo(3) with AI_PASSIVE. The offsets are those of struct addrinfo on 64-bit systems. */
function getAddresses(host: string, service: string, family: number) {
	const hints = Buffer.alloc(48);
	hints.writeInt32LE(constants.AI_PASSIVE, 0);
	hints.writeInt32LE(family, 4);
	hints.writeInt32LE(constants.SOCK_STREAM, 8);
	const result = Buffer.alloc(8);
	const code: number = libc('getaddrinfo')(host || null, service, hints, result);
	const [EAI_SERVICE, EAI_BADFLAGS] = [-8, -1];
	if (code === EAI_SERVICE || code === EAI_BADFLAGS) return 'unknown service';
	if (code !== 0) return 'unknown host';
	const head = result.readBigUInt64LE();
	const addresses: SocketAddress[] = [];
	for (let next = head; next !== 0n; ) {
		const info = Buffer.from(bytesAt(next, 48));
		const bytes = Buffer.from(bytesAt(info.readBigUInt64LE(24), info.readUInt32LE(16)));
		addresses.push({ family: info.readInt32LE(4), bytes });
		next = info.readBigUInt64LE(40);
	}
	libc('freeaddrinfo')(head);
	return addresses.filter((each) => each.family === constants.AF_INET || each.family === constants.AF_INET6);
}

/** In bytes: sun_path holds 108, and a NUL ends the path (unix(7)). */
export const longestUnixPath = 107;

/** Builds a struct sockaddr_un. @throws {Error} if the path is empty, contains a NUL or is too long */
export function unixAddress(path: string): Buffer {
	const bytes = Buffer.from(path);
	if (bytes.length === 0) throw new Error('listen unix: the path is empty');
	if (bytes.includes(0)) throw new Error(`listen unix ${path}: bind: invalid argument`);
	if (bytes.length > longestUnixPath)
		throw new Error(
			`listen unix ${path}: the path has ${bytes.length} bytes, and that of a socket has ${longestUnixPath} at the most`,
		);
	const address = Buffer.alloc(2 + bytes.length + 1);
	address.writeUInt16LE(constants.AF_UNIX);
	bytes.copy(address, 2);
	return address;
}

/** The address that a socket is bound to. */
export type BoundAddress =
	/** `host` is an IPv4 address such as `127.0.0.1`, or an IPv6 address in brackets such as `[::]`. */
	| { family: 'AF_INET' | 'AF_INET6'; host: string; port: number }
	/** `path` is empty for an unnamed socket (unix(7)). */
	| { family: 'AF_UNIX'; path: string };

/** `127.0.0.1:8080`, `[::]:8080` or a path. */
export function addressText(bound: BoundAddress): string {
	return bound.family === 'AF_UNIX' ? bound.path : `${bound.host}:${bound.port}`;
}

/** Reads the address of a socket with getsockname(2). @throws {SyscallError} */
export function boundAddress(fd: number): BoundAddress {
	const bytes = Buffer.alloc(128);
	const length = Buffer.alloc(4);
	length.writeUInt32LE(bytes.length);
	call('getsockname', fd, bytes, length);
	return boundIn(bytes.subarray(0, length.readUInt32LE()));
}

/**
 * Whether the list contains the address `text`.
 * @param isChosen whether an address in the list with port 0 (the kernel chooses the port) matches every port of its
 *   host
 */
export function isAmong(addresses: BoundAddress[], text: string, isChosen = false): boolean {
	return addresses.some((own) =>
		own.family !== 'AF_UNIX' && own.port === 0
			? isChosen && text.slice(0, text.lastIndexOf(':')) === own.host
			: addressText(own) === text,
	);
}

/**
 * The addresses that a listener of the URI can be bound to. `tcp://:80` is bound to `[::]:80`, or to `0.0.0.0:80` if
 * the kernel has no IPv6. Empty for `fd://` and for an invalid URI.
 */
export function addressesOf(uri: string): BoundAddress[] {
	try {
		const { scheme, host, path } = splitUri(uri);
		if (scheme === 'unix') return [{ family: 'AF_UNIX', path: host + path }];
		if (scheme !== 'tcp' && scheme !== 'tcp4' && scheme !== 'tcp6') return [];
		const { host: name, port } = splitHostPort(host);
		return resolve(name, port, scheme)
			.slice(0, name === '' ? 2 : 1)
			.map(({ bytes }) => boundIn(bytes));
	} catch {
		return [];
	}
}

/** Reads struct sockaddr_in, sockaddr_in6 or sockaddr_un. */
function boundIn(address: Buffer): BoundAddress {
	const family = address.readUInt16LE();
	if (family === constants.AF_INET)
		return { family: 'AF_INET', host: address.subarray(4, 8).join('.'), port: address.readUInt16BE(2) };
	if (family === constants.AF_INET6)
		return { family: 'AF_INET6', host: `[${v6Text(address.subarray(8, 24))}]`, port: address.readUInt16BE(2) };
	return { family: 'AF_UNIX', path: address.toString('utf8', 2).replace(/\0.*$/s, '') };
}

export function v6Text(bytes: Buffer): string {
	const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
	return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

/** The 4 or 16 bytes of a numeric address. A zone (`%eth0`) is ignored. */
export function addressBytes(host: string): Buffer {
	if (!host.includes(':')) return Buffer.from(host.split('.').map(Number));
	const text = new URL(`http://[${host.replace(/%.*$/, '')}]`).hostname.slice(1, -1);
	const [head = '', tail] = text.split('::');
	const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
	const [first, last] = [groups(head), groups(tail ?? '')];
	const zeros = tail === undefined ? 0 : 8 - first.length - last.length;
	const bytes = Buffer.alloc(16);
	for (const [index, group] of [...first, ...Array<number>(zeros).fill(0), ...last].entries())
		bytes.writeUInt16BE(group, index * 2);
	return bytes;
}
