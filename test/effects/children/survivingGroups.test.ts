import { closeSync } from 'node:fs';
import { setImmediate as giveTurn } from 'node:timers/promises';
import { expect, it, onTestFinished, vi } from 'vitest';
import { SurvivingGroups } from '../../../src/effects/children/survivingGroups.ts';
import type { SurvivingProcesses } from '../../../src/effects/children/survivingProcesses.ts';
import { type TrackedChild, TrackedChildren } from '../../../src/effects/children/trackedChildren.ts';
import { usualPlan } from '../../../src/machines/facts/facts.ts';
import { longestKillTimeout } from '../../../src/machines/rules/killTimeout.ts';
import { type ChildState, newChild } from '../../../src/machines/state/supervisorState.ts';
import { trackedChild } from '../../support/trackedChild.ts';

const none: SurvivingProcesses = { survivors: [], holders: [] };
/** This process stands for a surviving process: it is alive, and no signal is really sent. */
const self: SurvivingProcesses = { survivors: [process.pid], holders: [{ pid: process.pid, fds: [3] }] };
const stopping: ChildState = { ...newChild({ child: 1, generation: 1, index: 0, at: 0 }), phase: 'draining' };

function groupsFor(found: SurvivingProcesses[], state: ChildState | null = stopping) {
	const tracked = new TrackedChildren();
	const events: string[] = [];
	const groups = new SurvivingGroups({
		admit: ({ type }) => events.push(type),
		log: { say: (_, text) => events.push(text) },
		known: () => state,
		plan: () => ({ ...usualPlan, kill: 1000, drain: 'QUIT' }),
		tracked,
		findSurvivors: async () => found.shift() ?? none,
		sendSignal: ({ group }, signal) => events.push(`${signal} to ${[...(group?.keys() ?? [])]}`),
		tryToRelisten: () => events.push('relisten'),
	});
	return { tracked, events, groups };
}

const exited = (change: Partial<TrackedChild> = {}) => trackedChild({ group: new Map(), ...change });

const closeLater = (group: Map<number, number>) =>
	onTestFinished(() => {
		for (const pidfd of group.values()) closeSync(pidfd);
	});

it('a group holds the pidfd of each surviving process that is alive', () => {
	const { tracked, groups } = groupsFor([]);
	const gone = exited({ group: null });
	const group = groups.begin(gone, { ...self, survivors: [process.pid, 2 ** 30] });
	closeLater(group);
	expect([...group.keys()]).toEqual([process.pid]);
	expect(gone.group).toBe(group);
	expect(tracked.exited(1)).toBe(gone);
});

it('a group without processes is reported as gone once, after listeners are repaired', async () => {
	const { tracked, events, groups } = groupsFor([none, none]);
	const gone = tracked.add(exited());
	const group = gone.group ?? new Map();
	await Promise.all([groups.follow(gone, group), groups.follow(gone, group)]);
	expect(events).toEqual(['relisten', 'group.gone']);
	expect(tracked.all()).toEqual([]);
});

it('the end of a group whose child is no longer in the state is not reported', async () => {
	const { tracked, events, groups } = groupsFor([none], null);
	const gone = tracked.add(exited());
	await groups.follow(gone, new Map());
	expect(events).toEqual(['relisten']);
});

it.each([
	['the stop signal of the plan before any other', {}, 'QUIT'],
	['the last signal that the child received', { told: 'TERM' }, 'TERM'],
	['SIGKILL after the child was killed', { told: 'TERM', wasKilled: true }, 'KILL'],
])('a process that is found later receives %s', async (_, change, signal) => {
	const { tracked, events, groups } = groupsFor([self]);
	// This process is not watched: the test would wait for its own exit.
	groups.watch = () => {};
	const group = new Map<number, number>();
	closeLater(group);
	await groups.follow(tracked.add(exited({ ...change, group })), group);
	expect(events).toEqual([`${signal} to ${process.pid}`]);
});

it('a process whose fds are unknown is signalled once, and not awaited', async () => {
	const { tracked, events, groups } = groupsFor([none]);
	const group = new Map<number, number>();
	groups.followUp(tracked.add(exited({ group })), group, [{ pid: process.pid, fds: [] }]);
	expect(events).toEqual([`QUIT to ${process.pid}`]);
	expect(group.size).toBe(0);
	await giveTurn();
	expect(events.slice(1)).toEqual(['relisten', 'group.gone']);
});

it('abandoned processes are signalled, and killed after the longest kill timeout', () => {
	vi.useFakeTimers({ toFake: ['setTimeout'] });
	onTestFinished(() => void vi.useRealTimers());
	const { tracked, events, groups } = groupsFor([]);
	tracked.add(exited({ group: new Map([[101, 9]]) }));
	groups.abandon(1);
	expect(events).toEqual(['QUIT to 101']);
	vi.advanceTimersByTime(longestKillTimeout);
	expect(events.slice(1)).toEqual(['101, left behind by 100, still there; killing', 'KILL to 101']);
});

it('processes that an earlier program abandoned are not signalled again', () => {
	vi.useFakeTimers({ toFake: ['setTimeout'] });
	onTestFinished(() => void vi.useRealTimers());
	const { tracked, events, groups } = groupsFor([]);
	tracked.add(exited({ group: new Map([[101, 9]]), abandonedUntil: 1 }));
	groups.abandon(1);
	expect(events).toEqual([]);
	vi.advanceTimersByTime(0);
	expect(events.at(-1)).toBe('KILL to 101');
});

it('a child whose leader runs can’t be abandoned', () => {
	const { tracked, events, groups } = groupsFor([]);
	tracked.add(exited({ group: null }));
	groups.abandon(1);
	expect(events).toEqual([]);
});

it('an exit waits for abandoned processes only', async () => {
	vi.useFakeTimers({ toFake: ['setTimeout'] });
	onTestFinished(() => void vi.useRealTimers());
	const { tracked, groups } = groupsFor([none]);
	const gone = tracked.add(exited({ group: new Map([[101, 9]]) }));
	await groups.abandonedGone();
	groups.abandon(1);
	let isOver = false;
	const over = groups.abandonedGone().then(() => {
		isOver = true;
	});
	await giveTurn();
	expect(isOver).toBe(false);
	await groups.follow(gone, new Map());
	await over;
	expect(isOver).toBe(true);
});
