import { closeSync, existsSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { libc } from '../../../src/effects/os/libc.ts';
import { closeListener, type Listener, openListener } from '../../../src/effects/sockets/listener.ts';
import { backlog } from '../../../src/effects/sockets/socket.ts';
import { filesOf } from '../../support/proc.ts';
import { scratch } from '../../support/program.ts';

function open(uri: string): Listener {
	const listener = openListener(uri);
	onTestFinished(() => {
		try {
			closeSync(listener.fd);
		} catch {
			// The test closed it.
		}
	});
	return listener;
}

/** Connects, and resolves with whether somebody was there. */
function reaches(target: { port?: number; host?: string; path?: string }): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = connect(target as { path: string });
		socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
		socket.on('connect', () => socket.destroy());
	});
}

const portOf = ({ address }: Listener) => Number(address.split(':').at(-1));

describe('a tcp listener', () => {
	it('accepts connections where it says it is', async () => {
		const listener = open('tcp://127.0.0.1:0');
		expect(listener.address).toMatch(/^127\.0\.0\.1:\d+$/);
		expect(await reaches({ host: '127.0.0.1', port: portOf(listener) })).toBe(true);
	});

	it('with an empty host is reached over IPv4 and IPv6', async () => {
		const listener = open('tcp://:0');
		expect(listener.address).toMatch(/^\[::\]:\d+$/);
		expect(await reaches({ host: '127.0.0.1', port: portOf(listener) })).toBe(true);
		expect(await reaches({ host: '::1', port: portOf(listener) })).toBe(true);
	});

	it('is IPv4 alone as tcp4 and IPv6 alone as tcp6', async () => {
		const v4 = open('tcp4://:0');
		expect(v4.address).toMatch(/^0\.0\.0\.0:\d+$/);
		const v6 = open('tcp6://:0');
		expect(await reaches({ host: '::1', port: portOf(v6) })).toBe(true);
		expect(await reaches({ host: '127.0.0.1', port: portOf(v6) })).toBe(false);
	});

	it('knows ports by service name', () => {
		expect(() => open('tcp://192.0.2.1:http')).toThrow('listen tcp 192.0.2.1:http: bind: cannot assign');
	});

	it('lies above the fds that children get, blocking and close-on-exec, with the backlog of the kernel', () => {
		const { fd, address } = open('tcp://127.0.0.1:0');
		expect(fd).toBeGreaterThan(63);
		const flags = Number.parseInt(
			readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').match(/flags:\s+(\d+)/)?.[1] ?? '',
			8,
		);
		expect(flags & 0o4000).toBe(0);
		expect(flags & 0o2000000).toBe(0o2000000);
		const row = readFileSync('/proc/net/tcp', 'utf8').includes(
			Number(address.split(':')[1]).toString(16).toUpperCase(),
		);
		expect(row).toBe(true);
		expect(backlog()).toBe(Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8')));
	});

	it('can be opened again at once after it was closed with connections in it', async () => {
		const first = open('tcp://127.0.0.1:0');
		await reaches({ host: '127.0.0.1', port: portOf(first) });
		closeSync(first.fd);
		expect(open(`tcp://127.0.0.1:${portOf(first)}`).address).toBe(first.address);
	});

	it('leaves no fd behind when it cannot be opened', () => {
		const before = filesOf(process.pid);
		for (const uri of [
			'tcp://192.0.2.1:1',
			'unix:///nonexistent/x',
			'unix:///etc/passwd',
			'fd://9',
			'tcp://nohost.invalid:1',
		]) {
			for (let count = 0; count < 20; count += 1) expect(() => openListener(uri)).toThrow();
		}
		expect(filesOf(process.pid)).toEqual(before);
	});
});

describe('a unix listener', () => {
	it('is reached by its path and removes it at the end', async () => {
		const path = join(scratch(), 'a.sock');
		const listener = open(`unix://${path}`);
		expect(await reaches({ path })).toBe(true);
		closeListener(listener);
		expect(existsSync(path)).toBe(false);
	});

	it('takes unix:PATH for a path too', () => {
		const path = join(scratch(), 'a.sock');
		expect(open(`unix:${path}`).address).toBe(path);
	});

	it('replaces a path that a dead process left behind', async () => {
		const path = join(scratch(), 'a.sock');
		const dead = open(`unix://${path}`);
		closeSync(dead.fd);
		expect(existsSync(path)).toBe(true);
		open(`unix://${path}`);
		expect(await reaches({ path })).toBe(true);
	});

	it('refuses a path that another process serves', async () => {
		const path = join(scratch(), 'a.sock');
		const server: Server = createServer();
		await new Promise<void>((resolve) => server.listen(path, resolve));
		onTestFinished(() => void server.close());
		expect(() => open(`unix://${path}`)).toThrow(`listen unix ${path}: bind: address already in use`);
		expect(await reaches({ path })).toBe(true);
	});

	it('refuses a path that is a file or a folder and leaves it alone', () => {
		const folder = scratch();
		writeFileSync(join(folder, 'file'), 'precious');
		mkdirSync(join(folder, 'folder'));
		expect(() => open(`unix://${join(folder, 'file')}`)).toThrow('bind: address already in use');
		expect(() => open(`unix://${join(folder, 'folder')}`)).toThrow('bind: is a directory');
		expect(readFileSync(join(folder, 'file'), 'utf8')).toBe('precious');
	});

	it('does not remove a path that became somebody else’s', () => {
		const path = join(scratch(), 'a.sock');
		const listener = open(`unix://${path}`);
		unlinkSync(path);
		writeFileSync(path, 'not ours');
		closeListener(listener);
		expect(readFileSync(path, 'utf8')).toBe('not ours');
	});
});

describe('an inherited listener', () => {
	it('is taken over', async () => {
		const given = open('tcp://127.0.0.1:0');
		const taken = open(`fd://${given.fd}`);
		expect(taken).toMatchObject({ address: given.address, inode: given.inode });
		expect(taken.fd).not.toBe(given.fd);
		expect(await reaches({ host: '127.0.0.1', port: portOf(taken) })).toBe(true);
	});

	it('has to be listening', () => {
		const fd: number = libc('socket')(2, 1, 0);
		onTestFinished(() => closeSync(fd));
		expect(() => open(`fd://${fd}`)).toThrow(`fd ${fd}: not a listening socket`);
	});
});
