/** -check: a candidate that is up must pass a health check before it bakes or is promoted. */
import { describe, expect, it } from 'vitest';
import type { Plan } from '../../src/machines/facts/facts.ts';
import { evolve } from '../../src/machines/state/evolve.ts';
import { withoutUnborn } from '../../src/machines/state/recoveryState.ts';
import type { SupervisorState } from '../../src/machines/state/supervisorState.ts';
import { type Simulation, simulate } from '../../src/testing/simulation.ts';
import { checking, failed, passed, rotating, running } from '../support/simulation.ts';

const started = (changes: Partial<Plan>) => simulate().start(changes).spawned(1).up(1);
const due = { type: 'bake.due' } as const;
const results = ({ history }: Simulation) =>
	history.filter((fact) => /^generation\.(promoted|failed|degraded)$/.test(fact.type));
const requests = ({ commands }: Simulation) => commands.filter(({ type }) => type === 'request');

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
	it('is checked beside the serving generation, which gets no signal until the check passes', () => {
		const simulation = rotating({ check: '/up' }).up(2);
		expect(simulation.state()).toBe('checking');
		expect(requests(simulation)).toEqual([{ type: 'request', generation: 2, purpose: 'promotion' }]);
		expect(simulation.decided()).toEqual([]);
		expect(simulation.tell(passed(2)).decided()).toEqual(['HUP to 1']);
		expect(simulation.state()).toBe('draining');
	});

	it('is checked for as long as -start says, and for 2 s where that is shorter', () => {
		const deadline = (start: number) => stateOf(checking({ start })).checks.candidate?.millis;
		expect([deadline(5000), deadline(3000), deadline(100), deadline(0)]).toEqual([5000, 3000, 2000, 2000]);
	});

	it('fails with its check: it is told to leave, the serving generation is not', () => {
		const simulation = checking().tell(failed(2));
		expect(simulation.decided()).toEqual(['HUP to 2']);
		expect(results(simulation).at(-1)).toMatchObject({
			type: 'generation.failed',
			generation: 2,
			serving: 1,
			code: 'check-failed',
			reason: 'it did not answer -check=/up with 2xx within 3.0 s: 503',
		});
		expect(simulation.phases()).toEqual({ 1: 'serving', 2: 'draining' });
	});

	it('that has failed its check is killed after 10 s, although -kill is not set', () => {
		const simulation = checking();
		simulation.tell(failed(2));
		const kill = simulation.commands.find((command) => command.type === 'wait' && command.timer === 'kill');
		expect(kill).toMatchObject({ child: 2, millis: 10_000 });
		expect(stateOf(simulation).children[1]).toMatchObject({ child: 2, isDismissed: true });
	});

	it('fails where a child of it exits during the check', () => {
		const simulation = checking({ respawn: 0 }).exited(2, 3);
		expect(results(simulation).at(-1)).toMatchObject({ type: 'generation.failed', generation: 2, code: 'exited' });
		expect(simulation.state()).toBe('running');
	});

	it('is checked with -verify=none too', () => {
		expect(checking({ verify: 'none' }).state()).toBe('checking');
	});

	it('bakes after its check, is checked while it bakes, and once more before it is promoted', () => {
		const simulation = checking({ bake: 5000 });
		expect(simulation.tell(passed(2)).state()).toBe('baking');
		expect(requests(simulation)).toEqual([{ type: 'request', generation: 2, purpose: 'bake' }]);
		simulation.decided();
		expect(simulation.tell(due).state()).toBe('checking');
		expect(requests(simulation)).toEqual([{ type: 'request', generation: 2, purpose: 'promotion' }]);
		simulation.decided();
		expect(simulation.tell(passed(2)).decided()).toEqual(['HUP to 1']);
		expect(simulation.state()).toBe('draining');
	});

	it.each([
		['during its bake', checking({ bake: 5000 }).tell(passed(2), failed(2))],
		['after its bake', checking({ bake: 5000 }).tell(passed(2), due, failed(2))],
	])('fails with a check that fails %s', (_, simulation) => {
		expect(results(simulation).at(-1)).toMatchObject({
			type: 'generation.failed',
			generation: 2,
			code: 'check-failed',
		});
		expect(simulation.phases()).toEqual({ 1: 'serving', 2: 'draining' });
	});
});

