import { describe, expect, it } from 'vitest';
import type { GivenListener } from '../../src/child/givenListeners.ts';
import { listenerFor, readListenCall } from '../../src/child/listenArguments.ts';

const tcp = (fd: number, port: number, host: string | null = null, family?: 'AF_INET'): GivenListener => {
	const own = family ?? (host?.includes('.') ? 'AF_INET' : 'AF_INET6');
	return { fd, family: own, port, host, path: null };
};
const unix = (fd: number, path: string): GivenListener => ({ fd, family: 'AF_UNIX', port: null, host: null, path });

describe('a call of listen', () => {
	const done = () => {};
	it.each<[string, unknown[], object | null]>([
		['a port', [3000], { port: 3000 }],
		['a port as text', ['3000', done], { port: 3000 }],
		['a port and a host', [3000, '127.0.0.1', done], { port: 3000, host: '127.0.0.1' }],
		['a port and a backlog', [3000, 511], { port: 3000, backlog: 511 }],
		['a port, a host and a backlog', [3000, '::1', 511, done], { port: 3000, host: '::1', backlog: 511 }],
		['a path', ['/run/app.sock', done], { path: '/run/app.sock' }],
		[
			'options',
			[{ port: 3000, host: 'localhost', signal: undefined }],
			{ port: 3000, host: 'localhost', signal: undefined },
		],
		['an fd', [{ fd: 3 }], null],
		['a handle', [{ _handle: {} }, done], null],
		['nothing', [], null],
		['a callback alone', [done], null],
	])('with %s', (_, given, options) => {
		expect(readListenCall(given)?.options ?? null).toEqual(options);
		if (options) expect(readListenCall(given)?.callback).toBe(given.includes(done) ? done : null);
	});
});

describe('the listener for an address', () => {
	const every = tcp(3, 3000);
	const local = tcp(4, 3000, '127.0.0.1');
	const six = tcp(5, 3000, '::1');
	const other = tcp(6, 4000, '10.0.0.1');
	it.each<[string, GivenListener[], Parameters<typeof listenerFor>[1], number | null]>([
		['is that of its port', [every], { port: 3000 }, 3],
		['is that of its port, for one host of all', [every], { port: 3000, host: '127.0.0.1' }, 3],
		['is that of its port, for all hosts of one', [local], { port: 3000 }, 4],
		['is that of its port, for all IPv4 hosts', [local], { port: 3000, host: '0.0.0.0' }, 4],
		['is the one with its host first', [six, local], { port: 3000, host: '127.0.0.1' }, 4],
		['is the one of the loopback, for localhost', [local], { port: 3000, host: 'localhost' }, 4],
		['is that of its family', [tcp(7, 3000, null, 'AF_INET'), every], { port: 3000, host: '::' }, 3],
		['is none on another port', [every], { port: 3001 }, null],
		['is none on another host', [other], { port: 4000, host: '127.0.0.1' }, null],
		['is none for a port that the kernel chooses', [tcp(3, 0)], { port: 0 }, null],
		['is that of its path', [every, unix(7, '/run/app.sock')], { path: '/run/app.sock' }, 7],
		['is none for another path', [unix(7, '/run/app.sock')], { path: '/run/other.sock' }, null],
		['is none for no port', [every], {}, null],
	])('%s', (_, listeners, options, fd) => {
		expect(listenerFor(listeners, options)?.fd ?? null).toBe(fd);
	});
});
