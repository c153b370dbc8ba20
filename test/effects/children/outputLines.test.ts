import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newLines, unfinishedCharacter } from '../../../src/effects/children/outputLines.ts';

const longestLine = 64 * 1024;

function open(begun = '') {
	const logged: string[] = [];
	const lines = newLines((whole) => void logged.push(whole), begun);
	const add = (text: string) => {
		const bytes = Buffer.from(text);
		lines.add(bytes, bytes.length);
	};
	return { lines, logged, add };
}

describe('the lines of a chunk', () => {
	it('are logged in one call', () => {
		const { logged, add } = open();
		add('one\ntwo\nthree');
		expect(logged).toEqual(['one\ntwo']);
	});

	it('begin with what was unfinished', () => {
		const { lines, logged, add } = open('be');
		add('gun\nsec');
		expect(logged).toEqual(['begun']);
		expect(lines.unfinished()).toBe('sec');
	});

	it('that are empty stay empty lines', () => {
		const { logged, add } = open();
		add('\n');
		add('\n\n');
		expect(logged).toEqual(['', '\n']);
	});

	it('end with the length of the chunk, whatever the buffer contains behind it', () => {
		const { lines, logged } = open();
		lines.add(Buffer.from('one\ntwo\n'), 5);
		expect(logged).toEqual(['one']);
		expect(lines.unfinished()).toBe('t');
	});
});

describe('the last line', () => {
	it('is logged when the output ends, once', () => {
		const { lines, logged, add } = open();
		add('one\ntwo');
		lines.end();
		lines.end();
		expect(logged).toEqual(['one', 'two']);
	});

	it('that is empty is not logged when the output ends', () => {
		const { lines, logged, add } = open();
		add('one\n');
		lines.end();
		expect(logged).toEqual(['one']);
	});
});

describe('a long line', () => {
	it('is logged in pieces, and its newline alone is not an empty line', () => {
		const { logged, add } = open();
		add('x'.repeat(longestLine - 1));
		expect(logged).toEqual([]);
		add('x');
		add('\n');
		add('next\n');
		expect(logged).toEqual(['x'.repeat(longestLine), 'next']);
	});

	it('is logged to its end when the newline follows the rest', () => {
		const { logged, add } = open();
		add('x'.repeat(longestLine));
		add('rest\nnext\n');
		expect(logged).toEqual(['x'.repeat(longestLine), 'rest\nnext']);
	});

	it('is followed by the lines of the chunk that begins with its newline', () => {
		const { logged, add } = open();
		add('x'.repeat(longestLine));
		add('\nnext\n');
		expect(logged).toEqual(['x'.repeat(longestLine), 'next']);
	});

	it('is not cut inside a character', () => {
		const { lines, logged } = open();
		const bytes = Buffer.from(`${'x'.repeat(longestLine - 1)}€`);
		lines.add(bytes, longestLine);
		expect(logged).toEqual(['x'.repeat(longestLine - 1)]);
		expect(lines.unfinished()).toBe('\xe2');
	});
});

it('chunks of any length make the same lines as one chunk', () => {
	fc.assert(
		fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', '\n', 'é') })), (chunks) => {
			const { lines, logged, add } = open();
			for (const chunk of chunks) add(chunk);
			lines.end();
			const text = Buffer.from(chunks.join('')).toString('latin1');
			const whole = text.endsWith('\n') ? text.slice(0, -1) : text;
			expect(logged.join('\n')).toBe(whole);
		}),
	);
});

describe('a character is unfinished', () => {
	it.each(['a', 'é', '€', '😀'])('until its last byte: %s', (character) => {
		const bytes = Buffer.from(character).toString('latin1');
		for (let length = 0; length < bytes.length; length += 1) {
			expect(unfinishedCharacter(`x${bytes.slice(0, length)}`)).toBe(length);
		}
		expect(unfinishedCharacter(`x${bytes}`)).toBe(0);
	});

	it('only if the bytes can begin a character', () => {
		expect(unfinishedCharacter('\x80\x80\x80\x80')).toBe(0);
		expect(unfinishedCharacter('')).toBe(0);
	});
});
