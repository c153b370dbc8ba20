/** What one inspection can't prove, several in a row do. */
import { describe, expect, it } from 'vitest';
import { countPolledLooks, unclearSince } from '../../../src/effects/children/repeatedLooks.ts';

/** Passes the inspections on, one after another. @returns what counts as accepted after each */
function acceptedAfter(inspections: [inode: number, pid: number][][]): number[][] {
	let looks: ReadonlyMap<string, number> = new Map();
	return inspections.map((polledUnseen) => {
		const counted = countPolledLooks(looks, new Map(polledUnseen));
		looks = counted.looks;
		return counted.accepted;
	});
}

describe('a listener that a process polls, while its threads can’t be inspected', () => {
	it('counts as accepted from the fifth inspection in a row on', () => {
		expect(acceptedAfter(Array(6).fill([[7, 100]]))).toEqual([[], [], [], [], [7], [7]]);
	});

	it('is counted anew after an inspection in which it is not polled', () => {
		const polled: [number, number][] = [[7, 100]];
		const accepted = acceptedAfter([...Array(4).fill(polled), [], ...Array(4).fill(polled)]);
		expect(accepted.flat()).toEqual([]);
	});

	it('is counted anew if another process polls it', () => {
		expect(acceptedAfter([...Array(4).fill([[7, 100]]), [[7, 101]]]).flat()).toEqual([]);
	});

	it('is counted apart from other listeners', () => {
		const both: [number, number][] = [
			[7, 100],
			[8, 100],
		];
		expect(acceptedAfter([[[7, 100]], ...Array(4).fill(both)]).at(-1)).toEqual([7]);
	});
});

describe('a process that can’t be inspected completely', () => {
	const why = 'it uses io_uring';

	it('is unclear since the first inspection in a row that finds it so', () => {
		const first = unclearSince(null, { pid: 100, why }, 1000);
		expect(unclearSince(first, { pid: 100, why }, 3000)).toEqual({ pid: 100, since: 1000 });
	});

	it('is clear again after one inspection', () => {
		expect(unclearSince({ pid: 100, since: 1000 }, null, 3000)).toBeNull();
	});

	it('is not unclear for as long as another one was', () => {
		expect(unclearSince({ pid: 100, since: 1000 }, { pid: 101, why }, 3000)).toEqual({ pid: 101, since: 3000 });
	});
});
