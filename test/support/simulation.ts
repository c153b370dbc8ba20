/** The statecharts in a simulated world: facts in, commands out, no process and no clock. */
import { Subject } from 'rxjs';
import { createActor } from 'xstate';
import type { Fact, Happening, Plan } from '../../src/machines/facts.ts';
import { type Command, inertWorld, supervisorIn } from '../../src/machines/world.ts';

export const plan: Plan = { start: 3000, kill: 0, drain: 'HUP', size: 1 };

export type Simulation = ReturnType<typeof simulate>;

/** A supervisor that has not been told anything yet. */
export function simulate() {
	const facts = new Subject<Fact>();
	const commands: Command[] = [];
	const history: Fact[] = [];
	const actor = createActor(supervisorIn(inertWorld(facts, (command) => commands.push(command))));
	actor.start();
	let now = 1_000_000;

	const simulation = {
		history,
		/** Lets time pass, in milliseconds. */
		wait(ms: number) {
			now += ms;
			return simulation;
		},
		/** Sends one fact. */
		tell(...happenings: Happening[]) {
			for (const happening of happenings) {
				const fact = { seq: history.length + 1, at: now, ...happening };
				history.push(fact);
				facts.next(fact);
			}
			return simulation;
		},
		start: (changes: Partial<Plan> = {}) =>
			simulation.tell({ type: 'supervisor.started', pid: 1, plan: { ...plan, ...changes } }),
		/** The child has a process: pid 100 plus its number. */
		spawned: (child: number) =>
			simulation.tell({ type: 'child.spawned', child, pid: 100 + child, startTime: child, pipe: child }),
		/** The child's first wait is over. */
		up: (child: number) => simulation.tell({ type: 'timer.elapsed', child, timer: 'boot' }),
		exited: (child: number, code = 0) =>
			simulation.tell({ type: 'child.exited', child, pid: 100 + child, code, signal: null, status: code }),
		killed: (child: number, number: number) =>
			simulation.tell({
				type: 'child.exited',
				child,
				pid: 100 + child,
				code: null,
				signal: `signal ${number}`,
				status: 128 + number,
			}),
		signal: (name: 'HUP' | 'TERM' | 'INT' | 'QUIT') => simulation.tell({ type: `signal.${name}` }),
		state: () => String(actor.getSnapshot().value),
		status: () => actor.getSnapshot().output?.status,
		context: () => actor.getSnapshot().context,
		/** `child 2: draining` and so on, of those that live. */
		phases: () =>
			Object.fromEntries(
				Object.entries(actor.getSnapshot().context.members).map(([id, { ref }]) => [
					id,
					String(ref.getSnapshot().value),
				]),
			),
		commands,
		/** What was decided since the last call, as short sentences. */
		decided(): string[] {
			const taken = commands.splice(0).map(sentence);
			return taken.filter((text) => text !== '');
		},
		/** The reports since the last call to `decided`. */
		reports: () => commands.flatMap((command) => (command.type === 'report' ? [command.text] : [])),
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
		default:
			return '';
	}
}

/** Generation 1 serves, with child 1. */
export function running(changes: Partial<Plan> = {}): Simulation {
	const simulation = simulate().start(changes).spawned(1).up(1);
	simulation.decided();
	return simulation;
}

/** Generation 1 serves, generation 2 boots. */
export function rotating(changes: Partial<Plan> = {}): Simulation {
	const simulation = running(changes).signal('HUP').spawned(2);
	simulation.decided();
	return simulation;
}

/** Generation 2 serves, generation 1 was told to leave. */
export function draining(changes: Partial<Plan> = {}): Simulation {
	const simulation = rotating(changes).up(2);
	simulation.decided();
	return simulation;
}
