/** -bake: a ready candidate serves beside the serving generation for a while before it is promoted. */
import { describe, expect, it } from 'vitest';
import type { Plan } from '../../src/machines/facts/facts.ts';
import { evolve } from '../../src/machines/state/evolve.ts';
import { withoutUnborn } from '../../src/machines/state/recoveryState.ts';
import type { SupervisorState } from '../../src/machines/state/supervisorState.ts';
import { type Simulation, simulate } from '../../src/testing/simulation.ts';
import { baking, rotating, running } from '../support/simulation.ts';

const due = (simulation: Simulation) => simulation.tell({ type: 'bake.due' });
const generations = ({ history }: Simulation) =>
	history.filter((fact) => fact.type.startsWith('generation.') && fact.type !== 'generation.started');

function stateOf(simulation: Simulation, length = simulation.history.length): SupervisorState {
	let state: SupervisorState | null = null;
	for (const fact of simulation.history.slice(0, length)) state = evolve(state, fact);
	if (!state) throw new Error('nothing has happened');
	return state;
}

/** A supervisor that is started again after one was killed. */
const restarted = (simulation: Simulation, length?: number) =>
	simulate().tell({
		type: 'supervisor.recovered',
		pid: 1,
		by: 'start',
		state: withoutUnborn(stateOf(simulation, length)),
	});

describe('a candidate that is up', () => {
	it('bakes beside the serving generation, which gets no signal until the bake ends', () => {
		const simulation = rotating({ bake: 5000 }).up(2);
		expect(simulation.decided()).toEqual([]);
		expect(simulation.state()).toBe('baking');
		expect(simulation.phases()).toEqual({ 1: 'serving', 2: 'serving' });
		expect(due(simulation).decided()).toEqual(['HUP to 1']);
		expect(simulation.state()).toBe('draining');
		expect(simulation.exited(1).state()).toBe('running');
	});

	it('waits for the time of -bake, from the moment when its last child is up', () => {
		const simulation = rotating({ bake: 5000 }).up(2);
		expect(simulation.commands).toContainEqual(expect.objectContaining({ timer: 'bake', millis: 5000, since: null }));
	});

	it('is promoted at once without -bake, and where no other generation serves', () => {
		expect(rotating().up(2).state()).toBe('draining');
		expect(running({ bake: 5000 }).state()).toBe('running');
		expect(rotating({ bake: 5000 }).exited(1, 1).up(2).state()).toBe('running');
	});

	it('bakes also with -verify=none', () => {
		expect(rotating({ bake: 5000, verify: 'none' }).up(2).state()).toBe('baking');
	});
});

describe('a candidate of which a child exits during its bake', () => {
	it.each<[string, Partial<Plan>]>([
		['without -respawn', {}],
		['with -respawn', { respawn: 0 }],
	])('fails, %s, and the serving generation gets no signal', (_, plan) => {
		const simulation = baking(plan).exited(2, 3);
		expect(generations(simulation).at(-1)).toMatchObject({
			type: 'generation.failed',
			generation: 2,
			serving: 1,
			code: 'bake',
			reason: expect.stringMatching(/^\d+ exit status 3 during its bake \(-bake=5000\)$/),
		});
		expect(simulation.decided()).toEqual([]);
		expect(simulation.state()).toBe('running');
		expect(simulation.supervisorState()?.respawns).toEqual([]);
	});

	it('fails as a whole: its other children are told to leave, and the supervisor ends none of the old ones', () => {
		const simulation = running({ bake: 5000, size: 2 }).spawned(2).up(2).signal('HUP').spawned(3).spawned(4);
		simulation.up(3).up(4);
		expect(simulation.state()).toBe('baking');
		simulation.decided();
		expect(simulation.exited(3, 1).decided()).toEqual(['HUP to 4']);
		expect(simulation.state()).toBe('draining');
		expect(simulation.exited(4).state()).toBe('running');
	});

	it('stays where the serving generation has no living child', () => {
		const simulation = running({ bake: 5000, size: 2, respawn: 60_000 }).spawned(2).up(2).signal('HUP');
		simulation.spawned(3).spawned(4).up(3).up(4).exited(1, 1).exited(2, 1);
		expect(simulation.state()).toBe('baking');
		simulation.exited(3, 1);
		expect(generations(simulation).at(-1)).toMatchObject({ type: 'generation.degraded', generation: 2, replaced: [1] });
		expect(simulation.phases()[4]).toBe('serving');
	});
});

