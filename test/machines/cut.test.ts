/** A supervisor that is killed between two facts: whoever goes on serves, and nothing that was about to follow is missing. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Plan } from '../../src/machines/facts/facts.ts';
import { isDecision } from '../../src/machines/facts/stamp.ts';
import { endOf, nextEvents } from '../../src/machines/simulation/nextEvents.ts';
import { evolve } from '../../src/machines/state/evolve.ts';
import { withoutUnborn } from '../../src/machines/state/recoveryState.ts';
import { isLeaving, type SupervisorState } from '../../src/machines/state/supervisorState.ts';
import { type Simulation, simulate } from '../../src/testing/simulation.ts';
import { draining } from '../support/simulation.ts';

/** What the first facts amount to. */
function stateAt({ history }: Simulation, length: number): SupervisorState {
	let supervisorState: SupervisorState | null = null;
	for (const fact of history.slice(0, length)) supervisorState = evolve(supervisorState, fact);
	if (!supervisorState) throw new Error('nothing has happened');
	return supervisorState;
}

/** The next supervisor, by so many facts; null where nobody is left to go on with. */
function recovered(simulation: Simulation, length: number): SupervisorState | null {
	const { unanswered, ...supervisorState } = stateAt(simulation, length);
	const left = withoutUnborn({ ...supervisorState, unanswered });
	if (left.children.length + left.respawns.length === 0) return null;
	const next = simulate().tell({ type: 'supervisor.recovered', pid: 1, by: 'start', state: left });
	if (unanswered === 'signal.HUP' || unanswered === 'signal.QUIT') next.tell({ type: unanswered });
	// A wait that was over when it was killed is over at once for the next one.
	if (simulation.history[length - 1]?.type === 'restart.due') next.tell({ type: 'restart.due' });
	return next.supervisorState();
}

const isWanted = ({ serving, candidate }: SupervisorState, { generation }: { generation: number }) =>
	generation === serving || generation === candidate;

/** Children that serve or are to, and places that are to be filled. */
function wanted(supervisorState: SupervisorState) {
	const children = supervisorState.children.filter(
		(child) => isWanted(supervisorState, child) && !isLeaving(child) && !child.isRejected,
	);
	return [...children, ...supervisorState.respawns.filter((each) => isWanted(supervisorState, each))];
}

function slotsOf(supervisorState: SupervisorState, generation: number): number[] {
	const own = wanted(supervisorState).filter((each) => each.generation === generation);
	return [...new Set(own.map(({ index }) => index))].sort();
}

/** Where a step ends: before the next happening, or with the last fact. */
function endOfStep({ history }: Simulation, length: number): number {
	const next = history.findIndex((fact, index) => index >= length && !isDecision(fact));
	return next < 0 ? history.length : next;
}

function compare(simulation: Simulation, length: number) {
	const whole = stateAt(simulation, endOfStep(simulation, length));
	const next = recovered(simulation, length);
	if (!next) return;
	for (const supervisorState of [whole, next]) {
		const slots = wanted(supervisorState).map(({ generation, index }) => `${generation}.${index}`);
		expect(new Set(slots).size, `a place twice after ${length}`).toBe(slots.length);
	}
	const where = `${length} of ${simulation.history.map(({ type }) => type).join(' ')}`;
	expect([stateAt(simulation, length).serving, whole.serving], where).toContain(next.serving);
	if (wanted(whole).length > 0) expect(wanted(next), where).not.toEqual([]);
	if (whole.plan.respawn >= 0 && whole.candidate === null && next.serving === whole.serving)
		expect(slotsOf(next, whole.serving), where).toEqual(expect.arrayContaining(slotsOf(whole, whole.serving)));
	for (const { child, phase, readyBy } of whole.children) {
		if (readyBy === 'wait' || (phase !== 'verifying' && phase !== 'serving')) continue;
		expect(next.children.find((each) => each.child === child)?.phase, where).not.toBe('booting');
	}
}

function cutEverywhere(simulation: Simulation) {
	const { history } = simulation;
	for (let length = 2; length <= history.length; length += 1) {
		const isBorn = stateAt(simulation, length).children.every(({ pid }) => pid !== null);
		if (isBorn) compare(simulation, length);
	}
}

/** What may happen, but for what begins another life or ends this one. */
const isInLife = (type: string) => !/^(supervisor|upgrade|stop)\.|^signal\.(TERM|INT|USR2)$/.test(type);

