import { expect, it } from 'vitest';
import { addressBytes, v6Text } from '../../../src/effects/sockets/address.ts';

it.each(['::', '::1', '1::', 'fe80::1', '2001:db8::8:800:200c:417a', '1:2:3:4:5:6:7:8', '::ffff:7f00:1'])(
	'the bytes of %s are read as the same address',
	(host) => {
		expect(v6Text(addressBytes(host))).toBe(host);
	},
);

it('an IPv4 address has four bytes, and a zone is ignored', () => {
	expect([...addressBytes('127.0.0.1')]).toEqual([127, 0, 0, 1]);
	expect(v6Text(addressBytes('fe80::1%eth0'))).toBe('fe80::1');
});
