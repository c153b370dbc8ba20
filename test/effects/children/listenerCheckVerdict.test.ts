/** One inspection of a child ends its check only if no later one can show more. */
import { describe, expect, it } from 'vitest';
import { type CheckMoment, emptyHistory, judgeInspection } from '../../../src/effects/children/listenerCheckVerdict.ts';
import type { Found } from '../../../src/effects/children/treeLook.ts';
import type { Listener } from '../../../src/effects/sockets/listener.ts';

const listener = { uri: 'tcp://:80', inode: 1, fd: 64 } as Listener;
const early: CheckMoment = { isHold: false, isLate: false, isNoticeDue: false, isNoticed: false };
const late: CheckMoment = { ...early, isLate: true };
const due: CheckMoment = { ...early, isNoticeDue: true };

function found(changes: Partial<Found> = {}): Found {
	return {
		notHeld: [],
		notAccepted: [],
		blocking: [],
		polled: [],
		hidden: null,
		unclear: null,
		isComplete: true,
		failed: null,
		isStopped: false,
		elsewhere: async () => [],
		...changes,
	};
}
const notAccepting = found({ notAccepted: [listener] });
const hidden = found({ notHeld: [listener], notAccepted: [listener], hidden: 'it is hidden' });
const failed = found({ notHeld: [listener], notAccepted: [listener], failed: 'no fd' });
const incomplete = found({ notAccepted: [listener], isComplete: false });
const unclear = found({ notAccepted: [listener], isComplete: false, unclear: 'it uses io_uring' });

const verdictOf = (inspection: Found | null, moment: CheckMoment, history = emptyHistory) =>
	judgeInspection(history, inspection, moment).verdict;

describe('a child', () => {
	it('that accepts on every listener is seen', () => {
		expect(verdictOf(found(), early)).toEqual({ kind: 'seen', found: expect.objectContaining({ notAccepted: [] }) });
	});

	it('that holds every listener is seen where that is enough', () => {
		expect(verdictOf(notAccepting, { ...early, isHold: true }).kind).toBe('seen');
		expect(verdictOf(found({ notHeld: [listener] }), { ...late, isHold: true })).toMatchObject({
			kind: 'missing',
			missing: [listener],
		});
	});

	it('that does not accept is inspected again before the deadline, and reported at it', () => {
		expect(verdictOf(notAccepting, early)).toEqual({ kind: 'unknown' });
		expect(verdictOf(notAccepting, late)).toEqual({ kind: 'missing', found: notAccepting, missing: [listener] });
	});

	it('that does not accept is reported once before the deadline, when the log line is due', () => {
		expect(verdictOf(notAccepting, due).kind).toBe('missing');
		expect(verdictOf(notAccepting, { ...due, isNoticed: true }).kind).toBe('unknown');
	});
});

describe('a hidden child', () => {
	it('is reported after five inspections in a row', () => {
		let history = emptyHistory;
		const kinds = Array.from({ length: 5 }, () => {
			const judged = judgeInspection(history, hidden, early);
			history = judged.history;
			return judged.verdict;
		});
		expect(kinds.slice(0, 4)).toEqual(Array(4).fill({ kind: 'unknown' }));
		expect(kinds[4]).toEqual({ kind: 'hidden', reason: 'it is hidden' });
	});

	it('is counted anew after an inspection that saw something', () => {
		const { history } = judgeInspection({ hiddenLooks: 4, lastClear: null }, notAccepting, early);
		expect(history.hiddenLooks).toBe(0);
		expect(verdictOf(hidden, early, history)).toEqual({ kind: 'unknown' });
	});

	it('is counted on if an inspection fails altogether', () => {
		const { history } = judgeInspection({ hiddenLooks: 4, lastClear: null }, null, early);
		expect(verdictOf(hidden, early, history).kind).toBe('hidden');
	});

	it('is reported at the deadline', () => {
		expect(verdictOf(hidden, late)).toEqual({ kind: 'hidden', reason: 'it is hidden' });
	});

	it('stays hidden at the deadline, whatever was seen before the five inspections', () => {
		expect(verdictOf(hidden, late, { hiddenLooks: 5, lastClear: notAccepting }).kind).toBe('hidden');
	});
});

describe('an inspection that fails', () => {
	it('is repeated before the deadline', () => {
		expect(verdictOf(failed, early)).toEqual({ kind: 'unknown' });
		expect(verdictOf(null, early)).toEqual({ kind: 'unknown' });
	});

	it('is reported at the deadline if no other one was complete', () => {
		expect(verdictOf(failed, late)).toEqual({ kind: 'hidden', reason: 'no fd' });
		expect(verdictOf(null, late)).toEqual({ kind: 'hidden', reason: 'the look at it failed' });
	});

	it.each([
		['fails', failed],
		['returns nothing', null],
		['sees nothing', hidden],
		['is incomplete', incomplete],
	])('counts less at the deadline than the last complete one, if it %s', (_, inspection) => {
		const { history } = judgeInspection(emptyHistory, notAccepting, early);
		expect(verdictOf(inspection, late, history)).toEqual({
			kind: 'missing',
			found: notAccepting,
			missing: [listener],
		});
	});

	it('altogether is no result where the listeners must only be held', () => {
		expect(verdictOf(null, { ...late, isHold: true })).toEqual({ kind: 'unknown' });
	});
});

describe('an unclear child', () => {
	it('is reported when the log line is due, and at the deadline', () => {
		expect(verdictOf(unclear, early)).toEqual({ kind: 'unknown' });
		expect(verdictOf(unclear, due)).toEqual({ kind: 'hidden', reason: 'it uses io_uring' });
		expect(verdictOf(unclear, late)).toEqual({ kind: 'hidden', reason: 'it uses io_uring' });
	});

	it('is reported as such, even if an earlier inspection was complete', () => {
		const { history } = judgeInspection(emptyHistory, notAccepting, early);
		expect(verdictOf(unclear, late, history).kind).toBe('hidden');
	});

	it('is reported for what it does not hold where the listeners must only be held', () => {
		const inspection = { ...unclear, notHeld: [listener] };
		expect(verdictOf(inspection, { ...late, isHold: true }).kind).toBe('missing');
	});
});
