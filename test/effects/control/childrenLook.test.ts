/** Which children are examined for a status. */
import { expect, it } from 'vitest';
import { ChildrenLook, pidsInDoubt } from '../../../src/effects/control/childrenLook.ts';
import { noProjections } from '../../../src/machines/state/projections.ts';
import { childState, stateWith } from '../../support/simulation.ts';

it('a child is in doubt if it drains, or if it serves and was not seen to accept', () => {
	const children = [
		childState({ pid: 1 }),
		childState({ pid: 2, unseen: 'it listens elsewhere' }),
		childState({ pid: 3, phase: 'draining' }),
		childState({ pid: 4, phase: 'booting', unseen: 'it listens elsewhere' }),
		childState({ pid: null, phase: 'draining' }),
	];
	expect(pidsInDoubt(children, 10)).toEqual({ leaving: [3], unseen: [2] });
	expect(pidsInDoubt(children, 1)).toEqual({ leaving: [3], unseen: [] });
});

it('requests at the same time share one examination of at most 200 children, and a later one begins another', async () => {
	const asked: number[][] = [];
	const children = Array.from({ length: 201 }, (_, index) => childState({ pid: index + 1, phase: 'draining' }));
	const look = new ChildrenLook({
		listeners: [],
		accepting: async (pids, on) => {
			if (on === undefined) asked.push(pids);
			return new Map([[1, true]]);
		},
		past: () => ({ ...noProjections, state: stateWith({ children }) }),
	});
	const [one, other] = await Promise.all([look.look(), look.look()]);
	expect(one).toBe(other);
	expect(one.accepting.get(1)).toBe(true);
	expect(asked.map(({ length }) => length)).toEqual([200]);
	await look.look();
	expect(asked).toHaveLength(2);
});
