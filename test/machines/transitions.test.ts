/** Every transition of the statecharts is taken: by random lives, or by one that is told here. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { chartOf } from '../../src/diagram/chart.ts';
import { chartNameOf, tracer } from '../../src/diagram/trace.ts';
import { childMachine } from '../../src/machines/charts/child.ts';
import { generationMachine } from '../../src/machines/charts/generation.ts';
import { upgradeMachine } from '../../src/machines/charts/selfUpgrade.ts';
import { supervisorMachine } from '../../src/machines/charts/supervisor.ts';
import { upgradeStateOf } from '../../src/machines/charts/world.ts';
import type { ExternalEvent, Fact, Plan } from '../../src/machines/facts/facts.ts';
import { endOf, nextEvents } from '../../src/machines/simulation/nextEvents.ts';
import { createReplay } from '../../src/machines/simulation/replay.ts';
import { simulator } from '../../src/machines/simulation/simulator.ts';
import type { ChildState, SupervisorState } from '../../src/machines/state/supervisorState.ts';
import { type Simulation, simulate } from '../../src/testing/simulation.ts';
import {
	baking,
	checking,
	childState,
	draining,
	failed,
	passed,
	plan,
	rotating,
	running,
	stateWith,
} from '../support/simulation.ts';

const plans = fc.record({
	ready: fc.constantFrom('wait' as const, 'notify' as const, 'accept' as const),
	verify: fc.constantFrom('accept' as const, 'none' as const),
	kill: fc.constantFrom(0, 500),
	size: fc.integer({ min: 1, max: 3 }),
	respawn: fc.constantFrom(-1, 0, 500),
	maxDraining: fc.constantFrom(0, 0, 1),
	bake: fc.constantFrom(0, 0, 500),
	check: fc.constantFrom('', '', '/up'),
});
const likelihoods: Partial<Record<ExternalEvent['type'], number>> = {
	'child.spawned': 12,
	'child.announced': 6,
	'child.verified': 12,
	'timer.elapsed': 6,
	'restart.due': 6,
	'bake.due': 4,
	'check.passed': 8,
	'check.failed': 2,
	'signal.HUP': 6,
	'supervisor.recovered': 1,
	'supervisor.started': 1,
	'signal.TERM': 1,
	'signal.INT': 1,
};

const choices = fc.array(fc.nat(1000), { minLength: 1, maxLength: 80 });

/** A life in which something that may happen happened so many times. */
function lifeOf(changes: Partial<Plan>, choices: number[]): Fact[] {
	const facts: Fact[] = [];
	const world = simulator({ seq: 0, at: 1_000_000, told: (fact) => facts.push(fact) });
	world.tell({ type: 'supervisor.started', pid: 1, plan: { ...plan, ...changes } });
	for (const choice of choices) {
		const supervisorState = world.supervisorState();
		if (!supervisorState || world.supervisor().getSnapshot().status === 'done') break;
		const events = nextEvents(supervisorState, upgradeStateOf(world.supervisor()), new Set());
		// What makes a rotation come about is more likely than what ends a life.
		const likely = events.flatMap((each) => Array(likelihoods[each.external.type] ?? 2).fill(each));
		const next = likely[choice % likely.length];
		if (!next) break;
		world.wait(next.after);
		world.tell(next.external);
	}
	return facts;
}

/** The ways that the charts take through these facts, as `child: alive.staying.booting|child.announced|0`. */
function waysIn(facts: Fact[]): string[] {
	const trace = tracer();
	const replay = createReplay(trace.inspect);
	for (const fact of facts) replay.tell(fact);
	return trace.take().flatMap(({ actor, ways }) => ways.map((way) => `${chartNameOf(actor)}: ${way}`));
}

const hung = (child: number) =>
	({ type: 'child.hung', child, pid: 100 + child, millis: 1000, isTriggered: false, attempt: 1 }) as const;
const ask = (type: 'rotate.requested' | 'upgrade.requested' | 'signal.USR1' | 'signal.USR2') => ({ type });
const candidateOf = (changes: Partial<ChildState>) =>
	childState({ child: 2, generation: 2, pid: 102, startTime: 2, pipe: 2, ...changes });
