/** The statecharts in a simulated world: happenings in, decisions and commands out, no process and no clock. */

import { type Command, leafOf, phasesOf } from '../../src/machines/charts/world.ts';
import { type ExternalEvent, type Fact, type Plan, usualPlan } from '../../src/machines/facts/facts.ts';
import { isDecision } from '../../src/machines/facts/stamp.ts';
import { endOf, simulatedPid } from '../../src/machines/simulation/nextEvents.ts';
import { simulator } from '../../src/machines/simulation/simulator.ts';
import { type ChildState, noChecks, type SupervisorState } from '../../src/machines/state/supervisorState.ts';
import { sentenceOf } from '../../src/machines/text/sentences.ts';

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

/** What a test knows, as it said so itself. */
const isNews = /^child\.(spawnFailed|exited)$/;

export type Simulation = ReturnType<typeof simulate>;

/** A supervisor that has not been told anything yet. */
export function simulate() {
	const commands: Command[] = [];
	const history: Fact[] = [];
	let reports: string[] = [];
	const world = simulator({
		seq: 0,
		at: 1_000_000,
		told: (fact, before) => {
			history.push(fact);
			const sentence = sentenceOf(fact, before, null);
			if (sentence && !isNews.test(fact.type)) reports.push(sentence.text);
		},
		command: (command) => commands.push(command),
	});

	const simulation = {
		/** What happened and what was decided. */
		history,
		/** Lets time pass, in milliseconds. */
		wait(ms: number) {
			world.wait(ms);
			return simulation;
		},
		/** Sends happenings. */
		tell(...externals: ExternalEvent[]) {
			for (const external of externals) world.tell(external);
			return simulation;
		},
		start: (changes: Partial<Plan> = {}) =>
			simulation.tell({ type: 'supervisor.started', pid: 1, plan: { ...plan, ...changes } }),
		/** It goes on from a supervisorState, after an upgrade. */
		recover: (supervisorState: SupervisorState) =>
			simulation.tell({ type: 'supervisor.recovered', pid: 1, by: 'upgrade', state: supervisorState }),
		/** The child has a process: pid 100 plus its number. */
		spawned: (child: number) =>
			simulation.tell({ type: 'child.spawned', child, pid: simulatedPid(child), startTime: child, pipe: child }),
		/** The child's first wait is over. */
		waited: (child: number) => simulation.tell({ type: 'timer.elapsed', child, timer: 'boot' }),
		/** It says that it is up. */
		announced: (child: number) => simulation.tell({ type: 'child.announced', child, by: 'notify' }),
		/** It is seen to accept. */
		verified: (child: number) => simulation.tell({ type: 'child.verified', child, isSeen: true }),
		/** Its first wait is over, and it is seen to accept where another generation serves. */
		up(child: number) {
			simulation.waited(child);
			return simulation.phases()[child] === 'verifying' ? simulation.verified(child) : simulation;
		},
		exited: (child: number, code = 0) => simulation.tell(endOf({ child, pid: null }, { code })),
		killed: (child: number, number: number) =>
			simulation.tell(endOf({ child, pid: null }, { signal: `signal ${number}`, number })),
		signal: (name: 'HUP' | 'TERM' | 'INT' | 'QUIT') => simulation.tell({ type: `signal.${name}` }),
		state: () => leafOf(world.supervisor().getSnapshot().value),
		status: () => world.supervisor().getSnapshot().output?.status,
		context: () => world.supervisor().getSnapshot().context,
		/** What the facts amount to. */
		supervisorState: world.supervisorState,
		/** `2: 'draining'` and so on, of the children that live. */
		phases: () => phasesOf(world.supervisor()),
		commands,
		/** What was done since the last call, as short sentences. */
		decided(): string[] {
			reports = [];
			const taken = commands.splice(0).map(sentence);
			return taken.filter((text) => text !== '');
		},
		/** What the log says of all but the failed spawns and ends of children, since the last call to `decided`. */
		reports: () => reports,
		/** The decisions among the facts, by their types. */
		decisions: () => history.filter(isDecision).map(({ type }) => type),
	};
	return simulation;
}

function sentence(command: Command): string {
	switch (command.type) {
		case 'spawn':
			return `spawn ${command.child}`;
		case 'adopt':
			return `adopt ${command.child}`;
		case 'signal':
			return `${command.signal} to ${command.child}`;
		case 'preflight':
			return 'preflight';
		default:
			return '';
	}
}

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
