import { describe, expect, it } from 'vitest';
import type { Fact } from '../../src/machines/facts/facts.ts';
import { respawnWait } from '../../src/machines/rules/respawn.ts';
import { createReplay } from '../../src/machines/simulation/replay.ts';
import { type Simulation, simulate } from '../../src/testing/simulation.ts';
import { childState, running, stateWith } from '../support/simulation.ts';

const due = (index = 0, generation = 1) => ({ type: 'respawn.due', generation, index }) as const;

/** The waits that were decided, without their jitter. */
function waits({ history }: Simulation): number[] {
	return scheduled(history).map(({ millis }) => {
		const bases = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 500, 1000, 2000, 4000, 8000, 16_000];
		return bases.sort((a, b) => b - a).find((base) => millis >= base && millis <= base * 1.2) ?? millis;
	});
}

function scheduled(history: Fact[]) {
	return history.filter((fact) => fact.type === 'respawn.scheduled');
}

/** Serving, with a respawn after half a second. */
const serving = (changes = {}) => running({ respawn: 500, ...changes });

describe('the wait', () => {
	it('doubles with each death in the place, up to half a minute', () => {
		const bases = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((attempt) => respawnWait(500, attempt, 0));
		expect(bases).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
	});

	it('is never shorter than it was asked for, and longer by a fifth at the most', () => {
		for (let seq = 0; seq < 1000; seq += 1) {
			const wait = respawnWait(500, 1, seq);
			expect(wait).toBeGreaterThanOrEqual(500);
			expect(wait).toBeLessThanOrEqual(600);
		}
	});

	it('is spread over that fifth, and the same for the same fact', () => {
		const all = Array.from({ length: 100 }, (_, seq) => respawnWait(1000, 1, seq));
		expect(new Set(all).size).toBeGreaterThan(50);
		expect(all).toEqual(Array.from({ length: 100 }, (_, seq) => respawnWait(1000, 1, seq)));
	});

	it('stays as it was asked for where that is more than half a minute', () => {
		expect(respawnWait(60_000, 4, 0)).toBe(60_000);
	});

	it('of nothing is nothing once, and doubles from a tenth of a second then', () => {
		expect([1, 2, 3].map((attempt) => respawnWait(0, attempt, 0))).toEqual([0, 200, 400]);
	});
});

