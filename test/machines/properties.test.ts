import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { leafOf, phasesOf } from '../../src/machines/charts/world.ts';
import type { Plan } from '../../src/machines/facts/facts.ts';
import { evolve } from '../../src/machines/state/evolve.ts';
import { type SupervisorState, stateOf } from '../../src/machines/state/supervisorState.ts';
import { modelWorld } from '../support/model.ts';
import { plan } from '../support/simulation.ts';

const plans = fc.record({
	start: fc.constant(plan.start),
	ready: fc.constantFrom('wait' as const, 'notify' as const, 'accept' as const),
	verify: fc.constantFrom('accept' as const, 'none' as const),
	kill: fc.constantFrom(0, 500),
	drain: fc.constantFrom('HUP', 'TERM'),
	stop: fc.constantFrom(null, 'QUIT'),
	size: fc.integer({ min: 1, max: 3 }),
	respawn: fc.constantFrom(-1, 0, 500),
	maxDraining: fc.constantFrom(0, 0, 1, 2),
	bake: fc.constantFrom(0, 0, 500),
	check: fc.constantFrom('', '', '/up'),
});
const choices = fc.array(fc.nat(), { maxLength: 60 });
const spawnLuck = fc.array(
	fc.boolean().map((isBad) => !isBad || undefined),
	{ maxLength: 5 },
);

type ModelWorld = ReturnType<typeof modelWorld>;

interface Before {
	stopSignal: string | null;
	serving: number;
	candidate: number | null;
	servingAlive: number[];
}

function snapshot(world: ModelWorld | null): Before {
	const context = world?.actor.getSnapshot().context;
	const serving = context?.serving ?? 0;
	return {
		stopSignal: context?.stopSignal ?? null,
		serving,
		candidate: context?.candidate ?? null,
		servingAlive: (world?.living() ?? []).filter((own) => own.generation === serving).map((own) => own.child),
	};
}

/** A moment of a history: before a step, what the step did, and how all stands after it. */
interface Moment {
	world: ModelWorld;
	before: Before;
	effects: ReturnType<ModelWorld['takeEffects']>;
}

/** Each holds after every step of every history. */
const rules: Record<string, () => (moment: Moment) => void> = {
	'no child is told to drain before its successor is ready and alive':
		() =>
		({ world, effects }) => {
			for (const { child, reason } of effects.told) {
				if (reason !== 'drain') continue;
				const generation = world.processes.get(child)?.generation ?? 0;
				const { serving } = world.actor.getSnapshot().context;
				const successors = world.living().filter((own) => own.generation === serving && serving > generation);
				const isReady = successors.length > 0 && successors.every((own) => own.isUp);
				const isOf = (id: number) => world.processes.get(id)?.generation === generation;
				const lost =
					world.history.some((fact) => fact.type === 'generation.failed' && fact.generation === generation) ||
					[...world.processes.values()].some((own) => own.generation === generation && !own.isAlive) ||
					world.history.some((fact) => fact.type === 'child.rejected' && isOf(fact.child));
				const wasAlone = world.history.some(
					(fact) =>
						(fact.type === 'child.rejected' && fact.child === child) ||
						(fact.type === 'generation.exhausted' && fact.generation === generation),
				);
				if (wasAlone) continue;
				expect(isReady || (lost && serving < generation)).toBe(true);
			}
		},

	'a rotation that fails leaves the serving generation untouched':
		() =>
		({ world, before, effects }) => {
			const { context } = world.actor.getSnapshot();
			const hasFailed =
				before.candidate !== null && context.candidate !== before.candidate && context.serving === before.serving;
			if (!hasFailed || context.stopSignal !== null) return;
			expect(effects.told.filter(({ child }) => before.servingAlive.includes(child))).toEqual([]);
		},

	'after a stop no child is ever spawned':
		() =>
		({ before, effects }) => {
			if (before.stopSignal !== null) expect(effects.spawned).toBe(0);
		},

	'every spawned child is told to drain at most once':
		() =>
		({ world }) => {
			for (const { signals } of world.processes.values())
				expect(signals.filter(({ reason }) => reason === 'drain').length).toBeLessThanOrEqual(1);
		},

	'the supervisor ends exactly when the last child is gone and none is to follow':
		() =>
		({ world }) => {
			const hasEnded = world.actor.getSnapshot().status === 'done';
			expect(hasEnded).toBe(world.living().length === 0 && !world.isRespawning());
		},

	'the supervisorState folded from the facts tells the same as the statecharts': () => {
		let supervisorState: SupervisorState | null = null;
		let folded = 0;
		return ({ world }) => {
			for (const fact of world.history.slice(folded)) supervisorState = evolve(supervisorState, fact);
			folded = world.history.length;
			expect(readRoster(supervisorState as unknown as SupervisorState)).toEqual(readCharts(world));
		};
	},
};

