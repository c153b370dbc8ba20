import { expect, it } from 'vitest';
import { awaitedSurvivors, uncertainHolders } from '../../../src/effects/children/awaitedSurvivors.ts';
import { usualPlan } from '../../../src/machines/facts/facts.ts';
import { newChild, type Phase } from '../../../src/machines/state/supervisorState.ts';

/** 1 holds no listener, 2 holds one, 3 can't be inspected. */
const others = {
	survivors: [1, 2, 3],
	holders: [
		{ pid: 2, fds: [3] },
		{ pid: 3, fds: [] },
	],
};
const inPhase = (phase: Phase) => ({ ...newChild({ child: 1, generation: 1, index: 0, at: 0 }), phase });

it.each([
	['a stopping child with a kill timeout: all', inPhase('draining'), false, 1000, [1, 2, 3]],
	['a stopping child without a kill timeout: those that hold a listener', inPhase('draining'), false, 0, [2]],
	['a rejected child without a kill timeout: all', { ...inPhase('killing'), isRejected: true }, false, 0, [1, 2, 3]],
	['a serving child: those that hold a listener', inPhase('serving'), false, 1000, [2]],
	['a child whose exit fails a rotation: all', inPhase('booting'), true, 0, [1, 2, 3]],
	['a child that is gone: those that hold a listener', null, false, 1000, [2]],
] as const)('of the surviving processes of %s are awaited', (_, before, hasFailed, kill, awaited) => {
	expect(awaitedSurvivors(before, hasFailed, others, { ...usualPlan, kill })).toEqual(awaited);
});

it('a holder without known fds is uncertain, unless it is awaited', () => {
	expect(uncertainHolders(others.holders, new Map())).toEqual([3]);
	expect(uncertainHolders(others.holders, new Map([[3, 9]]))).toEqual([]);
});
