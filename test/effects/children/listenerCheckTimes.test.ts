/** A listener check ends in time, pauses longer and longer, and leaves time for everything else. */
import { describe, expect, it } from 'vitest';
import { checkTimes, firstPauseMs, nextPauseMs, waitMs } from '../../../src/effects/children/listenerCheckTimes.ts';

const began = 100_000;

describe('the deadline', () => {
	it('is the time limit after the time from which it counts', () => {
		const since = began - 20_000;
		expect(checkTimes({ purpose: 'promotion', millis: 30_000, since }, false, began).deadline).toBe(began + 10_000);
	});

	it('counts from the begin of the check if no other time is given', () => {
		expect(checkTimes({ purpose: 'readiness', millis: 30_000, since: null }, false, began).deadline).toBe(
			began + 30_000,
		);
	});

	it('leaves a second to a child whose time is over', () => {
		const over = { millis: 30_000, since: began - 60_000 };
		expect(checkTimes({ purpose: 'promotion', ...over }, false, began).deadline).toBe(began + 1000);
		expect(checkTimes({ purpose: 'readiness', ...over }, false, began).deadline).toBe(began + 1000);
	});

	it('leaves a second before a promotion, and no more than the limit before readiness', () => {
		expect(checkTimes({ purpose: 'promotion', millis: 300, since: null }, false, began).deadline).toBe(began + 1000);
		expect(checkTimes({ purpose: 'readiness', millis: 300, since: null }, false, began).deadline).toBe(began + 300);
	});

	it('for a serving child is the time of the log line', () => {
		const { deadline, noticeAt } = checkTimes({ purpose: 'notice', millis: 30_000, since: null }, false, began);
		expect([deadline, noticeAt]).toEqual([began + 5000, began + 5000]);
	});

	it('leaves one pause to a listener that must be held', () => {
		expect(checkTimes({ purpose: 'promotion', millis: 30_000, since: null }, true, began).deadline).toBe(began + 200);
	});
});

describe('processes that have left the tree', () => {
	it('are searched for later, if there is time', () => {
		expect(checkTimes({ purpose: 'readiness', millis: 400, since: null }, false, began).searchAt).toBe(began + 200);
	});

	it('are searched for at once if the time is short, or the listeners must only be held', () => {
		expect(checkTimes({ purpose: 'readiness', millis: 399, since: null }, false, began).searchAt).toBe(0);
		expect(checkTimes({ purpose: 'promotion', millis: 30_000, since: null }, true, began).searchAt).toBe(0);
	});
});

describe('the pause', () => {
	it('doubles up to 50 ms, and up to 500 ms for a serving child', () => {
		const pauses = (purpose: 'readiness' | 'notice') => {
			const found = [firstPauseMs(false)];
			for (let left = 8; left > 0; left -= 1) found.push(nextPauseMs(found.at(-1) ?? 0, purpose));
			return found;
		};
		expect(pauses('readiness')).toEqual([5, 10, 20, 40, 50, 50, 50, 50, 50]);
		expect(pauses('notice')).toEqual([5, 10, 20, 40, 80, 160, 320, 500, 500]);
	});

	it('before a listener that is not held is looked for again is longer', () => {
		expect(firstPauseMs(true)).toBe(200);
	});
});

describe('the wait', () => {
	const times = { noticeAt: began + 5000, deadline: began + 30_000 };
	const after = { pauseMs: 50, costMs: 1, runningChecks: 1, isNoticed: false, now: began };

	it('is the pause if the inspections are cheap', () => {
		expect(waitMs(times, after)).toBe(50);
	});

	it('grows with the duration of an inspection and the number of children, up to 200 ms', () => {
		expect(waitMs(times, { ...after, costMs: 10, runningChecks: 4 })).toBe(80);
		expect(waitMs(times, { ...after, costMs: 100, runningChecks: 40 })).toBe(200);
	});

	it('is never shorter than the pause', () => {
		expect(waitMs(times, { ...after, pauseMs: 500, costMs: 100, runningChecks: 40 })).toBe(500);
	});

	it('ends at the time of the log line until it is written', () => {
		expect(waitMs(times, { ...after, now: began + 4990 })).toBe(10);
		expect(waitMs(times, { ...after, now: began + 4990, isNoticed: true })).toBe(50);
	});

	it('ends at the deadline', () => {
		expect(waitMs(times, { ...after, isNoticed: true, now: began + 29_990 })).toBe(10);
	});

	it('is the pause again after the deadline: an inspection that fails there is not repeated without a pause', () => {
		expect(waitMs(times, { ...after, isNoticed: true, now: began + 30_010 })).toBe(50);
		expect(waitMs(times, { ...after, isNoticed: true, now: began + 30_000 })).toBe(50);
	});
});
