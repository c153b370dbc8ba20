import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeState } from '../../src/machines/charts/world.ts';
import type { Fact } from '../../src/machines/facts/facts.ts';
import { createReplay } from '../../src/machines/simulation/replay.ts';
import { evolve } from '../../src/machines/state/evolve.ts';
import { evolveProjections, noProjections } from '../../src/machines/state/projections.ts';
import { withoutUnborn } from '../../src/machines/state/recoveryState.ts';
import { isLeaving, type SupervisorState, stateOf } from '../../src/machines/state/supervisorState.ts';
import { simulate } from '../../src/testing/simulation.ts';
import { modelWorld } from '../support/model.ts';
import { childState, plan, running, stateWith } from '../support/simulation.ts';

const choices = fc.array(fc.nat(), { maxLength: 60 });
const luck = fc.array(fc.boolean(), { maxLength: 5 });
const respawn = fc.constantFrom(-1, 0, 500);

/** A random run, with the live state after each step, when the charts are at rest. */
function randomRun(size: number, picks: number[], rolls: boolean[], respawn = -1) {
	const left = [...Array(size).fill(true), ...rolls];
	const world = modelWorld({ ...plan, kill: 500, size, respawn }, () => left.shift() ?? true);
	const states = new Map([[world.history.length, describeState(world.actor)]]);
	for (const pick of picks) {
		if (world.actor.getSnapshot().status !== 'active') break;
		const events = world.possibilities();
		events[pick % events.length]?.();
		states.set(world.history.length, describeState(world.actor));
	}
	return { history: world.history, states };
}

describe('any run', () => {
	it('is in the same state after a replay, at every fact, and decides the same', () => {
		fc.assert(
			fc.property(fc.integer({ min: 1, max: 3 }), choices, luck, respawn, (size, picks, rolls, respawn) => {
				const { history, states } = randomRun(size, picks, rolls, respawn);
				const replay = createReplay();
				for (const fact of history) {
					const { after, difference } = replay.tell(fact);
					expect(difference).toBe(null);
					const live = states.get(fact.seq);
					if (live !== undefined) expect(after).toBe(live);
				}
			}),
			{ numRuns: 500 },
		);
	});

	it('leaves no rotation without a result but of what is under way', () => {
		fc.assert(
			fc.property(fc.integer({ min: 1, max: 3 }), choices, luck, respawn, (size, picks, rolls, respawn) => {
				const { history, states } = randomRun(size, picks, rolls, respawn);
				let past = noProjections;
				for (const fact of history) {
					past = evolveProjections(past, fact);
					const { state, rotations } = past;
					if (!state || !states.has(fact.seq)) continue;
					const isStopping = state.stopSignal !== null || stateOf(state) === 'stopped';
					const isThere = (each: number) =>
						[...state.children, ...state.respawns].some(({ generation }) => generation === each);
					const underWay = [
						...(state.candidate !== null ? [state.candidate] : []),
						...(!state.isComplete && isThere(state.serving) ? [state.serving] : []),
						...(state.queued !== null ? [state.lastGeneration + 1] : []),
					];
					// One that nobody is left of has to wait for the next one's result.
					const isGone = !state.isComplete && !isThere(state.serving) && state.candidate !== null;
					const pending = rotations.kept.filter(({ result }) => result === 'pending');
					const left = pending.map(({ generation }) => generation);
					// One that was promoted as nobody else served is looked at still.
					const isLookedAt =
						state.isComplete &&
						state.children.some(
							(each) => each.generation === state.serving && each.isSeen === null && !isLeaving(each),
						);
					const known = isGone || isLookedAt ? left.filter((generation) => generation !== state.serving) : left;
					expect(known.sort()).toEqual(isStopping ? [] : underWay.sort());
				}
			}),
			{ numRuns: 500 },
		);
	});

	it('can be cut at any point of rest and goes on from what the facts amount to', () => {
		fc.assert(
			fc.property(
				fc.integer({ min: 1, max: 3 }),
				choices,
				luck,
				fc.nat(),
				respawn,
				(size, picks, rolls, at, respawn) => {
					const { history, states } = randomRun(size, picks, rolls, respawn);
					const rests = [...states.keys()];
					const cut = rests[at % rests.length] ?? 0;
					let supervisorState: SupervisorState | null = null;
					for (const fact of history.slice(0, cut)) supervisorState = evolve(supervisorState, fact);
					if (!supervisorState || stateOf(supervisorState) === 'stopped') return;
					const replay = createReplay();
					expect(replay.restore(supervisorState, cut, 0).after).toBe(states.get(cut));
					for (const fact of history.slice(cut)) {
						const { after, difference } = replay.tell(fact);
						expect(difference).toBe(null);
						const live = states.get(fact.seq);
						if (live !== undefined) expect(after).toBe(live);
					}
				},
			),
			{ numRuns: 500 },
		);
	});
});

