/** The watchdogs of children, on a clock of the test. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Watchdogs } from '../../../src/effects/children/watchdogs.ts';
import { bootClock } from '../../../src/effects/os/clock.ts';
import type { ExternalEvent, Fact } from '../../../src/machines/facts/facts.ts';
import type { ChildState } from '../../../src/machines/state/supervisorState.ts';
import { childState, stateWith } from '../../support/simulation.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function watchdogs(changes: Partial<ChildState> = {}) {
	const events: ExternalEvent[] = [];
	const lines: string[] = [];
	const child = childState(changes);
	const own = new Watchdogs({
		admit: (event) => events.push(event),
		log: { say: (_, text) => lines.push(text) },
		intervalMs: 1000,
		known: (number) => (number === 1 ? child : null),
		receiveNow: () => {},
	});
	const recovered = () => {
		const state = stateWith({ children: [child] });
		own.note({ type: 'supervisor.recovered', seq: 1, at: 0, pid: 1, by: 'start', state } satisfies Fact);
	};
	const hung = () => events.filter(({ type }) => type === 'child.hung');
	return { own, events, lines, hung, recovered };
}

describe('a child', () => {
	it('is watched from its first WATCHDOG=1 on, and hung when its interval is over', () => {
		const { own, events, hung } = watchdogs();
		vi.advanceTimersByTime(5000);
		expect(events).toEqual([]);
		own.take(1, ['WATCHDOG=1']);
		expect(events).toEqual([{ type: 'child.watched', child: 1, millis: 1000 }]);
		vi.advanceTimersByTime(900);
		own.take(1, ['WATCHDOG=1']);
		vi.advanceTimersByTime(900);
		expect(hung()).toEqual([]);
		vi.advanceTimersByTime(200);
		expect(hung()).toMatchObject([{ child: 1, millis: 1000, isTriggered: false, attempt: 1 }]);
	});

	it('that was aborted is killed 10 s later, whatever it sends', () => {
		const { own, hung } = watchdogs();
		own.take(1, ['WATCHDOG=1']);
		vi.advanceTimersByTime(1000);
		own.take(1, ['WATCHDOG=1', 'WATCHDOG_USEC=60000000']);
		vi.advanceTimersByTime(10_000);
		expect(hung()).toMatchObject([{ attempt: 1 }, { attempt: 2 }]);
		vi.advanceTimersByTime(60_000);
		expect(hung()).toHaveLength(2);
	});

	it('that was aborted before a recovery is killed in time', () => {
		const { hung, recovered } = watchdogs({ watchdog: null, hungClock: bootClock() - 4000 });
		recovered();
		vi.advanceTimersByTime(5000);
		expect(hung()).toEqual([]);
		vi.advanceTimersByTime(1100);
		expect(hung()).toMatchObject([{ attempt: 2 }]);
	});

	it('is watched on after a recovery, from then on', () => {
		const { hung, recovered } = watchdogs({ watchdog: 3000 });
		recovered();
		vi.advanceTimersByTime(2900);
		expect(hung()).toEqual([]);
		vi.advanceTimersByTime(200);
		expect(hung()).toMatchObject([{ attempt: 1, millis: 3000 }]);
	});

	it('that boots is not hung, and one that drains is not watched', () => {
		for (const phase of ['booting', 'draining'] as const) {
			const { own, hung } = watchdogs({ phase });
			own.take(1, ['WATCHDOG=1']);
			vi.advanceTimersByTime(60_000);
			expect(hung()).toEqual([]);
		}
	});

	it.each([
		['WATCHDOG_USEC=50000', 100],
		['WATCHDOG_USEC=2500000', 2500],
		['WATCHDOG_USEC=0', 1000],
		['WATCHDOG_USEC=-1', 1000],
		['WATCHDOG_USEC=soon', 1000],
	])('with %s has %d ms', (line, millis) => {
		const { own, events } = watchdogs();
		own.take(1, ['WATCHDOG=1', line]);
		expect(events).toEqual([{ type: 'child.watched', child: 1, millis }]);
	});

	it('that sends none is named once', () => {
		const { own, lines } = watchdogs();
		own.note({ type: 'child.ready', seq: 1, at: 0, child: 1 });
		vi.advanceTimersByTime(10_000);
		expect(lines).toEqual(['101 has sent no WATCHDOG=1 within 1.0 s (-watchdog): it is not watched until it does']);
	});
});