const rotatingState = (candidate: Partial<ChildState>, changes: Partial<SupervisorState> = {}) =>
	stateWith({
		candidate: 2,
		lastGeneration: 2,
		lastChild: 2,
		children: [childState(), candidateOf(candidate)],
		...changes,
	});

/** What random lives come to too seldom. */
const told: Record<string, () => Simulation> = {
	'a rotation is asked for in every state': () =>
		simulate()
			.start()
			.tell(ask('rotate.requested'))
			.spawned(1)
			.up(1)
			.tell(ask('rotate.requested'))
			.spawned(2)
			.up(2)
			.tell(ask('rotate.requested'))
			.spawned(3)
			.up(3)
			.exited(3, 1)
			.tell(ask('rotate.requested'))
			.signal('TERM')
			.tell(ask('rotate.requested'), ask('signal.USR1'), ask('upgrade.requested')),
	'a rotation is asked for where one serves alone': () => running().tell(ask('rotate.requested')),
	'a rotation is asked for while another one drains': () => draining().tell(ask('rotate.requested')),
	'a rotation is asked for while none serves': () => draining().exited(2, 1).tell(ask('rotate.requested')),
	'a rotation is asked for during a bake, and the candidate exits': () =>
		baking().tell(ask('rotate.requested')).exited(2, 1),
	'a child of two exits during the bake': () =>
		running({ bake: 5000, size: 2 }).spawned(2).up(2).signal('HUP').spawned(3).spawned(4).up(3).up(4).exited(3, 1),
	'a child exits during the bake where no child of the serving generation lives': () =>
		running({ bake: 5000, size: 2, respawn: 60_000 })
			.spawned(2)
			.up(2)
			.signal('HUP')
			.spawned(3)
			.spawned(4)
			.up(3)
			.up(4)
			.exited(1, 1)
			.exited(2, 1)
			.exited(3, 1),
	'a watchdog expires in every state of a child': () =>
		rotating().tell(hung(2), { type: 'child.watched', child: 1, millis: 1000 }, hung(1), { ...hung(1), attempt: 2 }),
	'a stop of one generation is asked for in every state': () =>
		draining()
			.tell({ type: 'generation.stopRequested', generation: 1 })
			.tell({ type: 'generation.stopRequested', generation: 2 })
			.signal('TERM')
			.tell({ type: 'generation.stopRequested', generation: 1 }),
	'a stop of the candidate is asked for in every state': () => {
		const simulation = rotating().tell({ type: 'generation.stopRequested', generation: 2 });
		simulation.signal('HUP').spawned(3).exited(1, 1).tell({ type: 'generation.stopRequested', generation: 3 });
		return simulation;
	},
	'the same with a kill timeout, while it boots, is checked and bakes': () => {
		const simulation = rotating({ check: '/up', bake: 5000 }).tell({
			type: 'generation.stopRequested',
			generation: 2,
			kill: 5,
		});
		simulation
			.exited(2)
			.signal('HUP')
			.spawned(3)
			.up(3)
			.tell({ type: 'generation.stopRequested', generation: 3, kill: 5 });
		return simulation
			.exited(3)
			.signal('HUP')
			.spawned(4)
			.up(4)
			.tell(passed(4))
			.tell({ type: 'generation.stopRequested', generation: 4, kill: 5 });
	},
	'the same during its check': () => checking().tell({ type: 'generation.stopRequested', generation: 2 }),
	'the same during its bake': () => baking().tell({ type: 'generation.stopRequested', generation: 2 }),
	'a health check passes, beside a serving generation and alone': () =>
		running({ check: '/up' })
			.tell(passed(1), failed(1), { type: 'check.tried', generation: 1, problem: '503' })
			.signal('HUP')
			.spawned(2)
			.up(2)
			.tell(ask('rotate.requested'), passed(2))
			.exited(1),
	'a health check fails beside a serving generation': () => checking().tell(failed(2)),
	'a health check fails where no child of the serving generation lives': () =>
		checking({ respawn: 60_000 }).exited(1, 1).tell(failed(2)),
	'a child exits during its health check where no child of the serving generation lives': () =>
		running({ check: '/up', size: 2, respawn: 60_000 })
			.spawned(2)
			.up(2)
			.tell(passed(1))
			.signal('HUP')
			.spawned(3)
			.spawned(4)
			.up(3)
			.up(4)
			.exited(1, 1)
			.exited(2, 1)
			.exited(3, 1),
	'a health check passes while a child of the degraded generation is started again': () =>
		simulate()
			.start({ check: '/up', size: 2, respawn: 0 })
			.spawned(1)
			.spawned(2)
			.up(1)
			.up(2)
			.tell(failed(1))
			.exited(2, 1)
			.tell(passed(1), { type: 'respawn.due', generation: 1, index: 1 })
			.spawned(3)
			.up(3),
	'the candidate exits during its health check': () => checking().exited(2, 1),
	'the serving generation exits during a health check': () => checking().exited(1, 1).tell(passed(2)),
	'a health check after the bake': () => baking({ check: '/up' }).tell(passed(2), { type: 'bake.due' }, passed(2)),
	'a health check during the bake': () => baking({ check: '/up' }).tell(passed(2), failed(2)),
	'the same where no child of the serving generation lives': () =>
		baking({ check: '/up', respawn: 60_000 }).tell(passed(2)).exited(1, 1).tell(failed(2)),
	'SIGHUP while a restart waits': () => draining().exited(2, 1).signal('HUP'),
	'an upgrade in the middle of a stop': () => simulate().recover(stateWith({ stopSignal: 'INT' })),
	'a child that takes the place of a lost one is late': () =>
		simulate()
			.start({ ready: 'notify', size: 2, respawn: 0 })
			.spawned(1)
			.spawned(2)
			.announced(1)
			.announced(2)
			.exited(1, 1)
			.tell({ type: 'respawn.due', generation: 1, index: 0 })
			.spawned(3)
			.waited(3),
	'a candidate is not seen to accept': () =>
		rotating()
			.waited(2)
			.tell({ type: 'child.unverified', child: 2, missing: ['its sockets'] }),
	'an upgrade is asked for in every state': () => {
		const all = [ask('signal.USR1'), ask('signal.USR2'), ask('upgrade.requested')];
		const simulation = running().tell(...all, { type: 'upgrade.verified' }, ...all);
		simulation.tell({ type: 'upgrade.failed', reason: 'no' }, ask('upgrade.requested'), ...all);
		return simulation.tell({ type: 'upgrade.refused', reason: 'no' }, ask('signal.USR2'));
	},
	'a stop has a patience of its own': () =>
		draining()
			.tell({ type: 'stop.requested', kill: 500 })
			.tell(endOf({ child: 1, pid: 101 }, { code: 0 }, [901]))
			.tell({ type: 'stop.requested', kill: 700 }),
	'killed before another one was scheduled for the one that served': () =>
		simulate().recover(
			stateWith({ serving: 2, lastGeneration: 2, lastChild: 2, children: [childState({ phase: 'draining' })] }),
		),
	'killed between a message and what follows from it': () =>
		simulate().recover(rotatingState({ phase: 'booting', readyBy: 'notify' })),
	'the same where none serves': () =>
		simulate().recover(
			rotatingState(
				{ phase: 'booting', readyBy: 'notify' },
				{ children: [candidateOf({ phase: 'booting', readyBy: 'notify' })] },
			),
		),
	'killed while a candidate was looked at, and the one that served has ended': () =>
		simulate().recover(rotatingState({}, { children: [candidateOf({ phase: 'verifying', readyBy: 'wait' })] })),
	'killed between a rejection and its signal': () =>
		simulate().recover(
			stateWith({
				lastChild: 2,
				children: [childState(), childState({ child: 2, index: 1, pid: 102, phase: 'booting', isRejected: true })],
			}),
		),
	'a start after a stop that had begun while a child booted': () =>
		simulate().tell({
			type: 'supervisor.recovered',
			pid: 1,
			by: 'start',
			state: stateWith({ stopSignal: 'TERM', children: [childState({ phase: 'booting' })] }),
		}),
	'a start after a stop that had begun, whose first generation exits': () =>
		simulate()
			.tell({
				type: 'supervisor.recovered',
				pid: 1,
				by: 'start',
				state: stateWith({ stopSignal: 'TERM', children: [childState({ phase: 'draining' })] }),
			})
			.spawned(2)
			.exited(2, 1)
			.tell({ type: 'restart.due' }),
	'killed before one that was looked at was told to leave': () =>
		simulate().recover(rotatingState({ phase: 'verifying', readyBy: 'wait' }, { candidate: null })),
	'started anew without -kill while others of a replaced child live': () =>
		simulate().recover(
			stateWith({
				serving: 2,
				lastGeneration: 2,
				lastChild: 2,
				children: [childState({ phase: 'orphaned' }), candidateOf({})],
			}),
		),
	'the same of a child of the one that serves': () =>
		simulate().recover(
			stateWith({
				lastChild: 2,
				children: [childState(), childState({ child: 2, index: 1, pid: 102, phase: 'orphaned' })],
			}),
		),
	'a generation dies ten times': () => {
		const simulation = simulate().start({ respawn: 0 });
		for (let child = 1; child <= 10; child += 1) {
			simulation.spawned(child).exited(child, 1).tell({ type: 'respawn.due', generation: 1, index: 0 });
		}
		return simulation;
	},
	'a place of a generation dies ten times while a rotation waits': () => {
		const simulation = simulate().start({ respawn: 0, size: 2, ready: 'notify' }).spawned(1).spawned(2);
		for (let child = 2; child <= 10; child += 1) {
			simulation
				.exited(child, 1)
				.tell({ type: 'respawn.due', generation: 1, index: 1 })
				.spawned(child + 1);
		}
		simulation.signal('HUP').spawned(12).spawned(13);
		// The candidate fails while the one that serves leaves.
		return simulation.exited(11, 1).exited(12, 1);
	},
	'a wait for a place is over as its generation leaves': () =>
		running({ respawn: 500, size: 1 })
			.signal('HUP')
			.spawned(2)
			.up(2)
			.tell({ type: 'respawn.due', generation: 1, index: 0 }),
	'a generation is replaced while a slot of it is filled again': () =>
		running({ respawn: 0, size: 2 })
			.spawned(2)
			.up(2)
			.exited(2, 1)
			.tell({ type: 'respawn.due', generation: 1, index: 1 })
			.signal('HUP')
			.spawned(4)
			.spawned(5)
			.up(4)
			.up(5),
	'a child that serves says what it has said before': () =>
		running()
			.announced(1)
			.verified(1)
			.tell({ type: 'child.delayed', child: 1, millis: 9 }, { type: 'child.unseen', child: 1, reason: 'no' }),
	'what a child accepts on can’t be seen': () =>
		simulate()
			.start({ ready: 'accept' })
			.spawned(1)
			.tell({ type: 'child.verified', child: 1, isSeen: false, reason: 'no' }),
	'a candidate that is not seen to accept is the best there is': () =>
		rotating({ respawn: 60_000 })
			.waited(2)
			.exited(1, 1)
			.tell({ type: 'child.unverified', child: 2, missing: ['its sockets'] }),
	'too many drain before one has a process': () => {
		const simulation = simulate().start({ size: 2, maxDraining: 1 }).spawned(1).spawned(2).up(1).up(2);
		simulation.signal('HUP').spawned(3).exited(3, 1);
		simulation.signal('HUP').spawned(5).spawned(6).up(5).up(6);
		simulation.signal('HUP').spawned(7).spawned(8).up(7).up(8);
		return simulation;
	},
	'a child that is killed leaves others': () =>
		draining({ kill: 500 })
			.tell({ type: 'timer.elapsed', child: 1, timer: 'kill' })
			.tell(endOf({ child: 1, pid: 101 }, { signal: 'killed', number: 9 }, [901])),
};

it('every transition is taken', () => {
	const lives = fc.sample(fc.tuple(plans, choices), { numRuns: 1500, seed: 1 });
	const taken = new Set([
		...lives.flatMap(([plan, choices]) => waysIn(lifeOf(plan, choices))),
		...Object.values(told).flatMap((life) => waysIn(life().history)),
	]);
	const all = [supervisorMachine, generationMachine, childMachine, upgradeMachine].flatMap((machine) => {
		const { id, ways } = chartOf(machine);
		return ways.map((way) => `${id}: ${way.id}${way.guard ? ` (${way.guard})` : ''}`);
	});
	expect(all.filter((way) => !taken.has(way.replace(/ \(.*/, '')))).toEqual([]);
});
