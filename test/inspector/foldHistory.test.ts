import { describe, expect, it } from 'vitest';
import { FoldHistory } from '../../src/inspector/foldHistory.ts';

/** A history of lists, each of which is changed in place. */
function historyOf(count: number): FoldHistory<number, number[]> {
	const entries: number[] = [];
	const history = new FoldHistory<number, number[]>(entries, {
		initial: () => [],
		next: (before, entry) => {
			before.push(entry);
			return before;
		},
		copyOf: (value) => [...value],
	});
	for (let entry = 0; entry < count; entry += 1) {
		entries.push(entry);
		history.advance();
	}
	return history;
}

describe('the history of a fold', () => {
	it('has after each entry the value of all entries up to it', () => {
		const history = historyOf(700);
		for (let index = 0; index < 700; index += 1) {
			expect(history.at(index).every((entry, place) => entry === place)).toBe(true);
			expect(history.at(index)).toHaveLength(index + 1);
		}
	});

	it('has the initial value before the first entry, however many follow', () => {
		expect(historyOf(0).newest).toEqual([]);
		expect(historyOf(300).at(-1)).toEqual([]);
	});

	it('keeps its copies when a fold changes the value in place', () => {
		const history = historyOf(300);
		history.at(299);
		history.at(290);
		expect(history.at(256)).toHaveLength(257);
		expect(history.newest).toHaveLength(300);
	});
});
