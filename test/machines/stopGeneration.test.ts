/** A stop of one generation that drains. */
import { describe, expect, it } from 'vitest';
import type { ExternalEvent } from '../../src/machines/facts/facts.ts';
import { evolve } from '../../src/machines/state/evolve.ts';
import type { SupervisorState } from '../../src/machines/state/supervisorState.ts';
import { whyNotStopped } from '../../src/machines/state/whyNotStopped.ts';
import { type Simulation, simulate } from '../../src/testing/simulation.ts';
import { baking, checking, draining, rotating, running } from '../support/simulation.ts';

const stop = (generation: number, kill?: number): ExternalEvent => ({
	type: 'generation.stopRequested',
	generation,
	...(kill === undefined ? {} : { kill }),
});

function stateOf({ history }: Simulation): SupervisorState {
	let state: SupervisorState | null = null;
	for (const fact of history) state = evolve(state, fact);
	if (!state) throw new Error('nothing has happened');
	return state;
}

/** The first generation boots. */
const starting = () => {
	const simulation = simulate().start().spawned(1);
	simulation.decided();
	return simulation;
};

/** A candidate boots beside a generation whose only child has exited. */
const alone = () => simulate().start({ respawn: 0 }).spawned(1).up(1).signal('HUP').spawned(2).exited(1, 1);

/** The same, and that child is started again. */
const refilled = () => alone().tell({ type: 'respawn.due', generation: 1, index: 0 });

const killWait = ({ commands }: Simulation) =>
	commands.findLast((command) => command.type === 'wait' && command.timer === 'kill' && command.child === 1);

describe('a stop of one generation', () => {
	it('sends the stop signal to its children, with a kill timeout of its own', () => {
		const simulation = draining().tell(stop(1, 500));
		expect(killWait(simulation)).toMatchObject({ child: 1, millis: 500, since: null });
		expect(simulation.decided()).toEqual(['TERM to 1']);
		expect(simulation.phases()).toEqual({ 1: 'draining', 2: 'serving' });
		expect(simulation.tell({ type: 'timer.elapsed', child: 1, timer: 'kill' }).decided()).toEqual(['KILL to 1']);
		expect(simulation.exited(1).state()).toBe('running');
	});

	it('without a kill timeout of its own keeps that of -kill, and its beginning', () => {
		const simulation = draining({ kill: 700, stop: 'QUIT' });
		simulation.tell(stop(1));
		expect(killWait(simulation)).toBeUndefined();
		expect(simulation.decided()).toEqual(['QUIT to 1']);
		expect(stateOf(simulation).children[0]).toMatchObject({ kill: null });
	});

	it.each([
		['that serves', running(), 1, 'generation 1 serves; a rotation replaces it'],
		['that starts alone', starting(), 1, 'no generation serves but 1, which is starting'],
		['that starts while no child of another one lives', alone(), 2, 'no generation serves but 2, which is starting'],
		['that does not exist', running(), 7, 'there is no generation 7'],
		['that has left', draining().exited(1), 1, 'gone'],
		['that serves beside a draining one', draining(), 2, 'generation 2 serves; a rotation replaces it'],
	])('%s is refused', (_, simulation, generation, why) => {
		expect(whyNotStopped(stateOf(simulation), generation)).toBe(why);
		simulation.decided();
		simulation.tell(stop(generation, 500));
		expect(simulation.decided()).toEqual([]);
		expect(simulation.history.at(-1)).toMatchObject({
			type: 'request.refused',
			request: 'generation.stopRequested',
			reason: 'not-draining',
			generation,
		});
	});

	it.each([
		['boots', rotating()],
		['is checked', checking()],
		['bakes', baking()],
	])('of a candidate that %s fails its rotation, and the serving generation gets no signal', (_, simulation) => {
		expect(whyNotStopped(stateOf(simulation), 2)).toBeNull();
		simulation.tell(stop(2));
		expect(simulation.decided()).toEqual(['HUP to 2']);
		expect(simulation.rotations().at(-1)).toMatchObject({ generation: 2, result: 'failed', code: 'stopped' });
		expect(simulation.phases()).toEqual({ 1: 'serving', 2: 'draining' });
	});

	it('of a candidate beside a child that is started again is taken, and the client is told so', () => {
		const simulation = refilled();
		expect(whyNotStopped(stateOf(simulation), 2)).toBeNull();
		simulation.tell(stop(2));
		expect(simulation.rotations().at(-1)).toMatchObject({ generation: 2, result: 'failed', code: 'stopped' });
	});

	it('of a candidate with a kill timeout has it at once', () => {
		const simulation = baking().tell(stop(2, 300));
		const kill = simulation.commands.findLast((command) => command.type === 'wait' && command.timer === 'kill');
		expect(kill).toMatchObject({ child: 2, millis: 300 });
		expect(simulation.rotations().at(-1)).toMatchObject({ generation: 2, result: 'failed', code: 'stopped' });
		expect(simulation.phases()).toEqual({ 1: 'serving', 2: 'draining' });
	});

	it('without a kill timeout keeps that of an earlier one', () => {
		const simulation = draining().tell(stop(1, 500));
		simulation.decided();
		simulation.tell(stop(1));
		expect(killWait(simulation)).toBeUndefined();
		expect(stateOf(simulation).children[0]).toMatchObject({ kill: 500 });
	});

	it('of the supervisor keeps its kill timeout in a start with another plan', () => {
		const state = stateOf(draining().tell({ type: 'stop.requested', kill: 5000 }));
		const next = simulate().tell({
			type: 'supervisor.recovered',
			pid: 1,
			by: 'start',
			state: { ...state, plan: { ...state.plan, kill: 0 } },
		});
		expect(killWait(next)).toMatchObject({ child: 1, millis: 5000 });
	});

	it('is refused during a stop of the supervisor', () => {
		const simulation = draining().signal('TERM');
		simulation.decided();
		expect(simulation.tell(stop(1)).decided()).toEqual([]);
		expect(simulation.history.at(-1)).toMatchObject({ type: 'request.refused', reason: 'stopping' });
	});

	it('keeps its kill timeout through an upgrade, and a stop of the supervisor replaces it', () => {
		const simulation = draining().tell(stop(1, 500));
		const state = stateOf(simulation);
		const next = simulate().recover(state);
		expect(killWait(next)).toMatchObject({ child: 1, millis: 500, since: state.children[0]?.clock });
		next.tell({ type: 'stop.requested', kill: 900 });
		expect(killWait(next)).toMatchObject({ child: 1, millis: 900, since: null });
		expect(next.supervisorState()?.children.map(({ kill }) => kill)).toEqual([900, 900]);
	});
});