describe('a serving child that dies unasked', () => {
	it('leaves its place empty, which is filled after the wait by a new child of the same generation and index', () => {
		const simulation = serving({ size: 1 });
		simulation.exited(1, 3);
		expect(simulation.state()).toBe('running');
		expect(simulation.reports()).toEqual([
			expect.stringMatching(/^A child of generation 1 will be started again in 5\d\d ms$/),
		]);
		expect(simulation.decided()).toEqual([]);
		simulation.tell(due());
		expect(simulation.decided()).toEqual(['spawn 2']);
		expect(simulation.supervisorState()?.children).toMatchObject([
			{ child: 2, generation: 1, index: 0, attempt: 1, wasUp: true },
		]);
		expect(simulation.spawned(2).up(2).phases()).toEqual({ 2: 'serving' });
	});

	it('keeps its place among others', () => {
		const simulation = simulate().start({ size: 3, respawn: 500 }).spawned(1).spawned(2).spawned(3).up(1).up(2).up(3);
		simulation.exited(2, 1).tell(due(1));
		expect(simulation.supervisorState()?.children.map(({ child, index }) => [child, index])).toEqual([
			[1, 0],
			[3, 2],
			[4, 1],
		]);
	});

	it('waits twice as long each time', () => {
		const simulation = serving();
		for (let child = 1; child <= 8; child += 1)
			simulation
				.killed(child, 9)
				.tell(due())
				.spawned(child + 1)
				.up(child + 1);
		expect(waits(simulation)).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
	});

	it('waits the first wait again after a minute of health', () => {
		const simulation = serving();
		simulation.exited(1, 1).tell(due()).spawned(2).up(2).exited(2, 1).tell(due()).spawned(3).up(3);
		simulation.wait(59_999).exited(3, 1).tell(due()).spawned(4).up(4).wait(60_000).exited(4, 1);
		expect(waits(simulation)).toEqual([500, 1000, 2000, 500]);
	});

	it('counts deaths by place', () => {
		const simulation = simulate().start({ size: 2, respawn: 500 }).spawned(1).spawned(2).up(1).up(2);
		simulation.exited(1, 1).exited(2, 1).tell(due(0)).spawned(3).up(3).exited(3, 1);
		expect(waits(simulation)).toEqual([500, 500, 1000]);
	});

	it('is started again for ever, once the generation was up', () => {
		const simulation = serving();
		for (let child = 1; child <= 30; child += 1)
			simulation
				.exited(child, 1)
				.tell(due())
				.spawned(child + 1);
		expect(simulation.state()).toBe('running');
	});

	it('is not started again without -respawn', () => {
		expect(running().exited(1, 3).status()).toBe(3);
	});

	it.each(['INT', 'TERM'] as const)('for %s is not started again', (name) => {
		const simulation = serving().signal(name).exited(1, 0);
		expect(simulation.state()).toBe('stopped');
	});

	it('after QUIT was passed on to it is not started again', () => {
		const simulation = serving().signal('QUIT').killed(1, 3);
		expect(simulation.state()).toBe('stopped');
		expect(simulation.status()).toBe(131);
	});

	it('long after QUIT was passed on to it is not started again either, a later child is', () => {
		const simulation = simulate().start({ size: 2, respawn: 500 }).spawned(1).spawned(2).up(1).up(2);
		simulation.exited(1, 1).tell(due(0)).signal('QUIT').spawned(3).up(3);
		expect(simulation.exited(2, 1).supervisorState()?.respawns).toEqual([]);
		expect(simulation.phases()).toEqual({ 3: 'serving' });
	});
});

