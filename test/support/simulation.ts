/** The statecharts in a simulated world: happenings in, decisions and commands out, no process and no clock. */

import { type ExternalEvent, type Plan, usualPlan } from '../../src/machines/facts/facts.ts';
import { type ChildState, noChecks, type SupervisorState } from '../../src/machines/state/supervisorState.ts';
import { type Simulation, simulate } from '../../src/testing/simulation.ts';

export const plan: Plan = usualPlan;

/** A child that is in a process of its own and serves. */
export const childState = (changes: Partial<ChildState> = {}): ChildState => ({
	child: 1,
	generation: 1,
	index: 0,
	pid: 101,
	startTime: 1,
	pipe: 1,
	phase: 'serving',
	since: 900_000,
	clock: null,
	spawnedClock: null,
	deadline: null,
	readyBy: null,
	readyClock: null,
	isSeen: null,
	program: null,
	directory: null,
	unseen: null,
	isRejected: false,
	isDismissed: false,
	rejection: null,
	wasForwarded: false,
	forwards: [],
	stopSignal: null,
	attempt: 0,
	wasUp: false,
	kill: null,
	watchdog: null,
	hungClock: null,
	survivors: [],
	...changes,
});

/** Generation 1 serves, with child 1. */
export const stateWith = (changes: Partial<SupervisorState> = {}): SupervisorState => ({
	plan,
	serving: 1,
	isComplete: true,
	servingUpAt: null,
	candidate: null,
	bake: null,
	checks: noChecks,
	lastGeneration: 1,
	lastSize: 1,
	lastChild: 1,
	trigger: 'start',
	queued: null,
	unanswered: null,
	ended: null,
	restart: null,
	restarts: 0,
	isQuitting: false,
	stopSignal: null,
	status: 0,
	children: [childState()],
	respawns: [],
	...changes,
});

/** Generation 1 serves, with child 1. */
export function running(changes: Partial<Plan> = {}): Simulation {
	const simulation = simulate().start(changes).spawned(1).up(1);
	if (changes.check) simulation.tell(passed(1));
	simulation.decided();
	return simulation;
}

/** Generation 1 serves, generation 2 boots. */
export function rotating(changes: Partial<Plan> = {}): Simulation {
	const simulation = running(changes).signal('HUP').spawned(2);
	simulation.decided();
	return simulation;
}

/** Generation 1 serves, generation 2 bakes beside it. */
export function baking(changes: Partial<Plan> = {}): Simulation {
	const simulation = rotating({ bake: 5000, ...changes }).up(2);
	simulation.decided();
	return simulation;
}

/** Generation 1 serves, the health check of generation 2 runs. */
export function checking(changes: Partial<Plan> = {}): Simulation {
	const simulation = rotating({ check: '/up', ...changes }).up(2);
	simulation.decided();
	return simulation;
}

/** The health check of a generation passes. */
export const passed = (generation: number): ExternalEvent => ({
	type: 'check.passed',
	generation,
	status: 200,
	millis: 20,
});

/** The health check of a generation fails. */
export const failed = (generation: number): ExternalEvent => ({
	type: 'check.failed',
	generation,
	problem: '503',
	reason: 'it did not answer -check=/up with 2xx within 3.0 s: 503',
	millis: 3000,
});

/** Generation 2 serves, generation 1 was told to leave. */
export function draining(changes: Partial<Plan> = {}): Simulation {
	const simulation = rotating(changes).up(2);
	simulation.decided();
	return simulation;
}
