import { describe, expect, it } from 'vitest';
import { readJournal } from '../../../src/effects/journal/lines.ts';
import { noProjections } from '../../../src/machines/state/projections.ts';
import { journalText } from '../../support/journal.ts';
import { rotating } from '../../support/simulation.ts';

const read = (lines: object[]) => readJournal(Buffer.from(journalText(lines)));

describe('a journal is read up to', () => {
	const simulation = rotating();
	const { history } = simulation;
	const state = simulation.supervisorState();
	const { rotations, counters } = noProjections;
	const last = history.at(-1);

	it.each([
		['a fact that comes twice', [...history, last], 'is out of its order'],
		['one that goes back', [...history, { seq: 2, at: 1, type: 'signal.HUP' }], 'is out of its order'],
		['a type that is no word', [...history, { seq: 99, at: 1, type: { toString: false } }], 'is no fact'],
		[
			'a time that no calendar has',
			[...history, { seq: 99, at: 1e20, type: 'signal.HUP' }],
			'is no fact of a known shape',
		],
		['a number that is none', [...history, { seq: 9.5, at: 1, type: 'signal.HUP' }], 'is no fact of a known shape'],
		[
			'a state that names a child twice',
			[
				...history,
				{
					checkpoint: { ...state, children: [...(state?.children ?? []), ...(state?.children ?? [])] },
					rotations,
					counters,
					seq: 99,
					at: 1,
				},
			],
			'is no fact of a known shape',
		],
	])('%s', (_, lines, words) => {
		const { lines: sound, problems } = read(lines as object[]);
		expect(sound).toHaveLength(history.length);
		expect(problems).toEqual([`line ${history.length + 2} ${words}; it was read up to there`]);
	});

	it('its end, where a checkpoint stands for no more than what is there', () => {
		const { problems } = read([
			...history,
			{ checkpoint: state, rotations, counters, seq: last?.seq, at: 1, gap: true },
		]);
		expect(problems).toEqual([]);
	});
});