describe('a place that waits', () => {
	it('is dropped by a stop, which is over at once where nobody is left', () => {
		const simulation = serving().exited(1, 1).signal('TERM');
		expect(simulation.state()).toBe('stopped');
		expect(simulation.status()).toBe(0);
	});

	it('is dropped by QUIT, and with the last one the supervisor ends', () => {
		expect(serving().exited(1, 4).signal('QUIT').status()).toBe(4);
	});

	it('is dropped when its generation is replaced', () => {
		const simulation = simulate().start({ size: 2, respawn: 500 }).spawned(1).spawned(2).up(1).up(2).exited(1, 1);
		simulation.signal('HUP').spawned(3).spawned(4).up(3).up(4);
		simulation.decided();
		simulation.tell(due(0));
		expect(simulation.decided()).toEqual([]);
		expect(simulation.supervisorState()?.respawns).toEqual([]);
	});

	it('is not filled during a rotation, and is when that fails', () => {
		const simulation = simulate().start({ size: 2, respawn: 500 }).spawned(1).spawned(2).up(1).up(2);
		simulation.signal('HUP').spawned(3).spawned(4).exited(1, 1);
		simulation.decided();
		simulation.tell(due(0));
		expect(simulation.decided()).toEqual([]);
		simulation.exited(3, 1);
		expect(simulation.decided()).toEqual(['spawn 5', 'HUP to 4']);
	});

	it('is filled during a rotation where all of its generation is gone', () => {
		const simulation = serving().signal('HUP').spawned(2).exited(1, 1);
		simulation.decided();
		expect(simulation.tell(due()).decided()).toEqual(['spawn 3']);
	});

	it('is filled as soon as all of its generation is gone, where its wait was over before', () => {
		const simulation = simulate().start({ size: 2, respawn: 500 }).spawned(1).spawned(2).up(1).up(2);
		simulation.signal('HUP').spawned(3).spawned(4).exited(1, 1).tell(due(0));
		simulation.decided();
		simulation.exited(2, 1);
		expect(simulation.decided()).toEqual(['spawn 5']);
	});

	it('gives way to a rotation: the new generation takes over from nobody', () => {
		const simulation = serving().exited(1, 1).signal('HUP').spawned(2).up(2);
		expect(simulation.state()).toBe('running');
		expect(simulation.supervisorState()).toMatchObject({ serving: 2, respawns: [], children: [{ child: 2 }] });
	});

	it('goes on with its wait after an upgrade', () => {
		const before = serving().exited(1, 1);
		const supervisorState = before.supervisorState() ?? stateWith();
		const simulation = simulate().recover(supervisorState);
		expect(simulation.state()).toBe('running');
		const [{ millis = 0, clock = null } = {}] = supervisorState.respawns;
		expect(simulation.commands).toContainEqual({
			type: 'wait',
			timer: 'respawn',
			generation: 1,
			index: 0,
			millis,
			since: clock,
		});
		expect(simulation.tell(due()).decided()).toEqual(['spawn 2']);
	});

	it('goes on with its wait and its count after kill -9, beside a child that survived', () => {
		const respawn = { generation: 1, index: 1, attempt: 3, wasUp: true, millis: 2000, at: 0, clock: 77, isDue: false };
		const supervisorState = stateWith({ lastChild: 2, children: [childState()], respawns: [respawn] });
		const simulation = simulate().tell({
			type: 'supervisor.recovered',
			pid: 2,
			by: 'start',
			state: { ...supervisorState, plan: { ...supervisorState.plan, size: 2, respawn: 500 } },
		});
		simulation.tell(due(1)).spawned(3).exited(3, 1);
		expect(simulation.supervisorState()?.respawns).toMatchObject([{ index: 1, attempt: 4, wasUp: true }]);
	});

	it('that was due and held back is still so after a recovery in the middle of the rotation', () => {
		const simulation = simulate().start({ size: 2, respawn: 500 }).spawned(1).spawned(2).up(1).up(2);
		simulation.signal('HUP').spawned(3).spawned(4).exited(1, 1).tell(due(0));
		const recovered = simulate().recover(simulation.supervisorState() ?? stateWith());
		expect(recovered.decided()).not.toContain('spawn 5');
		expect(recovered.exited(3, 1).decided()).toContain('spawn 5');
	});

	it('that was due, and whose child was never recorded, is filled after a recovery', () => {
		const simulation = simulate().start({ size: 2, respawn: 500 }).spawned(1).spawned(2).up(1).up(2).exited(1, 1);
		const respawns = (simulation.supervisorState()?.respawns ?? []).map((each) => ({ ...each, isDue: true }));
		const recovered = simulate().recover({ ...(simulation.supervisorState() ?? stateWith()), respawns });
		expect(recovered.decided()).toEqual(['adopt 2', 'spawn 3']);
	});

	it('waits the same in a replay', () => {
		const simulation = serving();
		for (let child = 1; child <= 5; child += 1)
			simulation
				.exited(child, 1)
				.tell(due())
				.spawned(child + 1)
				.up(child + 1);
		const replay = createReplay();
		expect(simulation.history.flatMap((fact) => replay.tell(fact).difference ?? [])).toEqual([]);
	});
});

