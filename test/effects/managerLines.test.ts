/** What follows from a fact for a service manager, whatever its socket takes. */
import { describe, expect, it } from 'vitest';
import { reportOf } from '../../src/effects/managerLines.ts';
import { bootClock } from '../../src/effects/os/clock.ts';
import type { Fact } from '../../src/machines/facts/facts.ts';
import { childState, plan, stateWith } from '../support/simulation.ts';

const fact = { seq: 1, at: 0 };
const started: Fact = { ...fact, type: 'generation.started', generation: 2, trigger: 'start', size: 1 };
const promoted: Fact = { ...fact, type: 'generation.promoted', generation: 2, replaced: [1] };
const degraded: Fact = { ...fact, type: 'generation.degraded', generation: 2, replaced: [1], reason: '' };
const spawned: Fact = { ...fact, type: 'child.spawned', child: 1, pid: 1, startTime: 1, pipe: 1, clock: 1 };
const moved: Fact = { ...fact, type: 'deadline.moved', child: 1, deadline: 1 };

const [starting, ready, reloading] = [
	{ isReady: false, isReloading: false },
	{ isReady: true, isReloading: false },
	{ isReady: true, isReloading: true },
];

it('a reload is reported once, and only for a service that is ready', () => {
	expect(reportOf(started, stateWith(), ready)).toEqual({
		lines: ['RELOADING=1', expect.stringMatching(/^MONOTONIC_USEC=\d+$/)],
		reported: reloading,
	});
	for (const reported of [starting, reloading])
		expect(reportOf(started, stateWith(), reported)).toEqual({ lines: [], reported });
});

describe('a service is ready', () => {
	it('with its first generation, and again with each that ends a reload', () => {
		for (const reported of [starting, reloading])
			expect(reportOf(promoted, stateWith(), reported)).toEqual({ lines: ['READY=1'], reported: ready });
		expect(reportOf(promoted, stateWith(), ready)).toEqual({ lines: [], reported: ready });
	});

	it('not with a generation that is complete while its successor boots', () => {
		expect(reportOf(promoted, stateWith({ candidate: 3 }), reloading)).toEqual({ lines: [], reported: reloading });
	});

	it('with a generation that ends a reload and is degraded', () => {
		expect(reportOf(degraded, stateWith(), reloading)).toEqual({ lines: ['READY=1'], reported: ready });
		expect(reportOf(degraded, stateWith(), starting)).toEqual({ lines: [], reported: starting });
	});
});

describe('a recovery', () => {
	const recovered = (by: 'start' | 'upgrade'): Fact => ({
		...fact,
		type: 'supervisor.recovered',
		pid: 1,
		by,
		state: stateWith(),
	});

	it('after a crash reports the state again', () => {
		expect(reportOf(recovered('start'), stateWith(), starting)).toEqual({ lines: ['READY=1'], reported: ready });
		expect(reportOf(recovered('start'), stateWith({ candidate: 2 }), starting)).toEqual({
			lines: ['READY=1', 'RELOADING=1', expect.any(String)],
			reported: reloading,
		});
		const stopped = stateWith({ candidate: 2, stopSignal: 'TERM' });
		expect(reportOf(recovered('start'), stopped, ready)).toEqual({ lines: [], reported: starting });
	});

	it('after an upgrade ends only a reload that was dropped', () => {
		expect(reportOf(recovered('upgrade'), stateWith(), reloading)).toEqual({ lines: ['READY=1'], reported: ready });
		const going = stateWith({ candidate: 2 });
		expect(reportOf(recovered('upgrade'), going, reloading)).toEqual({ lines: [], reported: reloading });
		expect(reportOf(recovered('upgrade'), stateWith(), ready)).toEqual({ lines: [], reported: ready });
	});
});

describe('the start timeout', () => {
	const micros = (lines: string[]) => Number(/^EXTEND_TIMEOUT_USEC=(\d+)$/.exec(lines[0] ?? '')?.[1]);

	it('is extended to 10 s after the latest deadline', () => {
		const children = [5_000, 60_000].map((ahead, child) =>
			childState({ child, phase: 'booting', clock: bootClock(), deadline: bootClock() + ahead }),
		);
		const { lines } = reportOf(moved, stateWith({ children }), starting);
		expect(micros(lines)).toBeGreaterThan(69_000_000);
		expect(micros(lines)).toBeLessThan(71_000_000);
	});

	it('is extended for a respawn by its wait and the time to start', () => {
		const respawns = [
			{ generation: 1, index: 0, at: 0, attempt: 1, wasUp: false, isDue: false, millis: 7000, clock: bootClock() },
		];
		const { lines } = reportOf(moved, stateWith({ respawns, children: [] }), starting);
		expect(micros(lines)).toBeGreaterThan((plan.start + 16_000) * 1000);
		expect(micros(lines)).toBeLessThan((plan.start + 18_000) * 1000);
	});

	it('is not extended where nothing starts, nor for a service that is ready', () => {
		expect(reportOf(spawned, stateWith(), starting).lines).toEqual([]);
		const children = [childState({ phase: 'booting', clock: bootClock(), deadline: bootClock() })];
		expect(reportOf(spawned, stateWith({ children }), ready).lines).toEqual([]);
	});
});
