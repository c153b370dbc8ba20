import { expect, it } from 'vitest';
import { TrackedChildren } from '../../../src/effects/children/trackedChildren.ts';
import { trackedChild as tracked } from '../../support/trackedChild.ts';

it('a child is found by its pid while its leader runs', () => {
	const children = new TrackedChildren();
	const alive = children.add(tracked({}));
	expect([children.byPid(100), children.running(1), children.exited(1)]).toEqual([alive, alive, undefined]);
	children.remove(alive);
	expect([children.byPid(100), children.has(alive)]).toEqual([undefined, false]);
});

it('a child whose leader has exited leaves its pid to another child', () => {
	const children = new TrackedChildren();
	const gone = children.add(tracked({ group: new Map() }));
	expect(children.byPid(100)).toBeUndefined();
	const next = children.add(tracked({ child: 2 }));
	expect([children.has(gone), children.exited(1), children.byPid(100)]).toEqual([true, gone, next]);
	children.remove(gone);
	expect(children.all()).toEqual([next]);
});

it('the next supervisor program gets the pidfds of running leaders and of surviving processes', () => {
	const children = new TrackedChildren();
	children.add(tracked({ its: new Map([[5, 6]]) }));
	children.add(tracked({ child: 2, pid: 200, pidfd: 7, isOwn: false, told: 'TERM' }));
	children.add(tracked({ child: 3, pid: 300, pidfd: 8, group: new Map([[301, 9]]), abandonedUntil: 4 }));
	const common = { wasKilled: false, told: null, hasFailed: false, abandonedUntil: null };
	expect(children.saved()).toEqual({
		state: [
			{ ...common, child: 1, pid: 100, pidfd: null, isOwn: true, group: null },
			{ ...common, child: 2, pid: 200, pidfd: 7, isOwn: false, group: null, told: 'TERM' },
			{ ...common, child: 3, pid: 300, pidfd: null, isOwn: true, group: [[301, 9]], abandonedUntil: 4 },
		],
		fds: [7, 9],
	});
});
