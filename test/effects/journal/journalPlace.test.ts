/** Where the journal is found, and what the operator is told of it. */
import { describe, expect, it } from 'vitest';
import { changeOf, placeOf, placeText } from '../../../src/effects/journal/journalPlace.ts';

const opened = { dev: 1, ino: 2, size: 100 };

describe('a journal is', () => {
	it.each([
		['there if its path leads to it and its size is the written one', opened, 100, 'there'],
		['there whatever its size, where a write has failed', opened, null, 'there'],
		['changed if it is shorter than what was written', opened, 101, 'changed'],
		['changed if it is longer than what was written', opened, 99, 'changed'],
		['removed if nothing is at its path', undefined, 100, 'removed'],
		['removed also where a write has failed', undefined, null, 'removed'],
		['taken if another file of the device is at its path', { ...opened, ino: 3 }, 100, 'taken'],
		['taken if a file of another device has its number', { ...opened, dev: 3 }, 100, 'taken'],
		['taken rather than changed', { ...opened, ino: 3 }, 99, 'taken'],
	])('%s', (_, found, expectedSize, place) => {
		expect(placeOf(opened, found, expectedSize)).toBe(place);
	});
});

it('a change is named after what was done to the file', () => {
	expect(changeOf('removed', 100, 100)).toBe('removed');
	expect(changeOf('changed', 99, 100)).toBe('truncated');
	expect(changeOf('changed', 101, 100)).toBe('written to');
});

it('a journal that is not written anew is reported with its path and the reason', () => {
	expect(placeText('taken', '/j', '', '')).toBe(
		'Somebody has put another file at /j: a start after a crash goes by that one',
	);
	expect(placeText('hidden', '/j', '', 'EACCES')).toBe("The journal /j can't be looked at: EACCES");
	expect(placeText('changed', '/j', 'truncated', 'ENOSPC')).toBe(
		"Somebody has truncated the journal /j, and it can't be written anew: ENOSPC",
	);
});
