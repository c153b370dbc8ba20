/** A child that tried to listen on an address that is in use is told how to take the supervisor's, where it is that. */
import { describe, expect, it } from 'vitest';
import { addressInUseHint } from '../../../src/effects/children/addressInUse.ts';
import type { BoundAddress } from '../../../src/effects/sockets/address.ts';
import type { Listener } from '../../../src/effects/sockets/listener.ts';

function listener(uri: string, address: string): Listener {
	const [, host = '', port] = /^(.*):(\d+)$/.exec(address) ?? [];
	const bound: BoundAddress =
		port === undefined
			? { family: 'AF_UNIX', path: address }
			: { family: host.startsWith('[') ? 'AF_INET6' : 'AF_INET', host, port: Number(port) };
	return { uri, bound, address, fd: 64, inode: 1, file: null };
}
const listeners = [listener('tcp://:8080', '[::]:8080'), listener('unix:///run/app.sock', '/run/app.sock')];

const node = (port: number) => [
	`Error: listen EADDRINUSE: address already in use :::${port}`,
	'    at Server.setupListenHandle [as _listen2] (node:net:1908:16)',
	'    at listenInCluster (node:net:1965:12) {',
	"  code: 'EADDRINUSE',",
	"  address: '::',",
	`  port: ${port}`,
	'}',
];

describe('the hint', () => {
	it.each([
		['Node', node(8080)],
		['Go', ['panic: listen tcp :8080: bind: address already in use']],
		['nginx', ['nginx: [emerg] bind() to 0.0.0.0:8080 failed (98: Address already in use)']],
		['gunicorn', ["[ERROR] Connection in use: ('0.0.0.0', 8080)"]],
	])('says of the words of %s that the address is the supervisor’s', (_, lines) => {
		expect(addressInUseHint(lines, listeners)).toBe(
			"the address is the supervisor's: accept on tcp://:8080 (its fd 3) instead, see docs/servers.md",
		);
	});

	it('names the listener that it is', () => {
		expect(addressInUseHint(['bind: address already in use: /run/app.sock'], listeners)).toContain(
			'accept on unix:///run/app.sock (its fd 4) instead',
		);
	});

	it.each([
		['Node', node(3926)],
		['Go', ['panic: listen tcp 127.0.0.1:9090: bind: address already in use']],
		[
			'a frame of a stack trace with the number',
			['Error: listen EADDRINUSE: address already in use :::9464', '    at /srv/server.js:8080:9', '  port: 9464'],
		],
		['a line before it', ['listening on :8080', 'Error: bind: address already in use :9464']],
		['a longer port', ['listen tcp :18080: bind: address already in use']],
	])(
		'is not given where another address is named, as a port for metrics that the old generation holds: %s',
		(_, lines) => {
			expect(addressInUseHint(lines, listeners)).toBeNull();
		},
	);

	it.each([
		['127.0.0.1:8080', 'nginx: [emerg] bind() to [::1]:8080 failed (98: Address already in use)', false],
		['127.0.0.1:8080', 'listen tcp 127.0.0.2:8080: bind: address already in use', false],
		['127.0.0.1:8080', "[ERROR] Connection in use: ('127.0.0.2', 8080)", false],
		['127.0.0.1:8080', 'bind() to 127.0.0.1:8080 failed (98: Address already in use)', true],
		['127.0.0.1:8080', 'Error: listen EADDRINUSE: address already in use :::8080', true],
		['127.0.0.1:8080', "[ERROR] Connection in use: ('127.0.0.1', 8080)", true],
		[
			'127.0.0.1:8080',
			`/usr/lib/ruby/puma/binder.rb:341:in 'initialize': Address already in use - bind(2) for "127.0.0.1" port 8080`,
			true,
		],
		['127.0.0.1:8080', 'Error: listen EADDRINUSE: address already in use ::1:8080', false],
		['127.0.0.1:8080', 'Error: listen EADDRINUSE: address already in use fe80::1:8080', false],
		['127.0.0.1:8080', 'bind: address already in use [::ffff:127.0.0.1]:8080', true],
		['127.0.0.1:8080', 'after 8080 requests; address already in use 0.0.0.0:9000', false],
		['127.0.0.1:8080', 'Error: listen EADDRINUSE: address already in use 127.0.0.1:8080', true],
		['/run/app.sock', 'bind: address already in use: /run/app.sock2', false],
		['/run/app.sock', 'bind() to unix:/run/app.sock failed (98: Address already in use)', true],
		['[::1]:8080', 'bind() to [::1]:8080 failed (98: Address already in use)', true],
		['[::]:8080', 'bind() to 127.0.0.1:8080 failed (98: Address already in use)', true],
	])('of a server on %s where it says "%s" is given only where both can’t be bound: %s', (address, line, isGiven) => {
		const hint = addressInUseHint([line], [listener('tcp://x', address)]);
		expect(hint !== null).toBe(isGiven);
	});

	it('is not given for a port that is none of ours, in gunicorn’s words', () => {
		expect(addressInUseHint(["[ERROR] Connection in use: ('127.0.0.1', 8000)"], listeners)).toBeNull();
	});

	it('is a guess where no address is named', () => {
		expect(addressInUseHint(['OSError: [Errno 98] Address already in use'], listeners)).toMatch(
			/^if this is the address of tcp:\/\/:8080 \(its fd 3\), /,
		);
	});

	it('is not given for other ends', () => {
		expect(addressInUseHint(['no such table: users'], listeners)).toBeNull();
	});
});