describe('an upgrade', () => {
	const usr2 = { type: 'signal.USR2' } as const;

	it('checks the new program first, and hands over when it is sound', () => {
		const simulation = running().tell(usr2);
		expect(simulation.history.at(-1)).toMatchObject({ type: 'upgrade.begun' });
		expect(simulation.commands.map(({ type }) => type)).toEqual(['preflight']);
		simulation.tell({ type: 'upgrade.verified' });
		expect(simulation.commands.at(-1)).toEqual({ type: 'handover' });
		expect(simulation.state()).toBe('running');
	});

	it('fails when the new program is not sound, and can be asked for again', () => {
		const simulation = running().tell(usr2, { type: 'upgrade.refused', reason: 'it is broken' });
		expect(simulation.reports()).toContain('Upgrade refused: it is broken; nothing has changed');
		simulation.tell(usr2);
		expect(simulation.commands.filter(({ type }) => type === 'preflight')).toHaveLength(2);
	});

	it('that fails at the last moment leaves all as it was', () => {
		const simulation = running().tell(
			usr2,
			{ type: 'upgrade.verified' },
			{ type: 'upgrade.failed', reason: 'nobody reads the log' },
		);
		expect(simulation.reports()).toContain('Upgrade failed: nobody reads the log; nothing has changed');
		simulation.signal('HUP');
		expect(simulation.state()).toBe('rotating');
	});

	it('is not begun twice', () => {
		const simulation = running().tell(usr2, { type: 'signal.USR1' });
		expect(simulation.reports()).toContain('Upgrade refused: one is under way already');
		expect(simulation.commands.filter(({ type }) => type === 'preflight')).toHaveLength(1);
	});

	it('is refused while stopping', () => {
		const simulation = running().signal('TERM').tell(usr2);
		expect(simulation.reports()).toContain('SIGUSR2 refused: already stopping');
	});

	it('does not hold up a rotation or a stop', () => {
		const simulation = running().tell(usr2).signal('HUP').spawned(2).up(2).signal('TERM');
		expect(simulation.state()).toBe('stopping');
		expect(simulation.decided()).toEqual(['preflight', 'spawn 2', 'HUP to 1', 'TERM to 1', 'TERM to 2']);
	});
});

describe('a checkpoint', () => {
	it('that stands for facts up to the middle of a birth is gone on from exactly', () => {
		const simulation = running().signal('HUP');
		const checkpoint = simulation.supervisorState();
		const known = simulation.history.length;
		const at = simulation.history.at(-1)?.at ?? 0;
		simulation.spawned(2).up(2).exited(1);
		const replay = createReplay();
		if (checkpoint) replay.restore(checkpoint, known, at);
		const steps = simulation.history.slice(known).map((fact) => replay.tell(fact));
		expect(steps.flatMap(({ difference }) => difference ?? [])).toEqual([]);
		expect(replay.state()).toBe('running 2:serving');
	});

	it('that stands for facts up to the middle of a look whether one accepts is gone on from exactly', () => {
		const simulation = running().signal('HUP').spawned(2).waited(2);
		expect(simulation.phases()[2]).toBe('verifying');
		const checkpoint = simulation.supervisorState();
		const known = simulation.history.length;
		simulation.signal('HUP').verified(2).exited(1);
		const replay = createReplay();
		if (checkpoint) replay.restore(checkpoint, known, 0);
		const steps = simulation.history.slice(known).map((fact) => replay.tell(fact));
		expect(steps.flatMap(({ difference }) => difference ?? [])).toEqual([]);
	});
});

