/** A supervisor in a test: events in, decisions out, without processes and without a clock. */
import { type Command, leafOf, phasesOf } from '../machines/charts/world.ts';
import { type ExternalEvent, type Fact, type Plan, usualPlan } from '../machines/facts/facts.ts';
import { isDecision } from '../machines/facts/stamp.ts';
import { endOf, simulatedPid } from '../machines/simulation/nextEvents.ts';
import { simulator } from '../machines/simulation/simulator.ts';
import { evolveRotations } from '../machines/state/evolveRotations.ts';
import { noRotations } from '../machines/state/rotations.ts';
import type { SupervisorState } from '../machines/state/supervisorState.ts';
import { sentenceOf } from '../machines/text/sentences.ts';

/** Facts that a test has sent itself: their lines are left out of `reports`. */
const isNews = /^child\.(spawnFailed|exited)$/;

export type Simulation = ReturnType<typeof simulate>;

/**
 * A supervisor before its first event.
 * @param check called before each event; it may throw
 */
export function simulate(check: (external: ExternalEvent, state: SupervisorState | null) => void = () => {}) {
	const commands: Command[] = [];
	const history: Fact[] = [];
	const log: string[] = [];
	let reports: string[] = [];
	let rotations = noRotations;
	const world = simulator({
		seq: 0,
		at: 1_000_000,
		told: (fact, before) => {
			history.push(fact);
			rotations = evolveRotations(rotations, fact, before);
			const sentence = sentenceOf(fact, before, null);
			if (sentence) log.push(sentence.text);
			if (sentence && !isNews.test(fact.type)) reports.push(sentence.text);
		},
		command: (command) => commands.push(command),
	});

	const simulation = {
		/** All facts so far: events and decisions. */
		history,
		/** The lines of the log so far. */
		log,
		/** The rotations, as `GET /rotations` shows them. */
		rotations: () => rotations.kept,
		/** Lets time pass, in milliseconds. */
		wait(ms: number) {
			world.wait(ms);
			return simulation;
		},
		/** Sends events. */
		tell(...externals: ExternalEvent[]) {
			for (const external of externals) {
				check(external, world.supervisorState());
				world.tell(external);
			}
			return simulation;
		},
		start: (changes: Partial<Plan> = {}) =>
			simulation.tell({ type: 'supervisor.started', pid: 1, plan: { ...usualPlan, ...changes } }),
		/** Continues from a state, after an upgrade. */
		recover: (supervisorState: SupervisorState) =>
			simulation.tell({ type: 'supervisor.recovered', pid: 1, by: 'upgrade', state: supervisorState }),
		/** The child has a process: pid 100 plus its number. */
		spawned: (child: number) =>
			simulation.tell({ type: 'child.spawned', child, pid: simulatedPid(child), startTime: child, pipe: child }),
		/** The -start wait of the child elapses. */
		waited: (child: number) => simulation.tell({ type: 'timer.elapsed', child, timer: 'boot' }),
		/** The child reports that it is ready. */
		announced: (child: number) => simulation.tell({ type: 'child.announced', child, by: 'notify' }),
		/** The child is seen to accept. */
		verified: (child: number) => simulation.tell({ type: 'child.verified', child, isSeen: true }),
		/** The -start wait of the child elapses, and it is seen to accept if another generation serves. */
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
		/** The fold of all facts. */
		supervisorState: world.supervisorState,
		/** `2: 'draining'` and so on, of the children that live. */
		phases: () => phasesOf(world.supervisor()),
		commands,
		/** The orders to processes since the last call: `spawn 2`, `HUP to 1`. */
		decided(): string[] {
			reports = [];
			const taken = commands.splice(0).map(sentence);
			return taken.filter((text) => text !== '');
		},
		/** The lines of the log since the last call to `decided`, without the exits and failed spawns of children. */
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
