/** A -listen URI becomes a listening file descriptor. */
import { closeSync, fstatSync, lstatSync, readFileSync, readlinkSync, unlinkSync } from 'node:fs';
import { bytesAt, c, call, errno, libc, SyscallError } from './libc.ts';

export interface Listener {
	/** The URI as it was given. */
	uri: string;
	/** The listening socket, close-on-exec, above the fds that children see. */
	fd: number;
	/** What it is bound to: `127.0.0.1:8080`, `[::]:8080` or a path. */
	address: string;
	/** The inode of the socket: the same for every process that holds it. */
	inode: number;
	/** The path that a UNIX listener made, as it was then. */
	file: { path: string; dev: number; ino: number } | null;
}

/** Children get their sockets from 3 on; what the supervisor holds lies above. */
const firstFree = 64;

/**
 * Opens what the URI names: `tcp://`, `tcp4://`, `tcp6://` with host and port, `unix://` with a path,
 * `fd://` with the number of an inherited listening socket.
 * @throws {Error} with the words for the operator
 */
export function openListener(uri: string): Listener {
	const { scheme, host, path } = splitUri(uri);
	switch (scheme) {
		case 'tcp':
		case 'tcp4':
		case 'tcp6':
			return openTcp(uri, scheme, host);
		case 'unix':
			return openUnix(uri, host + path);
		case 'fd':
			return openInherited(uri, host + path);
		default:
			throw new Error(`Unsupported scheme: ${scheme}`);
	}
}

/** Takes a listening socket that is open already; -1 or another kind of file is refused. @throws {Error} */
export function takeListener(uri: string, fd: number, file: Listener['file'] = null): Listener {
	return { uri, fd, address: boundAddress(fd), inode: fstatSync(fd).ino, file };
}

/** Closes the socket and removes the path of a UNIX listener if it is still the one that was made. */
export function closeListener({ fd, file }: Listener): void {
	closeSync(fd);
	if (!file) return;
	try {
		const { dev, ino } = lstatSync(file.path);
		if (dev === file.dev && ino === file.ino) unlinkSync(file.path);
	} catch {
		// Somebody else removed it: nothing of ours is left.
	}
}

/** The listening sockets this machine's kernel would accept for `listen(2)`: its own maximum. */
export function backlog(): number {
	try {
		return Number.parseInt(readFileSync('/proc/sys/net/core/somaxconn', 'ascii'), 10) || 128;
	} catch {
		return 128;
	}
}