describe('the first generation', () => {
	it('is promoted when its check passes', () => {
		const simulation = started({ check: '/up' });
		expect(simulation.state()).toBe('checking');
		expect(results(simulation)).toEqual([]);
		simulation.tell(passed(1));
		expect(results(simulation)).toMatchObject([{ type: 'generation.promoted', generation: 1 }]);
		expect(simulation.state()).toBe('running');
	});

	it('is kept as degraded when its check fails, is checked on, and is complete when that passes', () => {
		const simulation = started({ check: '/up' }).tell(failed(1));
		expect(results(simulation)).toMatchObject([{ type: 'generation.degraded', generation: 1, code: 'check-failed' }]);
		expect(simulation.phases()).toEqual({ 1: 'serving' });
		expect(requests(simulation).at(-1)).toEqual({ type: 'request', generation: 1, purpose: 'degraded' });
		simulation.tell({ type: 'check.tried', generation: 1, problem: '502' });
		expect(simulation.supervisorState()).toMatchObject({
			isComplete: false,
			checks: { candidate: null, serving: { problem: '502' } },
		});
		simulation.tell(passed(1));
		expect(results(simulation).at(-1)).toMatchObject({ type: 'generation.promoted', generation: 1, replaced: [] });
		expect(simulation.supervisorState()).toMatchObject({ isComplete: true, checks: { serving: null } });
	});

	it('that is degraded is replaced by the next one that passes', () => {
		const simulation = started({ check: '/up' }).tell(failed(1)).signal('HUP').spawned(2).up(2);
		expect(simulation.tell(passed(2)).phases()).toEqual({ 1: 'draining', 2: 'serving' });
	});

	it('that is degraded and loses a child is not promoted by a check, and is checked again when it is complete', () => {
		const simulation = started({ check: '/up', respawn: 0 }).tell(failed(1)).exited(1, 1);
		expect(simulation.supervisorState()?.checks.serving).toBeNull();
		expect(results(simulation.tell(passed(1))).at(-1)).toMatchObject({ type: 'generation.degraded' });
		simulation.decided();
		simulation.tell({ type: 'respawn.due', generation: 1, index: 0 }).spawned(2).up(2);
		expect(requests(simulation)).toEqual([{ type: 'request', generation: 1, purpose: 'degraded' }]);
		expect(results(simulation.tell(passed(1))).at(-1)).toMatchObject({ type: 'generation.promoted', generation: 1 });
	});

	it('that fails its check has its result: the rotation has failed', () => {
		const simulation = started({ check: '/up' }).tell(failed(1));
		expect(simulation.rotations()).toMatchObject([{ generation: 1, result: 'failed', code: 'check-failed' }]);
	});

	it('that has lost a child is checked again when it is complete', () => {
		const simulation = simulate().start({ check: '/up', size: 2, respawn: 0 }).spawned(1).spawned(2).up(1).exited(2, 1);
		simulation.tell({ type: 'respawn.due', generation: 1, index: 1 }).spawned(3).up(3);
		expect(results(simulation)).toMatchObject([{ type: 'generation.degraded', generation: 1 }]);
		expect(requests(simulation)).toEqual([{ type: 'request', generation: 1, purpose: 'degraded' }]);
		expect(results(simulation.tell(passed(1))).at(-1)).toMatchObject({ type: 'generation.promoted', generation: 1 });
	});
});

