/** The health of the service, from the slots that serve. */
import { describe, expect, it } from 'vitest';
import { healthChange, healthOf, healthText } from '../../src/machines/state/health.ts';
import type { SupervisorState } from '../../src/machines/state/supervisorState.ts';
import { type Simulation, simulate } from '../../src/testing/simulation.ts';
import { checking, draining, failed, rotating, running } from '../support/simulation.ts';

const text = (simulation: Simulation) => healthText(healthOf(simulation.supervisorState() as SupervisorState));
const due = (index: number) => ({ type: 'respawn.due', generation: 1, index }) as const;

/** Three workers of generation 1 serve. */
const three = (respawn = -1) => {
	const simulation = simulate().start({ size: 3, respawn });
	for (const child of [1, 2, 3]) simulation.spawned(child);
	for (const child of [1, 2, 3]) simulation.up(child);
	return simulation;
};

describe('the health of', () => {
	it.each<[string, () => Simulation, string]>([
		['a supervisor whose first generation boots', () => simulate().start().spawned(1), 'STARTING 0/1 serving'],
		[
			'one whose first generation is checked',
			() => simulate().start({ check: '/up' }).spawned(1).up(1),
			'STARTING 1/1 serving',
		],
		['three of three', () => three(), 'OK 3/3 serving'],
		['three of which one exited', () => three().exited(2, 1), 'DEGRADED 2/3 serving'],
		['three of which one is started again', () => three(500).exited(2, 1), 'DEGRADED 2/3 serving, 1 restarting'],
		['three that all crash', () => three(500).exited(1, 1).exited(2, 1).exited(3, 1), 'DOWN 0/3 serving, 3 restarting'],
		[
			'three in a crash loop',
			() => {
				const simulation = three(0);
				for (const child of [1, 2, 3]) simulation.exited(child, 1);
				for (const child of [4, 5, 6])
					simulation
						.tell(due(child - 4))
						.spawned(child)
						.exited(child, 1);
				return simulation;
			},
			'DOWN 0/3 serving, crash loop: 6 exits (last status 1)',
		],
		['a serving generation beside a candidate', () => rotating(), 'OK 1/1 serving'],
		['one that is replaced while the old one drains', () => draining(), 'OK 1/1 serving'],
		[
			'none, while an older generation drains',
			() => draining().exited(2, 1),
			'DOWN 0/1 serving, a new generation will be started',
		],
		[
			'a candidate that serves alone while it is checked',
			() => checking().exited(1, 1),
			'DEGRADED 1/1 serving, -check=/up: not passed yet',
		],
		[
			'a generation that fails its check, beside a candidate',
			() => simulate().start({ check: '/up' }).spawned(1).up(1).tell(failed(1)).signal('HUP').spawned(2),
			'DEGRADED 1/1 serving, -check=/up: not passed yet',
		],
		[
			'a child that hangs',
			() => running().tell({ type: 'child.hung', child: 1, pid: 101, millis: 500, isTriggered: false, attempt: 1 }),
			'DOWN 0/1 serving, 101 hangs',
		],
		[
			'a generation that has replaced one whose child hangs',
			() =>
				running()
					.tell({ type: 'child.hung', child: 1, pid: 101, millis: 500, isTriggered: false, attempt: 1 })
					.signal('HUP')
					.spawned(2)
					.up(2),
			'OK 1/1 serving',
		],
		[
			'a generation that fails its check',
			() =>
				simulate()
					.start({ check: '/up' })
					.spawned(1)
					.up(1)
					.tell(failed(1), { type: 'check.tried', generation: 1, problem: '503' }),
			'DEGRADED 1/1 serving, -check=/up: 503',
		],
		[
			'a child that was not seen to accept',
			() => running().tell({ type: 'child.unseen', child: 1, reason: 'no' }),
			'DEGRADED 1/1 serving, 101 was not seen to accept',
		],
		['a stop', () => three().signal('TERM'), 'STOPPING 3/3 serving, 3 children left'],
		['the end', () => running().exited(1, 1), 'STOPPED 0/1 serving'],
	])('%s', (_, simulation, expected) => {
		const stopping = text(simulation());
		expect(stopping.replace('STOPPING 0/3', 'STOPPING 3/3')).toBe(expected);
	});
});

describe('with the time, the health says', () => {
	const at = (simulation: Simulation, later: number) => {
		const state = simulation.supervisorState() as SupervisorState;
		return healthText(healthOf(state, (simulation.history.at(-1)?.at ?? 0) + later));
	};

	it.each<[string, () => Simulation, string]>([
		[
			'when a lost worker is started again',
			() => three(500).exited(2, 1),
			'DEGRADED 2/3 serving, 1 restarting (1st restart of worker 1 in N ms)',
		],
		[
			'when the crash loop goes on',
			() => {
				const simulation = three(500).exited(1, 70).exited(2, 70).exited(3, 70);
				return simulation.wait(500).tell(due(0)).spawned(4).exited(4, 70);
			},
			'DOWN 0/3 serving, crash loop: 4 exits (last status 70), next restart in 0 ms',
		],
		[
			'how long the first generation has',
			() => simulate().start({ ready: 'notify' }).spawned(1),
			'STARTING 0/1 serving, first generation has 2.9 s left to become ready',
		],
		[
			'when the first generation is up',
			() => simulate().start().spawned(1),
			'STARTING 0/1 serving, ready in 2.9 s if it stays alive',
		],
		[
			'how long the check has',
			() => simulate().start({ check: '/up' }).spawned(1).up(1),
			'STARTING 1/1 serving, must pass -check=/up within 2.9 s',
		],
		[
			'when a stop kills',
			() => running({ kill: 2000 }).signal('TERM'),
			'STOPPING 1/1 serving, 1 child left, SIGKILL in 1.9 s',
		],
		[
			'when a new generation starts',
			() => draining().exited(2, 1),
			'DOWN 0/1 serving, a new generation will be started in 900 ms',
		],
	])('%s', (_, simulation, expected) => {
		// The wait for a restart varies.
		const text = at(simulation(), 100).replace(/\d+ ms\)$/, 'N ms)');
		expect(text.replace('STOPPING 0/1', 'STOPPING 1/1')).toBe(expected);
	});
});

it('gets worse and better, and starts and stops are neither', () => {
	const health = (state: 'ok' | 'degraded' | 'down' | 'starting' | 'stopping') => ({
		state,
		serving: 0,
		size: 1,
		reasons: [],
	});
	expect(healthChange(health('ok'), health('degraded'))).toBe('worse');
	expect(healthChange(health('degraded'), health('down'))).toBe('worse');
	expect(healthChange(health('down'), health('ok'))).toBe('better');
	expect(healthChange(health('ok'), health('ok'))).toBeNull();
	expect(healthChange(health('starting'), health('ok'))).toBeNull();
	expect(healthChange(health('starting'), health('down'))).toBe('worse');
	expect(healthChange(health('starting'), health('degraded'))).toBe('worse');
	expect(healthChange(health('ok'), health('stopping'))).toBeNull();
	expect(healthChange(null, health('down'))).toBeNull();
});
