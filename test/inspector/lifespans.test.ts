import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { kindOf, nameAt, phaseAt, resultAt, stepsOf } from '../../src/inspector/lifespans.ts';
import { evolve } from '../../src/machines/state/evolve.ts';
import { healthOf } from '../../src/machines/state/health.ts';
import { evolveProjections, noProjections } from '../../src/machines/state/projections.ts';
import { withoutUnborn } from '../../src/machines/state/recoveryState.ts';
import type { SupervisorState } from '../../src/machines/state/supervisorState.ts';
import { simulate } from '../../src/testing/simulation.ts';
import { draining, rotating, running } from '../support/simulation.ts';
import { choices, factsOf, storyOf } from './history.ts';

describe('lives', () => {
	it('say of every child at every fact the phase that the supervisorState says', () => {
		fc.assert(
			fc.property(choices, fc.integer({ min: 1, max: 3 }), (happened, size) => {
				const facts = factsOf(happened, size);
				const { children } = storyOf(facts).lives;
				let supervisorState: SupervisorState | null = null;
				facts.forEach((fact, place) => {
					supervisorState = evolve(supervisorState, fact);
					const phases = children.map((life) => [life.child, phaseAt(life, place)] as const);
					const living = phases.filter(([, phase]) => phase !== null && phase !== 'gone');
					expect(living).toEqual(supervisorState?.children.map(({ child, phase }) => [child, phase]));
				});
			}),
			{ numRuns: 150 },
		);
	});

	it('count the children that boot, serve and leave as the supervisorState does, at every fact', () => {
		fc.assert(
			fc.property(choices, fc.integer({ min: 1, max: 3 }), (happened, size) => {
				const facts = factsOf(happened, size);
				const { generations } = storyOf(facts).lives;
				let supervisorState: SupervisorState | null = null;
				facts.forEach((fact, place) => {
					supervisorState = evolve(supervisorState, fact);
					const count = { coming: 0, serving: 0, leaving: 0 };
					for (const life of generations) {
						const last = stepsOf(life, place).at(-1);
						for (const kind of ['coming', 'serving', 'leaving'] as const) count[kind] += last?.[kind] ?? 0;
					}
					const expected = { coming: 0, serving: 0, leaving: 0 };
					for (const { phase } of supervisorState?.children ?? []) expected[kindOf(phase)] += 1;
					expect(count).toEqual(expected);
				});
			}),
			{ numRuns: 100 },
		);
	});

	it('keep what is reported of each rotation, as the command line has it', () => {
		fc.assert(
			fc.property(choices, (happened) => {
				const facts = factsOf(happened);
				let projections = noProjections;
				for (const fact of facts) projections = evolveProjections(projections, fact);
				const settled = projections.rotations.kept.filter(({ result }) => result !== 'pending');
				const { generations } = storyOf(facts).lives;
				// A supervisor that starts anew numbers its generations from 1 again.
				const begin = facts.findLastIndex(({ type }) => type === 'supervisor.started');
				for (const rotation of settled) {
					const life = generations.findLast(
						({ generation, started }) => generation === rotation.generation && started.index > begin,
					);
					// A queued rotation that a stop came before has no generation.
					if (!life && rotation.spawnedAt === null) continue;
					expect(life?.record?.finishedAt).toBe(rotation.finishedAt);
					expect(life?.record?.reason).toBe(rotation.reason);
				}
			}),
			{ numRuns: 100, examples: [[[0, 0, 364, 0, 839, 770, 147]]] },
		);
	});

	it('say of the service at every fact the health that the supervisorState says', () => {
		fc.assert(
			fc.property(choices, fc.integer({ min: 1, max: 3 }), (happened, size) => {
				const facts = factsOf(happened, size);
				const { service } = storyOf(facts).lives;
				let supervisorState: SupervisorState | null = null;
				facts.forEach((fact, place) => {
					supervisorState = evolve(supervisorState, fact);
					expect(service.findLast(({ index }) => index <= place)?.state).toBe(
						supervisorState && healthOf(supervisorState).state,
					);
				});
			}),
			{ numRuns: 100 },
		);
	});

	it('divide two supervisors, and the time in which none lived is not known', () => {
		const live = running().wait(5000);
		const state = live.supervisorState() as SupervisorState;
		live.tell({ type: 'supervisor.recovered', pid: 2, by: 'start', state });
		const { beginnings, service } = storyOf(live.history).lives;
		expect(beginnings.map(({ how, gap }) => [how, gap])).toEqual([
			[null, 0],
			['recovered', 5000],
		]);
		expect(service.map(({ state }) => state)).toEqual(['starting', 'ok', 'unknown', 'ok']);
	});

	it('tell the result of a rotation only from when it was known', () => {
		const { history } = rotating().wait(3000).up(2);
		const { lives } = storyOf(history);
		const second = lives.generations.find(({ generation }) => generation === 2);
		const promoted = history.findIndex((fact) => fact.type === 'child.verified' && fact.child === 2);
		expect(second && resultAt(second, promoted - 1)).toBe('pending');
		expect(second && resultAt(second, promoted)).toBe('promoted');
		expect(second && resultAt(second, 0)).toBeNull();
		expect((second?.result?.at ?? 0) - (second?.requestedAt ?? 0)).toBe(3000);
		expect(second?.replaced.map(({ generation }) => generation)).toEqual([1]);
	});

	it('count a rotation that had to wait its turn from when it was asked for', () => {
		const { history } = rotating().wait(100).signal('HUP').wait(900).up(2).wait(50).spawned(3).wait(3000).up(3);
		const third = storyOf(history).lives.generations.find(({ generation }) => generation === 3);
		expect((third?.result?.at ?? 0) - (third?.requestedAt ?? 0)).toBe(100 - 100 + 900 + 50 + 3000);
	});

	it('tell how a child ended, and whether it was told to', () => {
		const { children } = storyOf(draining().exited(1, 0).exited(2, 3).history).lives;
		expect(children[0]?.end).toMatchObject({ how: 'exit 0', wasTold: true });
		expect(children[1]?.end).toMatchObject({ how: 'exit 3', wasTold: false });
	});

	it('mark a generation that a stop came before as stopped', () => {
		const { history } = simulate().start().spawned(1).signal('TERM');
		const first = storyOf(history).lives.generations[0];
		expect(first?.result?.kind).toBe('stopped');
	});

	it('call a first start that came to nothing failed, as it never served', () => {
		const { history } = simulate().start().spawned(1).exited(1, 7);
		expect(storyOf(history).lives.generations[0]?.result?.kind).toBe('failed');
	});

	it('keep the lives of a supervisor apart from those of the next one in the same journal', () => {
		const first = simulate().start().spawned(1).up(1).exited(1, 3).history;
		const second = simulate()
			.start()
			.spawned(1)
			.history.map((fact) => ({ ...fact, seq: fact.seq + first.length }));
		const { lives } = storyOf([...first, ...second]);
		expect(lives.children.map(({ child, end }) => [child, end?.how ?? null])).toEqual([
			[1, 'exit 3'],
			[1, null],
		]);
		expect(lives.generations.map(({ result }) => result?.kind ?? 'pending')).toEqual(['promoted', 'pending']);
		expect(lives.childAt(1, first.length - 1)).toBe(lives.children[0]);
		expect(lives.childAt(1, first.length + second.length - 1)).toBe(lives.children[1]);
	});

	it('take from a checkpoint what facts that are missing would have told', () => {
		const simulation = rotating();
		const before = [...simulation.history];
		const supervisorState = simulation.up(2).supervisorState();
		if (!supervisorState) throw new Error('nothing is known');
		const seq = simulation.history.length;
		const gap = { type: 'checkpoint', seq, at: 2_000_000, state: supervisorState, gap: true } as const;
		const { children, generations } = storyOf([...before, gap]).lives;
		const last = before.length;
		expect(children.map((life) => phaseAt(life, last))).toEqual(['draining', 'serving']);
		expect(generations.map((life) => resultAt(life, last))).toEqual(['promoted', 'promoted']);
	});

	it('do not count a rotation that nobody asked for from an old request', () => {
		const simulation = draining()
			.wait(3_600_000)
			.exited(2, 1)
			.tell({ type: 'restart.due' })
			.spawned(3)
			.wait(3000)
			.up(3);
		const third = storyOf(simulation.history).lives.generations.find(({ generation }) => generation === 3);
		expect((third?.result?.at ?? 0) - (third?.requestedAt ?? 0)).toBe(3000);
	});

	it('call a candidate failed that a crash left without a process', () => {
		const simulation = running().signal('HUP');
		const supervisorState = simulation.supervisorState();
		if (!supervisorState) throw new Error('nothing is known');
		simulation.tell({ type: 'supervisor.recovered', pid: 1, by: 'start', state: withoutUnborn(supervisorState) });
		const { generations } = storyOf(simulation.history).lives;
		expect(generations.map(({ generation, result }) => [generation, result?.kind])).toEqual([
			[1, 'promoted'],
			[2, 'failed'],
			[3, undefined],
		]);
	});

	it('go on when the clock is set back', () => {
		const simulation = rotating().wait(3000).up(2).wait(-3_600_000).exited(1);
		const timeline = storyOf(simulation.history);
		const [first] = timeline.lives.children;
		expect((first?.end?.at ?? 0) - (first?.segments[0]?.at ?? 0)).toBe(3000);
		expect(timeline.indexAt(first?.end?.at ?? 0)).toBe(simulation.history.length - 1);
	});

	it('know a pid only from when it was known', () => {
		const { history } = simulate().start().spawned(1);
		const [child] = storyOf(history).lives.children;
		const spawned = history.findIndex(({ type }) => type === 'child.spawned');
		expect(child && nameAt(child, spawned - 1)).toBe('child 1');
		expect(child && nameAt(child, spawned)).toBe('101');
	});
});
