import { describe, expect, it } from 'vitest';
import type { FactOf } from '../../src/machines/facts/facts.ts';
import {
	weakestSource,
	withLastOutput,
	withoutSurvivors,
	withSurvivors,
} from '../../src/machines/state/rotationChildren.ts';
import { newRotation, type Rotation, type Rotations } from '../../src/machines/state/rotations.ts';
import { childState, stateWith } from '../support/simulation.ts';

const rotationsOf = (...changes: Partial<Rotation>[]): Rotations => ({
	kept: changes.map((each, order) => ({ ...newRotation(order + 1, 'rotate', 0), ...each })),
	requestedAt: null,
});

const stopped = (lastOutput: string[]) =>
	({ type: 'child.stopped', child: 1, pid: 101, seq: 1, at: 0, lastOutput }) as const;

describe('the last output of a rotation', () => {
	it('has the last 20 lines of all its children', () => {
		const lines = Array.from({ length: 15 }, (_, line) => `${line}`);
		const once = withLastOutput(rotationsOf({}), stopped(lines), stateWith());
		const twice = withLastOutput(once, stopped(lines), stateWith());
		expect(twice.kept[0]?.lastOutput).toEqual([...lines.slice(-5), ...lines]);
	});

	it('is the last line alone if that line is longer than all lines may be', () => {
		const long = 'x'.repeat(9000);
		const { kept } = withLastOutput(rotationsOf({}), stopped(['short', long]), stateWith());
		expect(kept[0]?.lastOutput).toEqual([long]);
	});

	it('is not changed after the result', () => {
		const rotations = rotationsOf({ result: 'failed' });
		expect(withLastOutput(rotations, stopped(['late']), stateWith())).toBe(rotations);
	});
});

describe('the surviving processes of a rotation', () => {
	const holder = { pid: 900, fds: [3] };
	const exit: FactOf<'child.exited'> = {
		type: 'child.exited',
		seq: 1,
		at: 0,
		child: 1,
		pid: 101,
		code: 0,
		signal: null,
		status: 0,
		survivors: [900],
		holders: [holder],
	};
	const draining = stateWith({ serving: 2, children: [childState({ phase: 'draining', survivors: [900] })] });

	it('are those of the generation that it replaced, also after its result', () => {
		const rotations = rotationsOf({}, { result: 'promoted', replaced: [1] });
		const { kept } = withSurvivors(rotations, exit, draining);
		expect(kept.map(({ survivors }) => survivors)).toEqual([[], [{ ...holder, generation: 1 }]]);
	});

	it('are not noted for a child that was not told to stop', () => {
		const rotations = rotationsOf({}, { result: 'promoted', replaced: [1] });
		expect(withSurvivors(rotations, exit, stateWith())).toBe(rotations);
	});

	it('are dropped when their group is gone', () => {
		const survivors = [
			{ ...holder, generation: 1 },
			{ ...holder, pid: 901, generation: 1 },
		];
		const gone = { type: 'group.gone', child: 1, seq: 2, at: 0 } as const;
		const { kept } = withoutSurvivors(rotationsOf({ survivors }), gone, draining);
		expect(kept[0]?.survivors.map(({ pid }) => pid)).toEqual([901]);
	});
});

describe('the weakest source of readiness', () => {
	it('is a wait before an accept, and an accept before a message', () => {
		const state = (...sources: ('wait' | 'accept' | 'notify' | null)[]) =>
			stateWith({ children: sources.map((readyBy) => childState({ readyBy })) });
		expect(weakestSource(state('notify', 'wait', 'accept'), 1)).toBe('wait');
		expect(weakestSource(state('notify', 'accept'), 1)).toBe('accept');
		expect(weakestSource(state('notify', null), 1)).toBe('notify');
		expect(weakestSource(state(null), 1)).toBeNull();
	});
});
