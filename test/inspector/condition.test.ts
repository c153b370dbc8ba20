/** What the page says of the service, for histories of each kind. */
import { describe, expect, it } from 'vitest';
import { conditionAt, sentencesAt } from '../../src/inspector/condition.ts';
import type { SupervisorState } from '../../src/machines/state/supervisorState.ts';
import { type Simulation, simulate } from '../../src/testing/simulation.ts';
import { checking, draining, rotating, running } from '../support/simulation.ts';
import { storyOf } from './history.ts';

const momentOf = (simulation: Simulation, { isGone = false, later = 1000 } = {}) => {
	const timeline = storyOf(simulation.history);
	const index = timeline.entries.length - 1;
	const now = timeline.timeAt(index) + (isGone ? 0 : later);
	return { timeline, index, now, goneSupervisor: isGone ? { pid: 4021 } : null, report: null, kept: [] };
};

const three = (respawn = -1) => {
	const simulation = simulate().start({ size: 3, respawn });
	for (const child of [1, 2, 3]) simulation.spawned(child);
	for (const child of [1, 2, 3]) simulation.up(child);
	return simulation;
};

describe('the condition of', () => {
	it.each<[string, () => Simulation, boolean, string]>([
		['three that serve', () => three(), false, 'good OK 3/3 serving'],
		['one of three lost', () => three().exited(2, 1), false, 'warn DEGRADED 2/3 serving'],
		['a total outage', () => three(500).exited(1, 70).exited(2, 70).exited(3, 70), false, 'bad DOWN 0/3 serving'],
		['a first generation', () => simulate().start().spawned(1), false, 'warn STARTING 0/1 serving'],
		['a stop', () => running().signal('TERM'), false, 'warn STOPPING 0/1 serving'],
		['a drain after a rotation', () => draining(), false, 'good OK 1/1 serving'],
		['a killed supervisor', () => running(), true, 'bad GONE null'],
		['a stopped supervisor', () => running().signal('TERM').exited(1), true, 'off STOPPED null'],
	])('%s', (_, simulation, isGone, expected) => {
		const { word, tone, counts } = conditionAt(momentOf(simulation(), { isGone })) ?? {};
		expect(`${tone} ${word} ${counts}`).toBe(expected);
	});

	it('a killed supervisor says which children may run on, and nothing of the present', () => {
		const moment = momentOf(running(), { isGone: true });
		expect(conditionAt(moment)?.reasons[0]).toMatch(
			/^supervisor 4021 exited without a stop, after [\d:]+; 101 may run on$/,
		);
		expect(sentencesAt(moment).sentences).toEqual([]);
	});

	it('a stopped supervisor says when, by what and with which status', () => {
		const stopped = momentOf(running().signal('TERM').exited(1), { isGone: true });
		expect(conditionAt(stopped)?.reasons[0]).toMatch(
			/^at [\d:]+, as requested \(the children got SIGTERM\), status 0$/,
		);
		const ended = momentOf(running().exited(1, 3), { isGone: true });
		expect(conditionAt(ended)?.reasons[0]).toMatch(
			/^at [\d:]+: the last child exited, status 3; nobody had asked for a stop$/,
		);
	});
});

describe('the sentences', () => {
	const text = (simulation: Simulation) =>
		sentencesAt(momentOf(simulation))
			.sentences.join(' ')
			.replace(/[\d:]{8}/g, 'TIME');

	it('say what serves and since when', () => {
		expect(text(running())).toBe('Generation 1 serves since TIME, 1.0 s (the last rotation, ready in 0 ms).');
	});

	it('say who drains, and how long still', () => {
		const simulation = running({ kill: 5000 }).signal('HUP').spawned(2).wait(3000).up(2);
		expect(text(simulation)).toContain('1 old generation drains: 101, SIGKILL in 4.0 s.');
	});

	it('say what a candidate waits for', () => {
		expect(text(rotating())).toContain('Generation 2 is starting: ready in 2.0 s if it stays alive.');
		expect(
			text(
				running({ check: '/up' })
					.tell({ type: 'check.passed', generation: 1, status: 200, millis: 1 })
					.signal('HUP')
					.spawned(2)
					.up(2),
			),
		).toContain('Generation 2 must pass -check=/up within 2.0 s.');
	});

	it('say what failed last, when and why', () => {
		const { failure } = sentencesAt(momentOf(rotating().exited(2, 3)));
		expect(failure?.text.replace(/[\d:]{8}/g, 'TIME')).toBe(
			'Last rotation FAILED: #2, TIME, 1.0 s ago: 102 exit status 3',
		);
	});

	it('say of a candidate that serves alone that it serves, as the health does', () => {
		const alone = checking().exited(1, 1);
		expect(conditionAt(momentOf(alone))?.counts).toBe('1/1 serving');
		expect(text(alone)).toContain('Generation 2 serves since');
		expect(text(alone)).not.toContain('Nobody serves');
	});

	it('say of a child that hangs that nobody serves', () => {
		const hung = running().tell({
			type: 'child.hung',
			child: 1,
			pid: 101,
			millis: 500,
			isTriggered: false,
			attempt: 1,
		});
		expect(text(hung)).toBe('Nobody serves. 101 hangs.');
	});

	it('count from a snapshot of a crash loop as the supervisor does', () => {
		const state = three(500).exited(1, 70).exited(2, 70).exited(3, 70).supervisorState() as SupervisorState;
		const timeline = storyOf([{ type: 'checkpoint', seq: 50, at: 2_000_000, state, gap: false }]);
		const [first] = [...state.respawns].sort((a, b) => a.millis - b.millis);
		const now = (first?.at ?? 0) + 100;
		const left = conditionAt({ timeline, index: 0, now, goneSupervisor: null, report: null, kept: [] })?.reasons[0];
		expect(left).toContain(`in ${Math.round((first?.millis ?? 0) - 100)} ms`);
	});

	it('never say that somebody serves where nobody does', () => {
		expect(text(three(500).exited(1, 70).exited(2, 70).exited(3, 70))).toContain('Nobody serves.');
	});
});
