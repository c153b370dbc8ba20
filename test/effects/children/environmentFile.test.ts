import fc from 'fast-check';
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
		['A="" ', { A: '' }],
		['A="never closed\nB=1', { A: 'never closed\nB=1' }],
		['A=$HOME # no comment', { A: '$HOME # no comment' }],
		['export A=1', {}],
		['1A=1\nB-C=2\n_=3', { _: '3' }],
		['A=1\r\nB=2\r\n', { A: '1', B: '2' }],
		['A=\\', { A: '' }],
	])('that says %j means %j', (text, variables) => {
		expect(parseEnvironmentFile(text).variables).toEqual(variables);
	});

	it.each([
		['A=1\nB', ['line 2 is no assignment']],
		['export A=1\n\n1A=2 \n# B\nB-C=3\n=4', [1, 3, 5, 6].map((line) => `line ${line} is no assignment`)],
		['A="one\ntwo"\nB', ['line 3 is no assignment']],
		['A=1\nB="never\nC=2', ['the " in line 2 is never closed']],
		["A='never", ["the ' in line 1 is never closed"]],
		['A=it\'s fine\nB={"a":1}', []],
	])('that says %j is remarked upon: %j', (text, remarks) => {
		expect(parseEnvironmentFile(text).remarks).toEqual(remarks);
	});

	it('with a NUL in a value is refused', () => {
		expect(() => parseEnvironmentFile('A=x\0y')).toThrow('there is a NUL in A');
	});

	it('keeps bytes that are no UTF-8', () => {
		expect(parseEnvironmentFile('A=\xff\x80').variables).toEqual({ A: Buffer.from([0xff, 0x80]) });
	});

	it('of any bytes is variables and remarks, or refused for a NUL', () => {
		fc.assert(
			fc.property(
				fc.string({ unit: fc.constantFrom('A', '=', '"', "'", '\\', '\n', ' ', '#', '\0', '\xff'), maxLength: 40 }),
				(text) => {
					try {
						const { variables, remarks } = parseEnvironmentFile(text);
						for (const name of Object.keys(variables)) expect(name).toMatch(/^[A-Za-z_][A-Za-z0-9_]*$/);
						for (const remark of remarks)
							expect(remark).toMatch(/^line \d+ is no assignment$|^the ["'] in line \d+ is never closed$/);
					} catch (error) {
						expect((error as Error).message).toMatch(/^there is a NUL in \w+ \(line \d+\)$/);
					}
				},
			),
			{ numRuns: 2000 },
		);
	});
});