describe('a generation that never was up', () => {
	const starting = (changes = {}) =>
		simulate()
			.start({ respawn: 500, ...changes })
			.spawned(1);

	it('is started again where nobody else serves, and says so', () => {
		const simulation = starting().exited(1, 7);
		expect(simulation.reports()).toEqual([
			'Generation 1 is degraded: 101 exit status 7; no generation serves, and its children are started again',
			expect.stringMatching(/^A child of generation 1 will be started again in 5\d\d ms$/),
		]);
		expect(simulation.state()).toBe('running');
		simulation.tell(due()).spawned(2).up(2);
		expect(simulation.decisions().at(-1)).toBe('generation.promoted');
		expect(simulation.supervisorState()).toMatchObject({ serving: 1, isComplete: true });
	});

	it('ends the supervisor with its tenth death, and the status of that', () => {
		const simulation = starting();
		for (let child = 1; child <= 9; child += 1)
			simulation
				.exited(child, child)
				.tell(due())
				.spawned(child + 1);
		expect(simulation.state()).toBe('running');
		simulation.exited(10, 42);
		expect(simulation.reports().at(-1)).toBe('Generation 1 failed: 10 of its children have died, and none was ever up');
		expect(simulation.state()).toBe('stopped');
		expect(simulation.status()).toBe(42);
	});

	it('counts the deaths of all of its places, and tells the rest to leave', () => {
		const simulation = starting({ size: 2 }).spawned(2);
		let [odd, next] = [1, 3];
		for (let death = 1; death <= 9; death += 1) {
			simulation.exited(odd, 1).tell(due(0)).spawned(next);
			odd = next;
			next += 1;
		}
		simulation.decided();
		simulation.exited(odd, 9);
		expect(simulation.decided()).toEqual(['HUP to 2']);
		expect(simulation.exited(2, 0).status()).toBe(9);
	});

	it('goes on counting after a kill -9', () => {
		const respawns = [
			{ generation: 1, index: 1, attempt: 8, wasUp: false, millis: 1, at: 0, clock: null, isDue: false },
		];
		const booting = childState({ phase: 'booting', clock: 1 });
		const supervisorState = stateWith({ serving: 1, isComplete: false, lastChild: 2, children: [booting], respawns });
		const simulation = simulate().recover({
			...supervisorState,
			plan: { ...supervisorState.plan, size: 2, respawn: 500 },
		});
		simulation.tell(due(1)).spawned(3).exited(3, 1);
		expect(simulation.state()).toBe('running');
		simulation.exited(1, 6);
		expect(simulation.decisions().at(-1)).toBe('generation.exhausted');
		expect(simulation.status()).toBe(6);
	});

	it('does not keep the next version waiting: a SIGHUP starts it at once', () => {
		const simulation = starting().exited(1, 1).signal('HUP');
		expect(simulation.state()).toBe('rotating');
		simulation.spawned(2).up(2);
		expect(simulation.supervisorState()).toMatchObject({ serving: 2, isComplete: true, respawns: [] });
	});

	it('is kept, degraded, where nobody of the one that serves lives, and takes its place', () => {
		const simulation = simulate().start({ size: 2, respawn: 500 }).spawned(1).spawned(2).up(1).up(2);
		simulation.exited(1, 1).exited(2, 1).signal('HUP').spawned(3).spawned(4).up(3);
		simulation.decided();
		simulation.exited(4, 5);
		expect(simulation.reports()[0]).toBe(
			'Generation 2 is degraded: 104 exit status 5; it keeps serving, as no other generation serves',
		);
		expect(simulation.supervisorState()).toMatchObject({ serving: 2, isComplete: false, children: [{ child: 3 }] });
		expect(simulation.supervisorState()?.respawns.map(({ generation }) => generation)).toEqual([2]);
		expect(simulation.tell(due(0)).decided()).toEqual([]);
		expect(simulation.tell(due(1, 2)).spawned(5).up(5).supervisorState()).toMatchObject({
			serving: 2,
			isComplete: true,
		});
	});

	it('fails where nobody lives of either: the one that was up once is started again', () => {
		const simulation = serving().exited(1, 1).signal('HUP').spawned(2).exited(2, 3);
		expect(simulation.reports()).toContain('Generation 2 failed: 102 exit status 3; no generation serves');
		expect(simulation.supervisorState()).toMatchObject({ serving: 1, respawns: [{ generation: 1 }] });
		expect(simulation.tell(due()).spawned(3).up(3).phases()).toEqual({ 3: 'serving' });
	});

	it('fails at once beside one that serves: a candidate is not started again', () => {
		const simulation = serving().signal('HUP').spawned(2).exited(2, 1);
		expect(simulation.state()).toBe('running');
		expect(simulation.supervisorState()?.respawns).toEqual([]);
		expect(simulation.phases()).toEqual({ 1: 'serving' });
	});
});