describe('during a bake', () => {
	it('a request for a rotation is queued, and the next candidate starts when the bake ends', () => {
		for (const asked of [{ type: 'signal.HUP' }, { type: 'rotate.requested' }] as const) {
			const simulation = baking().tell(asked, asked);
			expect(simulation.decided()).toEqual([]);
			expect(due(simulation).decided()).toEqual(['HUP to 1', 'spawn 3']);
			expect(simulation.state()).toBe('rotating');
		}
	});

	it('a stop reaches every child at once, and ends the bake', () => {
		const simulation = baking().signal('TERM');
		expect(simulation.decided()).toEqual(['TERM to 1', 'TERM to 2']);
		expect(simulation.supervisorState()?.bake).toBeNull();
		expect(simulation.exited(1).exited(2).status()).toBe(0);
	});

	it('the candidate is promoted at once where the serving generation ends', () => {
		const simulation = baking().exited(1, 1);
		expect(generations(simulation).at(-1)).toMatchObject({ type: 'generation.promoted', generation: 2, replaced: [] });
		expect(simulation.state()).toBe('running');
		expect(simulation.exited(2, 4).status()).toBe(4);
	});

	it('a lost child of the serving generation is started again', () => {
		const simulation = baking({ respawn: 0, size: 1 });
		const two = running({ bake: 5000, size: 2, respawn: 0 }).spawned(2).up(2).signal('HUP').spawned(3).spawned(4);
		two.up(3).up(4).decided();
		two.exited(1, 1).tell({ type: 'respawn.due', generation: 1, index: 0 });
		expect(two.decided()).toEqual(['spawn 5']);
		expect(simulation.exited(1, 1).tell({ type: 'respawn.due', generation: 1, index: 0 }).decided()).toEqual([
			'spawn 3',
		]);
	});

	it('a slot of the serving generation that was held back while the candidate booted is filled', () => {
		const simulation = running({ bake: 5000, size: 2, respawn: 0 })
			.spawned(2)
			.up(2)
			.signal('HUP')
			.spawned(3)
			.spawned(4);
		simulation.exited(1, 1).tell({ type: 'respawn.due', generation: 1, index: 0 }).decided();
		simulation.up(3).up(4);
		expect(simulation.decided()).toEqual(['spawn 5']);
	});
});

describe('after its supervisor is upgraded or killed, a bake', () => {
	it('goes on, counted from its beginning, and ends as it would have', () => {
		const simulation = baking();
		const state = stateOf(simulation);
		for (const next of [simulate().recover(state), restarted(simulation)]) {
			expect(next.state()).toBe('baking');
			const wait = next.commands.find((command) => command.type === 'wait' && command.timer === 'bake');
			expect(wait).toMatchObject({ millis: 5000, since: state.bake?.clock });
			expect(state.bake?.clock).toEqual(expect.any(Number));
			next.decided();
			expect(due(next).decided()).toEqual(['HUP to 1']);
			expect(next.supervisorState()).toMatchObject({ serving: 2, candidate: null, bake: null });
		}
	});

	it('fails where a child of the candidate exits afterwards', () => {
		const next = restarted(baking()).exited(2, 1);
		expect(generations(next).at(-1)).toMatchObject({ type: 'generation.failed', code: 'bake' });
		expect(next.phases()).toEqual({ 1: 'serving' });
	});

	it('is over where the serving generation has ended', () => {
		const next = restarted(baking()).exited(1, 1);
		expect(next.supervisorState()).toMatchObject({ serving: 2, candidate: null, bake: null });
	});

	it('leaves a generation that serves, wherever between two facts the supervisor is killed', () => {
		for (const simulation of [
			due(baking()),
			baking().exited(2, 1),
			baking({ respawn: 0 }).exited(2, 1),
			baking().exited(1, 1),
		]) {
			const isRotating = (length: number) => stateOf(simulation, length).children.every(({ pid }) => pid !== null);
			for (let length = 2; length <= simulation.history.length; length += 1) {
				if (!isRotating(length)) continue;
				const { children, respawns } = stateOf(simulation, length);
				if (children.length + respawns.length === 0) continue;
				const next = restarted(simulation, length);
				if (next.state() === 'baking') due(next);
				const left = next.supervisorState();
				const isPlanned =
					left?.candidate !== null || left.children.some(({ generation }) => generation === left.serving);
				expect(isPlanned, `killed after ${length} facts`).toBe(true);
			}
		}
	});
});