describe('during a health check', () => {
	it('a request for a rotation is queued, and the next candidate starts when the check ends', () => {
		for (const [end, decisions] of [
			[passed(2), ['HUP to 1', 'spawn 3']],
			[failed(2), ['HUP to 2', 'spawn 3']],
		] as const) {
			const simulation = checking().tell({ type: 'signal.HUP' }, { type: 'rotate.requested' });
			expect(simulation.decided()).toEqual([]);
			expect(simulation.tell(end).decided()).toEqual(decisions);
		}
	});

	it('a stop reaches every child at once, and what the check finds has no effect any more', () => {
		const simulation = checking().signal('TERM');
		expect(simulation.decided()).toEqual(['TERM to 1', 'TERM to 2']);
		expect(simulation.supervisorState()?.checks).toEqual({ candidate: null, serving: null });
		expect(simulation.tell(passed(2), failed(2)).decided()).toEqual([]);
		expect(simulation.exited(1).exited(2).status()).toBe(0);
	});

	it('the check goes on where the serving generation ends, and decides', () => {
		const simulation = checking().exited(1, 1);
		expect(simulation.state()).toBe('checking');
		expect(results(simulation.tell(passed(2))).at(-1)).toMatchObject({ type: 'generation.promoted', replaced: [] });
		const bad = checking().exited(1, 1).tell(failed(2));
		expect(results(bad).at(-1)).toMatchObject({ type: 'generation.degraded', generation: 2, code: 'check-failed' });
		expect(bad.phases()).toEqual({ 2: 'serving' });
	});

	it('a lost child of the serving generation is started again', () => {
		const simulation = running({ check: '/up', size: 2, respawn: 0 }).spawned(2).up(2).tell(passed(1));
		simulation.signal('HUP').spawned(3).spawned(4).up(3).up(4);
		simulation.exited(1, 1).decided();
		expect(simulation.tell({ type: 'respawn.due', generation: 1, index: 0 }).decided()).toEqual(['spawn 5']);
	});
});

describe('after its supervisor is upgraded or killed, a health check', () => {
	it('goes on, counted from its beginning, and ends as it would have', () => {
		const simulation = checking();
		const state = stateOf(simulation);
		expect(state.checks.candidate?.clock).toEqual(expect.any(Number));
		for (const next of [simulate().recover(state), restarted(simulation)]) {
			expect(next.state()).toBe('checking');
			expect(requests(next)).toEqual([{ type: 'request', generation: 2, purpose: 'promotion' }]);
			next.decided();
			expect(next.tell(passed(2)).decided()).toEqual(['HUP to 1']);
			expect(next.supervisorState()).toMatchObject({ serving: 2, candidate: null, checks: { candidate: null } });
		}
	});

	it('is over where the new start has no -check', () => {
		const state = withoutUnborn(stateOf(checking()));
		const next = simulate().tell({
			type: 'supervisor.recovered',
			pid: 1,
			by: 'start',
			state: { ...state, plan: { ...state.plan, check: '' } },
		});
		expect(results(next).at(-1)).toMatchObject({ type: 'generation.promoted', generation: 2 });
	});

	it('after the bake stays the last one', () => {
		const next = restarted(checking({ bake: 5000 }).tell(passed(2), due)).tell(passed(2));
		expect(next.supervisorState()).toMatchObject({ serving: 2, candidate: null, bake: null });
	});

	it('of a degraded generation goes on too', () => {
		const simulation = started({ check: '/up' }).tell(failed(1));
		for (const next of [simulate().recover(stateOf(simulation)), restarted(simulation)]) {
			expect(requests(next)).toContainEqual({ type: 'request', generation: 1, purpose: 'degraded' });
			expect(results(next)).toEqual([]);
			expect(next.tell(passed(1)).supervisorState()).toMatchObject({ isComplete: true });
		}
	});

	it('leaves a generation that serves, wherever between two facts the supervisor is killed', () => {
		for (const simulation of [
			checking().tell(passed(2)),
			checking().tell(failed(2)),
			checking({ bake: 500 }).tell(passed(2), due, passed(2)),
			checking({ respawn: 0 }).exited(2, 1),
			checking().exited(1, 1).tell(failed(2)),
			started({ check: '/up' }).tell(failed(1), passed(1)),
		]) {
			for (let length = 2; length <= simulation.history.length; length += 1) {
				const { children, respawns } = stateOf(simulation, length);
				if (children.some(({ pid }) => pid === null) || children.length + respawns.length === 0) continue;
				const next = restarted(simulation, length);
				for (let turn = 0; turn < 3; turn += 1) {
					if (next.state() === 'checking') next.tell(passed(next.supervisorState()?.candidate ?? 0));
					if (next.state() === 'baking') next.tell(due);
				}
				const left = next.supervisorState();
				const isPlanned =
					left?.candidate !== null || left.children.some(({ generation }) => generation === left.serving);
				expect(isPlanned, `killed after ${length} facts`).toBe(true);
			}
		}
	});
});
