/** The statecharts in a simulated world: happenings in, decisions and commands out, no process and no clock. */
import { createActor } from 'xstate';
import {
	type Decision,
	type Fact,
	type Happening,
	type HappeningFact,
	isDecision,
	type Plan,
	stamped,
} from '../../src/machines/facts.ts';
import { evolve, type Roster } from '../../src/machines/roster.ts';
import { sentenceOf } from '../../src/machines/sentences.ts';
import { type Command, deliver, inertWorld, leafOf, phasesOf, supervisorIn } from '../../src/machines/world.ts';

export const plan: Plan = { start: 3000, kill: 0, drain: 'HUP', size: 1 };

/** What a test knows, as it said so itself. */
const isNews = /^child\.(spawnFailed|exited)$/;

export type Simulation = ReturnType<typeof simulate>;

/** A supervisor that has not been told anything yet. */
export function simulate() {
	const commands: Command[] = [];
	const history: Fact[] = [];
	let reports: string[] = [];
	let roster: Roster | null = null;
	let now = 1_000_000;

	/** Numbers and times what happened or was decided, as the door does. */
	function admit<T extends Happening | Decision>(what: T) {
		const fact = stamped(what, history.length + 1, now, () => now - 900_000);
		history.push(fact);
		const sentence = sentenceOf(fact, roster, null);
		if (sentence && !isNews.test(fact.type)) reports.push(sentence.text);
		roster = evolve(roster, fact);
		return fact;
	}

	const actor = createActor(supervisorIn(inertWorld(admit, (command) => commands.push(command)))).start();

	const simulation = {
		/** What happened and what was decided. */
		history,
		/** Lets time pass, in milliseconds. */
		wait(ms: number) {
			now += ms;
			return simulation;
		},
		/** Sends happenings. */
		tell(...happenings: Happening[]) {
			for (const happening of happenings) deliver(actor, admit(happening) as HappeningFact);
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
			simulation.tell({ type: 'child.exited', child, pid: 100 + child, code, signal: null, status: code, left: [] }),
		killed: (child: number, number: number) =>
			simulation.tell({
				type: 'child.exited',
				child,
				pid: 100 + child,
				code: null,
				signal: `signal ${number}`,
				status: 128 + number,
				left: [],
			}),
		signal: (name: 'HUP' | 'TERM' | 'INT' | 'QUIT') => simulation.tell({ type: `signal.${name}` }),
		state: () => leafOf(actor.getSnapshot().value),
		status: () => actor.getSnapshot().output?.status,
		context: () => actor.getSnapshot().context,
		/** What the facts amount to. */
		roster: () => roster,
		/** `2: 'draining'` and so on, of the children that live. */
		phases: () => phasesOf(actor),
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