describe('after a supervisor was killed', () => {
	const recovered = (changes: Partial<SupervisorState>, by: 'start' | 'upgrade' = 'start') =>
		simulate().tell({ type: 'supervisor.recovered', pid: 2, by, state: stateWith(changes) });
	const old = childState();
	const candidate = childState({
		child: 2,
		generation: 2,
		pid: 102,
		startTime: 2,
		pipe: 2,
		since: 999_000,
		clock: 99_000,
	});

	it('its children are adopted, not spawned', () => {
		expect(recovered({}).decided()).toEqual(['adopt 1']);
	});

	it('a rotation goes on with its old deadline', () => {
		const simulation = recovered({
			candidate: 2,
			lastGeneration: 2,
			lastChild: 2,
			children: [
				{ ...old, phase: 'serving' },
				{ ...candidate, phase: 'booting' },
			],
		});
		expect(simulation.state()).toBe('rotating');
		expect(simulation.commands).toContainEqual({ type: 'wait', child: 2, timer: 'boot', millis: 3000, since: 99_000 });
		simulation.decided();
		simulation.up(2);
		expect(simulation.decided()).toEqual(['HUP to 1']);
	});

	it('a child that should have been told to leave is told now, one that was told is not told again', () => {
		const promoted = { ...candidate, phase: 'serving' as const, clock: null };
		const children = (told: boolean) => [
			{ ...old, phase: told ? ('draining' as const) : ('serving' as const) },
			promoted,
		];
		const counts = { serving: 2, lastGeneration: 2, lastChild: 2 };
		expect(recovered({ ...counts, children: children(false) }).decided()).toEqual(['adopt 1', 'adopt 2', 'HUP to 1']);
		const told = recovered({ ...counts, children: children(true) });
		expect(told.decided()).toEqual(['adopt 1', 'adopt 2']);
		expect(told.state()).toBe('draining');
	});

	it('a rotation that was asked for begins', () => {
		const simulation = recovered({ queued: 'SIGHUP' });
		expect(simulation.decided()).toEqual(['adopt 1', 'spawn 2']);
		expect(simulation.state()).toBe('rotating');
	});

	it('what was decided upon it is compared in any order where no cause was recorded, and else in its own', () => {
		const booting = { ...candidate, phase: 'booting' as const, readyBy: 'notify' as const };
		const drained = childState({ child: 3, generation: 3, pid: 103 });
		const { history } = recovered({ candidate: 2, lastGeneration: 3, lastChild: 3, children: [old, booting, drained] });
		const [first, ...decided] = history;
		expect(decided.map(({ type }) => type)).toEqual(['child.signalled', 'child.verifying']);
		const differences = (facts: Fact[]) => {
			const replay = createReplay();
			return facts.flatMap((fact) => replay.tell(fact).difference ?? []);
		};
		const swapped = [first, ...decided.reverse()] as Fact[];
		expect(differences(swapped)).toHaveLength(2);
		expect(differences(swapped.map(({ cause: _, ...fact }) => fact as Fact))).toEqual([]);
	});

	it('a drain goes on with its old patience', () => {
		const simulation = recovered({
			plan: { ...plan, kill: 500 },
			serving: 2,
			lastGeneration: 2,
			lastChild: 2,
			children: [
				{ ...old, phase: 'draining', clock: 99_900 },
				{ ...candidate, phase: 'serving', clock: null },
			],
		});
		expect(simulation.commands).toContainEqual({ type: 'wait', child: 1, timer: 'kill', millis: 500, since: 99_900 });
	});

	it('a rotation that had not come to a process begins again', () => {
		const simulation = recovered({ candidate: 2, lastGeneration: 2, trigger: 'SIGHUP' });
		expect(simulation.decided()).toEqual(['adopt 1', 'spawn 2']);
		expect(simulation.history).toContainEqual(
			expect.objectContaining({ type: 'generation.started', generation: 3, trigger: 'SIGHUP' }),
		);
		expect(simulation.spawned(2).up(2).state()).toBe('draining');
	});

	it('a candidate of which only some had a process begins again, and those leave', () => {
		const serving = [childState(), childState({ child: 2, index: 1, pid: 102 })];
		const booting = { ...candidate, child: 3, pid: 103, phase: 'booting' as const };
		const two = { ...plan, size: 2 };
		const counts = { candidate: 2, lastGeneration: 2, lastSize: 2, lastChild: 3, trigger: 'SIGHUP' as const };
		const simulation = recovered({ ...counts, plan: two, children: [...serving, booting] });
		expect(simulation.decided()).toEqual(['adopt 1', 'adopt 2', 'adopt 3', 'HUP to 3', 'spawn 4', 'spawn 5']);
		expect(simulation.spawned(4).spawned(5).up(4).up(5).supervisorState()).toMatchObject({
			serving: 3,
			isComplete: true,
		});
	});

	it('the place of a child that was to take another’s, and had no process yet, is filled', () => {
		const unborn = childState({ child: 3, index: 1, pid: null, phase: 'spawning', attempt: 4, wasUp: true });
		const supervisorState = withoutUnborn(stateWith({ lastChild: 3, children: [childState(), unborn] }));
		expect(supervisorState.respawns).toMatchObject([{ generation: 1, index: 1, attempt: 4, wasUp: true, isDue: true }]);
	});

	it('a process group that was waited for is left alone where -kill is no longer given', () => {
		const simulation = recovered({
			serving: 2,
			lastGeneration: 2,
			lastChild: 2,
			children: [
				{ ...old, phase: 'orphaned', clock: 99_000 },
				{ ...candidate, phase: 'serving', clock: null },
			],
		});
		expect(simulation.decided()).toEqual(['adopt 2']);
		expect(simulation.decisions()).toEqual(['child.abandoned']);
		expect(simulation.state()).toBe('running');
	});

	it('a stop goes on in an upgrade, also to those it had not reached', () => {
		const simulation = recovered({ stopSignal: 'INT' }, 'upgrade');
		expect(simulation.state()).toBe('stopping');
		expect(simulation.decided()).toEqual(['adopt 1', 'INT to 1']);
		simulation.exited(1);
		expect(simulation.status()).toBe(0);
	});

	it('a start goes on with no stop: who was told to leave leaves, and a new generation starts', () => {
		const simulation = recovered({ stopSignal: 'TERM' });
		expect(simulation.decided()).toEqual(['adopt 1', 'TERM to 1', 'spawn 2']);
		expect(simulation.state()).toBe('starting');
		simulation.spawned(2).up(2);
		expect(simulation.state()).toBe('draining');
		simulation.exited(1);
		expect(simulation.state()).toBe('running');
		expect(simulation.exited(2, 3).status()).toBe(3);
	});

	it('a start after a stop that fails is tried again while others leave, and ends with its status', () => {
		const simulation = recovered({ stopSignal: 'TERM' }).spawned(2).exited(2, 7);
		expect(simulation.state()).toBe('unserved');
		expect(simulation.exited(1).status()).toBe(7);
	});

	it('a first generation that was still starting goes on starting', () => {
		const simulation = recovered({
			serving: 0,
			candidate: 1,
			children: [{ ...old, phase: 'booting', clock: 98_000 }],
		});
		expect(simulation.state()).toBe('starting');
		simulation.up(1);
		expect(simulation.state()).toBe('running');
	});
});
