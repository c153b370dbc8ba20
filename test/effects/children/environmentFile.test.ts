import { describe, expect, it } from 'vitest';
import { parseEnvironmentFile } from '../../../src/effects/children/environmentFile.ts';

describe('a file of variables', () => {
	it.each([
		['A=1', { A: '1' }],
		['A=1\nB=2\n', { A: '1', B: '2' }],
		['A=', { A: '' }],
		['  A = 1  ', { A: '1' }],
		['# A=1\n; B=2\n\nC', {}],
		['A=1\nA=2', { A: '2' }],
		['A=a b  c', { A: 'a b  c' }],
		['A="a  b" ', { A: 'a  b' }],
		["A='a \\n $b'", { A: 'a \\n $b' }],
		['A="say \\"hi\\" \\$x \\`y\\` \\\\ \\n"', { A: 'say "hi" $x `y` \\ \\n' }],
		['A=a\\ b\\"c', { A: 'a b"c' }],
		['A=one\\\n  two', { A: 'one  two' }],
		['A="one\\\ntwo"', { A: 'onetwo' }],
		['A="one\ntwo"\nB=3', { A: 'one\ntwo', B: '3' }],
		['A=x"y z"w', { A: 'xy zw' }],
		['A="" ', { A: '' }],
		['A="never closed\nB=1', { A: 'never closed\nB=1' }],
		['A=$HOME # no comment', { A: '$HOME # no comment' }],
		['export A=1', {}],
		['1A=1\nB-C=2\n_=3', { _: '3' }],
		['A=1\r\nB=2\r\n', { A: '1', B: '2' }],
		['A=\\', { A: '' }],
	])('that says %j means %j', (text, variables) => {
		expect(parseEnvironmentFile(text)).toEqual(variables);
	});

	it('with a NUL in a value is refused', () => {
		expect(() => parseEnvironmentFile('A=x\0y')).toThrow('there is a NUL in A');
	});

	it('keeps bytes that are no UTF-8', () => {
		expect(parseEnvironmentFile('A=\xff\x80')).toEqual({ A: Buffer.from([0xff, 0x80]) });
	});
});