function walk(plan: Partial<Plan>, choices: number[]): Simulation {
	const simulation = simulate().start(plan);
	for (const choice of choices) {
		const supervisorState = simulation.supervisorState();
		if (!supervisorState || supervisorState.children.length + supervisorState.respawns.length === 0) break;
		const events = nextEvents(supervisorState, 'busy', new Set()).filter(({ external }) => isInLife(external.type));
		// Whoever is to have a process has it, or has none, before anything else happens.
		const births = events.filter(({ external }) => /^child\.spawn/.test(external.type));
		const next = births.length > 0 ? births : events;
		const chosen = next[choice % next.length];
		if (chosen) simulation.wait(chosen.after).tell(chosen.external);
	}
	return simulation;
}

describe('a supervisor that is killed between two facts', () => {
	it('when the child that serves has ended, and an older one drains, schedules another one', () => {
		const simulation = draining().exited(2, 1);
		const cut = simulation.history.findIndex(({ type }) => type === 'child.exited') + 1;
		expect(recovered(simulation, cut)?.restart).toMatchObject({ millis: 1000 });
	});

	it('when the wait for another one is over starts it', () => {
		const simulation = draining().exited(2, 1).tell({ type: 'restart.due' });
		const cut = simulation.history.findIndex(({ type }) => type === 'restart.due') + 1;
		expect(recovered(simulation, cut)).toMatchObject({ candidate: 3, restart: null });
	});

	it('when a worker has ended fills its place', () => {
		const simulation = simulate().start({ size: 2, respawn: 100 }).spawned(1).spawned(2).up(1).up(2).exited(1, 1);
		const cut = simulation.history.findIndex(({ type }) => type === 'child.exited') + 1;
		expect(recovered(simulation, cut)?.respawns).toEqual(simulation.supervisorState()?.respawns);
	});

	it('when a child was late, and not told to leave yet, promotes nobody', () => {
		const simulation = simulate().start({ size: 2, ready: 'notify' }).spawned(1).spawned(2).announced(1).verified(1);
		simulation.announced(2).verified(2).signal('HUP').spawned(3).spawned(4).announced(3).verified(3).waited(4);
		const cut = simulation.history.findIndex(({ type }) => type === 'child.rejected') + 1;
		expect(recovered(simulation, cut)).toMatchObject({ serving: 1, candidate: 3 });
	});

	it('when a candidate has lost a child, and another one has no process yet, begins again without its places', () => {
		const simulation = simulate().start({ size: 2, respawn: 100 }).spawned(1).spawned(2).up(1).up(2);
		simulation.signal('HUP').spawned(3);
		simulation.exited(3, 1);
		const cut = simulation.history.findLastIndex(({ type }) => type === 'child.exited') + 1;
		expect(recovered(simulation, cut)).toMatchObject({ serving: 1, candidate: 3, respawns: [] });
	});

	it('while a late child is gone and its group is not fills its place when that is gone too, and once', () => {
		const plan = { size: 2, respawn: 100, kill: 1000, ready: 'notify' } as const;
		const simulation = simulate().start(plan).spawned(1).spawned(2).announced(1).verified(1).waited(2);
		simulation.tell(endOf({ child: 2, pid: null }, { code: 0 }, [202]));
		expect(simulation.supervisorState()?.respawns).toEqual([]);
		const next = simulate().recover(stateAt(simulation, simulation.history.length));
		expect(next.tell({ type: 'group.gone', child: 2 }).supervisorState()?.respawns).toMatchObject([
			{ generation: 1, index: 1 },
		]);
	});

	it('when a child has said that it is up believes it', () => {
		const simulation = draining({ ready: 'notify' });
		simulation.signal('HUP').spawned(3).announced(3);
		const cut = simulation.history.findLastIndex(({ type }) => type === 'child.announced') + 1;
		expect(recovered(simulation, cut)?.children.find(({ child }) => child === 3)).toMatchObject({
			phase: 'verifying',
			readyBy: 'notify',
		});
	});

	it.each([
		['one child', {}],
		['one child that is started again', { respawn: 100 }],
		['workers', { size: 2 }],
		['workers that are started again', { size: 2, respawn: 100 }],
		['workers that say when they are up', { size: 2, respawn: 100, ready: 'notify' }],
		['workers that are killed in the end', { size: 2, respawn: 100, ready: 'notify', kill: 1000 }],
	] as [string, Partial<Plan>][])('with %s has somebody serve, and every place filled', (_, plan) => {
		fc.assert(
			fc.property(fc.array(fc.nat(1000), { minLength: 1, maxLength: 25 }), (choices) =>
				cutEverywhere(walk(plan, choices)),
			),
			{ numRuns: 100 },
		);
	});
});
