import { describe, expect, it } from 'vitest';
import { howItEnded, isSameChild, markOf, resultIn } from '../../src/inspector/lifespanRules.ts';
import type { ChildLife } from '../../src/inspector/lifespans.ts';
import { endOf } from '../../src/machines/simulation/nextEvents.ts';
import { childState, stateWith } from '../support/simulation.ts';

const life = (child: number, pid: number | null): ChildLife => ({
	child,
	generation: 1,
	pid: pid === null ? null : { index: 0, at: 0, pid },
	segments: [],
	signals: [],
	end: null,
	slot: 0,
});

const numbered = { seq: 1, at: 0 };

describe('the mark of a fact', () => {
	it('of a signal or a request is its name', () => {
		expect(markOf({ ...numbered, type: 'signal.HUP' })).toBe('HUP');
		expect(markOf({ ...numbered, type: 'rotate.requested' })).toBe('rotate');
	});

	it('of a recorded state says why facts before it may be missing', () => {
		const state = stateWith();
		expect(markOf({ ...numbered, type: 'checkpoint', state, gap: true })).toBe('facts are missing');
		expect(markOf({ ...numbered, type: 'checkpoint', state, gap: false })).toBe('checkpoint');
		expect(markOf({ ...numbered, type: 'supervisor.recovered', pid: 1, by: 'upgrade', state })).toBe('upgraded');
		expect(markOf({ ...numbered, type: 'supervisor.recovered', pid: 1, by: 'start', state })).toBe('recovered');
	});

	it('is missing for all others', () => {
		expect(markOf({ ...numbered, type: 'child.abandoned', child: 1 })).toBeNull();
	});
});

describe('the end of a child', () => {
	it('is its signal if there was one, else its status, if that is known', () => {
		const own = { child: 1, pid: 101 };
		const how = (end: Parameters<typeof endOf>[1]) => howItEnded({ ...endOf(own, end), ...numbered });
		expect(how({ code: 3 })).toBe('exit 3');
		expect(how({ signal: 'Killed', number: 9 })).toBe('signal: Killed');
	});

	it('without an exit is what ended it', () => {
		expect(howItEnded({ ...numbered, type: 'child.abandoned', child: 1 })).toBe('left processes behind');
		expect(howItEnded({ ...numbered, type: 'group.gone', child: 1 })).toBe('with its group');
	});
});

describe('a child of a recorded state', () => {
	it('is another one if both pids are known and differ', () => {
		expect(isSameChild(life(1, 101), childState({ pid: 102 }))).toBe(false);
		expect(isSameChild(life(1, 101), childState({ pid: 101 }))).toBe(true);
		expect(isSameChild(life(1, null), childState({ pid: 102 }))).toBe(true);
		expect(isSameChild(life(1, 101), childState({ pid: null }))).toBe(true);
	});
});

describe('the result of a generation in a recorded state', () => {
	const own = { generation: 1, children: [life(1, 101)] };

	it('is promoted if it serves and is complete, and none if it is not complete', () => {
		expect(resultIn(stateWith(), own, 'unknown')).toBe('promoted');
		expect(resultIn(stateWith({ isComplete: false }), own, 'unknown')).toBeNull();
	});

	it('is none while it boots, and left if it neither boots nor serves', () => {
		expect(resultIn(stateWith({ serving: 0, candidate: 1 }), own, 'unknown')).toBeNull();
		expect(resultIn(stateWith({ serving: 2 }), own, 'unknown')).toBe('left');
	});

	it('is the one of generations that are gone if it has neither a child nor a respawn', () => {
		expect(resultIn(stateWith({ children: [] }), own, 'unknown')).toBe('unknown');
		const respawn = { generation: 1, index: 0, attempt: 1, wasUp: true, millis: 0, at: 0, clock: null, isDue: false };
		expect(resultIn(stateWith({ children: [], respawns: [respawn] }), own, 'unknown')).toBe('promoted');
	});
});
