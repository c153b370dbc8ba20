import { describe, expect, it } from 'vitest';
import { type Dispatcher, newDispatcher } from '../../src/effects/dispatcher.ts';
import type { ExternalFact } from '../../src/machines/facts/facts.ts';
import { noProjections } from '../../src/machines/state/projections.ts';

describe('the door', () => {
	it('numbers, times and records each fact before anybody sees it', () => {
		const log: string[] = [];
		const dispatcher = newDispatcher({
			record: (fact) => log.push(`record ${fact.seq} at ${fact.at}`),
			now: () => 42,
		});
		dispatcher.connect(({ seq }) => log.push(`see ${seq}`));
		dispatcher.admit({ type: 'signal.HUP' });
		dispatcher.admit({ type: 'signal.TERM' });
		expect(log).toEqual(['record 1 at 42', 'see 1', 'record 2 at 42', 'see 2']);
	});

	it('records a decision and delivers it to nobody', () => {
		const log: string[] = [];
		const dispatcher = newDispatcher({
			record: ({ seq, type }) => log.push(`record ${seq} ${type}`),
			after: 7,
		});
		dispatcher.connect(({ seq }) => log.push(`see ${seq}`));
		dispatcher.decide({ type: 'service.lost' });
		expect(log).toEqual(['record 8 service.lost']);
		expect(dispatcher.last()).toBe(8);
	});

	it('lets what comes of a happening wait until the happening is done with', () => {
		const seen: number[] = [];
		const deliver = ({ seq }: ExternalFact) => {
			if (seq === 1) {
				dispatcher.admit({ type: 'signal.HUP' });
				dispatcher.admit({ type: 'signal.HUP' });
			}
			seen.push(seq);
		};
		const dispatcher: Dispatcher = newDispatcher({ record: () => {} });
		dispatcher.connect(deliver);
		dispatcher.admit({ type: 'signal.HUP' });
		expect(seen).toEqual([1, 2, 3]);
	});

	it('a decision carries the number of the happening that it was made upon, also when another one was recorded since', () => {
		const recorded: [string, number | undefined][] = [];
		const deliver = ({ seq }: ExternalFact) => {
			if (seq === 1) dispatcher.admit({ type: 'signal.TERM' });
			dispatcher.decide({ type: 'service.lost' });
		};
		const dispatcher: Dispatcher = newDispatcher({ record: ({ type, cause }) => recorded.push([type, cause]) });
		dispatcher.connect(deliver);
		dispatcher.admit({ type: 'signal.HUP' });
		expect(recorded).toEqual([
			['signal.HUP', undefined],
			['signal.TERM', undefined],
			['service.lost', 1],
			['service.lost', 2],
		]);
	});

	it('keeps what comes before the statecharts are connected, and delivers it then', () => {
		const seen: number[] = [];
		const dispatcher = newDispatcher({ record: () => {} });
		dispatcher.admit({ type: 'signal.HUP' });
		dispatcher.connect(({ seq }) => void seen.push(seq));
		dispatcher.admit({ type: 'signal.TERM' });
		expect(seen).toEqual([1, 2]);
	});

	it('tells those that follow of each fact after it was recorded, with what all before amount to', () => {
		const told: string[] = [];
		const past = { ...noProjections };
		const dispatcher = newDispatcher({ record: ({ seq }) => told.push(`record ${seq}`), past: () => past });
		dispatcher.follow(({ seq }, before) => told.push(`first ${seq} ${before === past}`));
		dispatcher.follow(({ seq }) => told.push(`second ${seq}`));
		dispatcher.decide({ type: 'service.lost' });
		expect(told).toEqual(['record 1', 'first 1 true', 'second 1']);
	});

	it('gives a clock to the facts that a wait is counted from, and to no other', () => {
		const clocks: unknown[] = [];
		const dispatcher = newDispatcher({ record: ({ clock }) => clocks.push(typeof clock) });
		dispatcher.admit({ type: 'child.spawned', child: 1, pid: 2, startTime: 3, pipe: 4 });
		dispatcher.decide({ type: 'child.signalled', child: 1, signal: 'HUP', reason: 'drain' });
		dispatcher.admit({ type: 'signal.HUP' });
		expect(clocks).toEqual(['number', 'number', 'undefined']);
	});
});