/** Runs a random history to its end. @throws {BrokenRule} by the first step after which one does not hold */
function run(plan: Plan, choices: number[], luck: (boolean | undefined)[]) {
	// The first generation starts; later spawns fail where the luck is false.
	const rolls = [true, true, true, ...luck.map((each) => each ?? false)];
	const world = modelWorld(plan, () => rolls.shift() ?? true);
	const checks = Object.entries(rules).map(([name, begin]) => [name, begin()] as const);
	check(snapshot(null));
	for (const choice of choices) {
		if (world.actor.getSnapshot().status !== 'active') break;
		const before = snapshot(world);
		const events = world.possibilities();
		events[choice % events.length]?.();
		check(before);
	}

	function check(before: Before) {
		const effects = world.takeEffects();
		for (const [name, holds] of checks) {
			try {
				holds({ world, before, effects });
			} catch (error) {
				throw new BrokenRule(name, error);
			}
		}
	}
}

class BrokenRule extends Error {
	readonly rule: string;
	constructor(rule: string, cause: unknown) {
		super((cause as Error).message, { cause });
		this.rule = rule;
	}
}

const numRuns = 3000;

describe('in any sequence of facts', () => {
	/** The first rule that does not hold, and the shortest history that shows it. */
	let broken: { rule: string; words: string } | null = null;

	beforeAll(() => {
		const found = fc.check(fc.property(plans, choices, spawnLuck, run), { numRuns });
		if (!found.failed) return;
		const { errorInstance: error } = found;
		if (!(error instanceof BrokenRule)) throw error;
		broken = { rule: error.rule, words: fc.defaultReportMessage(found) ?? error.message };
	});

	it.each(Object.keys(rules))('%s', (rule) => {
		expect(broken?.rule === rule ? broken.words : null).toBeNull();
	});
});

function readRoster(supervisorState: SupervisorState) {
	const {
		serving,
		isComplete,
		lastGeneration,
		lastChild,
		stopSignal,
		status,
		candidate,
		queued,
		restarts,
		isQuitting,
	} = supervisorState;
	return {
		state: stateOf(supervisorState),
		serving,
		isComplete,
		lastGeneration,
		lastChild,
		stopSignal,
		status,
		restarts,
		isQuitting,
		...(stateOf(supervisorState) === 'stopped' ? {} : { candidate, queued }),
		children: Object.fromEntries(supervisorState.children.map(({ child, phase }) => [child, phase])),
	};
}

function readCharts({ actor }: ModelWorld) {
	const { value, context } = actor.getSnapshot();
	const {
		serving,
		isComplete,
		lastGeneration,
		lastChild,
		stopSignal,
		status,
		candidate,
		queued,
		restarts,
		isQuitting,
	} = context;
	return {
		state: leafOf(value),
		serving,
		isComplete,
		lastGeneration,
		lastChild,
		stopSignal,
		status,
		restarts,
		isQuitting,
		...(leafOf(value) === 'stopped' ? {} : { candidate, queued }),
		children: phasesOf(actor),
	};
}