function splitUri(uri: string) {
	const [, scheme, rest] = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/s.exec(uri) ?? [];
	if (scheme === undefined || rest === undefined || /^[0-9]+$/.test(rest)) {
		throw new Error(`${uri || '""'}: no scheme; say tcp://HOST:PORT, unix:///PATH or fd://NUMBER`);
	}
	const [target = ''] = rest.split(/[?#]/, 1);
	if (!target.startsWith('//')) return { scheme: scheme.toLowerCase(), host: '', path: target };
	const [, host = '', path = ''] = /^\/\/([^/]*)(.*)$/s.exec(target) ?? [];
	return { scheme: scheme.toLowerCase(), host: decode(host), path: decode(path) };
}

function decode(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

function openTcp(uri: string, scheme: 'tcp' | 'tcp4' | 'tcp6', authority: string): Listener {
	const { host, port } = splitHostPort(authority);
	const addresses = resolve(host, port, scheme);
	const [address] = addresses;
	if (!address) throw new Error(`address ${host}: no suitable address found`);
	try {
		return listenOn(uri, address, scheme === 'tcp' && host === '');
	} catch (error) {
		const v4 = addresses.find(({ family }) => family === c.AF_INET);
		const hasNoV6 = error instanceof SyscallError && error.errno === errno('EAFNOSUPPORT');
		try {
			if (hasNoV6 && host === '' && v4) return listenOn(uri, v4, false);
		} catch (second) {
			throw listenError(scheme, `${host}:${port}`, second);
		}
		throw listenError(scheme, host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, error);
	}
}

function listenError(network: string, address: string, error: unknown): Error {
	if (!(error instanceof SyscallError)) return error as Error;
	return new Error(`listen ${network} ${address}: ${error.syscall}: ${error.message}`, { cause: error });
}

function splitHostPort(authority: string): { host: string; port: string } {
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

interface SocketAddress {
	family: number;
	bytes: Buffer;
}

/** All addresses of a host, the one to listen on first: IPv4 before IPv6 for a name, as Go chooses. */
function resolve(host: string, port: string, scheme: 'tcp' | 'tcp4' | 'tcp6'): SocketAddress[] {
	const isNumber = /^[+-]?[0-9]+$/.test(port);
	if (isNumber && (Number(port) < 0 || Number(port) > 65535)) throw new Error(`address ${port}: invalid port`);
	const family = { tcp: 0, tcp4: c.AF_INET, tcp6: c.AF_INET6 }[scheme];
	const found = getAddresses(host, isNumber ? String(Number(port)) : port || '0', 0);
	if (found === 'unknown host') throw new Error(`lookup ${host}: no such host`);
	if (found === 'unknown service') throw new Error(`lookup tcp/${port}: unknown port`);
	const first = host === '' ? c.AF_INET6 : c.AF_INET;
	const rank = (address: SocketAddress) => (address.family === first ? 0 : 1);
	return found.filter((each) => family === 0 || each.family === family).sort((a, b) => rank(a) - rank(b));
}

/** getaddrinfo(3) for listening; struct addrinfo is read by its 64-bit layout. */
function getAddresses(host: string, service: string, family: number) {
	const hints = Buffer.alloc(48);
	hints.writeInt32LE(c.AI_PASSIVE, 0);
	hints.writeInt32LE(family, 4);
	hints.writeInt32LE(c.SOCK_STREAM, 8);
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
	return addresses.filter((each) => each.family === c.AF_INET || each.family === c.AF_INET6);
}

function listenOn(uri: string, address: SocketAddress, isDualStack: boolean): Listener {
	const fd = newSocket(address.family);
	try {
		setOption(fd, c.SOL_SOCKET, c.SO_REUSEADDR, 1);
		if (address.family === c.AF_INET6) setOption(fd, c.IPPROTO_IPV6, c.IPV6_V6ONLY, isDualStack ? 0 : 1);
		call('bind', fd, address.bytes, address.bytes.length);
		call('listen', fd, backlog());
		return takeListener(uri, fd);
	} catch (error) {
		closeSync(fd);
		throw error;
	}
}

function newSocket(family: number): number {
	const low = call('socket', family, c.SOCK_STREAM | c.SOCK_CLOEXEC, 0);
	try {
		return call('fcntl', low, c.F_DUPFD_CLOEXEC, firstFree);
	} finally {
		closeSync(low);
	}
}

function setOption(fd: number, level: number, name: number, value: number) {
	const bytes = Buffer.alloc(4);
	bytes.writeInt32LE(value);
	call('setsockopt', fd, level, name, bytes, 4);
}

function openUnix(uri: string, path: string): Listener {
	const bytes = unixAddress(path);
	const describe = (error: unknown) => listenError('unix', path, error);
	const fd = newSocket(c.AF_UNIX);
	try {
		try {
			call('bind', fd, bytes, bytes.length);
		} catch (error) {
			if (!(error instanceof SyscallError && error.errno === errno('EADDRINUSE') && isAbandoned(path))) throw error;
			unlinkSync(path);
			call('bind', fd, bytes, bytes.length);
		}
		call('listen', fd, backlog());
		const { dev, ino } = lstatSync(path);
		return takeListener(uri, fd, { path, dev, ino });
	} catch (error) {
		closeSync(fd);
		throw describe(error);
	}
}

/** struct sockaddr_un. @throws {Error} when the path is empty or does not fit. */
export function unixAddress(path: string): Buffer {
	const bytes = Buffer.from(path);
	if (bytes.length === 0) throw new Error('listen unix: the path is empty');
	if (bytes.length > 107 || bytes.includes(0)) throw new Error(`listen unix ${path}: bind: invalid argument`);
	const address = Buffer.alloc(2 + bytes.length + 1);
	address.writeUInt16LE(c.AF_UNIX);
	bytes.copy(address, 2);
	return address;
}

/** A socket file nobody listens on: its maker died without removing it. */
function isAbandoned(path: string): boolean {
	if (!lstatSync(path).isSocket()) return false;
	const probe = call('socket', c.AF_UNIX, c.SOCK_STREAM | c.SOCK_CLOEXEC | c.SOCK_NONBLOCK, 0);
	try {
		const address = unixAddress(path);
		call('connect', probe, address, address.length);
		return false;
	} catch (error) {
		return error instanceof SyscallError && error.errno === errno('ECONNREFUSED');
	} finally {
		closeSync(probe);
	}
}

function openInherited(uri: string, text: string): Listener {
	const number = /^[0-9]+$/.test(text) ? Number(text) : -1;
	const refuse = (why: string) => new Error(`fd ${text}: ${why}`);
	const given = describeFd(number);
	// A number that was free when this program started may since belong to Node: to its event loop's own files.
	if (given === null || given.startsWith('anon_inode:') || given.startsWith('pipe:'))
		throw refuse('bad file descriptor');
	if (!given.startsWith('socket:') || !isListening(number)) throw refuse('not a listening socket');
	const fd = call('fcntl', number, c.F_DUPFD_CLOEXEC, firstFree);
	if (number > 2) closeSync(number);
	return takeListener(uri, fd);
}

function describeFd(fd: number): string | null {
	try {
		return readlinkSync(`/proc/self/fd/${fd}`);
	} catch {
		return null;
	}
}

/** Whether listen(2) was called on the socket. */
export function isListening(fd: number): boolean {
	try {
		return getOption(fd, c.SO_ACCEPTCONN) === 1;
	} catch {
		return false;
	}
}

function getOption(fd: number, name: number): number {
	const value = Buffer.alloc(4);
	const length = Buffer.alloc(4);
	length.writeUInt32LE(4);
	call('getsockopt', fd, c.SOL_SOCKET, name, value, length);
	return value.readInt32LE();
}

function boundAddress(fd: number): string {
	const bytes = Buffer.alloc(128);
	const length = Buffer.alloc(4);
	length.writeUInt32LE(bytes.length);
	call('getsockname', fd, bytes, length);
	const family = bytes.readUInt16LE();
	if (family === c.AF_INET) return `${bytes.subarray(4, 8).join('.')}:${bytes.readUInt16BE(2)}`;
	if (family === c.AF_INET6) return `[${v6Text(bytes.subarray(8, 24))}]:${bytes.readUInt16BE(2)}`;
	return bytes.toString('utf8', 2, length.readUInt32LE()).replace(/\0.*$/s, '');
}

function v6Text(bytes: Buffer): string {
	const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
	return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
