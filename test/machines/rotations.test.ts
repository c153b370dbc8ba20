/** What became of each rotation, by happenings alone. */
import { describe, expect, it } from 'vitest';
import type { ExternalEvent } from '../../src/machines/facts/facts.ts';
import { endOf } from '../../src/machines/simulation/nextEvents.ts';
import { evolveProjections, noProjections, type Projections } from '../../src/machines/state/projections.ts';
import { withoutUnborn, withoutUnfinished } from '../../src/machines/state/recoveryState.ts';
import { headlineOf } from '../../src/machines/text/headline.ts';
import { type Simulation, simulate } from '../../src/testing/simulation.ts';
import { draining, rotating, running } from '../support/simulation.ts';

const projectionsOf = ({ history }: Simulation): Projections => history.reduce(evolveProjections, noProjections);
const rotation = (simulation: Simulation, generation: number) =>
	projectionsOf(simulation).rotations.kept.find((each) => each.generation === generation);
const results = (simulation: Simulation) =>
	projectionsOf(simulation).rotations.kept.map(({ generation, result }) => `${generation} ${result}`);
const rotate = { type: 'rotate.requested' } as const;

/** A child ends, and had printed this. */
const dying = (child: number, lastOutput: string[], code = 1) =>
	({ ...endOf({ child, pid: null }, { code }), lastOutput }) as ExternalEvent;

/** It was killed, and another process goes on with what is known. */
const crash = (simulation: Simulation) => {
	const supervisorState = simulation.supervisorState();
	if (!supervisorState) throw new Error('nothing happened yet');
	return simulation.tell({ type: 'supervisor.recovered', pid: 2, by: 'start', state: withoutUnborn(supervisorState) });
};

describe('a rotation', () => {
	it('of a rotation that came up tells who asked, when, and what it replaced', () => {
		const simulation = running().wait(1000).tell(rotate).wait(20).spawned(2).wait(3000).up(2);
		expect(rotation(simulation, 2)).toEqual({
			generation: 2,
			result: 'promoted',
			trigger: 'rotate',
			requestedAt: 1_001_000,
			spawnedAt: 1_001_020,
			finishedAt: 1_004_020,
			pids: [102],
			readyBy: 'wait',
			unverified: false,
			replaced: [1],
			survivors: [],
			reason: null,
			code: null,
			check: null,
			program: null,
			directory: null,
			exits: [],
			lastOutput: [],
			supersededBy: null,
		});
	});

	it('is pending until then', () => {
		expect(rotation(rotating(), 2)).toMatchObject({ result: 'pending', finishedAt: null, pids: [102], readyBy: null });
	});

	it('of a start was asked for by it', () => {
		expect(rotation(running(), 1)).toMatchObject({ result: 'promoted', trigger: 'start', requestedAt: 1_000_000 });
	});

	it('names the weakest word of its children', () => {
		const simulation = simulate().start({ size: 2 }).spawned(1).spawned(2).announced(1).verified(1).up(2);
		expect(rotation(simulation, 1)).toMatchObject({ result: 'promoted', readyBy: 'wait', pids: [101, 102] });
		const said = simulate().start().spawned(1).announced(1).verified(1);
		expect(rotation(said, 1)).toMatchObject({ readyBy: 'notify' });
	});

	it('says that it could not be seen whether the sockets are held', () => {
		const simulation = rotating().waited(2).tell({ type: 'child.verified', child: 2, isSeen: false });
		expect(rotation(simulation, 2)).toMatchObject({ result: 'promoted', unverified: true });
	});

	it('of one that died has its reason, its end, and its last output', () => {
		expect(rotation(rotating().tell(dying(2, ['no config', 'giving up'], 3)), 2)).toMatchObject({
			result: 'failed',
			reason: '102 exit status 3',
			exits: [{ pid: 102, code: 3, signal: null }],
			lastOutput: ['no config', 'giving up'],
		});
	});

	it('of one that was late has what it printed last, and no end', () => {
		const late = {
			type: 'timer.elapsed',
			child: 2,
			timer: 'boot',
			lastOutput: ['waiting for the database'],
		} satisfies ExternalEvent;
		expect(rotation(rotating({ ready: 'notify' }).tell(late), 2)).toMatchObject({
			result: 'failed',
			reason: '102 did not report ready within 3.0 s (-start=3000)',
			exits: [],
			lastOutput: ['waiting for the database'],
		});
	});

	it('of one that does not hold its sockets has what it printed last', () => {
		const unverified = {
			type: 'child.unverified',
			child: 2,
			missing: ['tcp://:80 (its fd 3)'],
			lastOutput: ['bye'],
		} satisfies ExternalEvent;
		expect(rotation(rotating().waited(2).tell(unverified), 2)).toMatchObject({
			result: 'failed',
			reason: '102 does not hold tcp://:80 (its fd 3)',
			lastOutput: ['bye'],
		});
	});

	it('keeps the last 20 lines of all of its children', () => {
		const lines = (word: string) => Array.from({ length: 15 }, (_, index) => `${word} ${index}`);
		const both = simulate().start({ size: 2, respawn: 10 }).spawned(1).spawned(2);
		both.tell(dying(1, lines('a')));
		both.tell(dying(2, lines('b')));
		expect(rotation(both, 1)?.lastOutput).toEqual([...lines('a').slice(10), ...lines('b')]);
	});

	it('names as replaced only whom somebody was there of to be told', () => {
		const simulation = running({ respawn: 5000 }).exited(1, 1).tell(rotate).spawned(2).up(2);
		expect(rotation(simulation, 2)).toMatchObject({ result: 'promoted', replaced: [] });
	});

	it('keeps its result, whatever becomes of the generation later', () => {
		expect(rotation(draining().exited(2, 1), 2)).toMatchObject({ result: 'promoted', exits: [] });
	});

	it('of a first generation that dies fails with the supervisor', () => {
		const simulation = simulate().start().spawned(1).exited(1, 3);
		expect(simulation.status()).toBe(3);
		expect(rotation(simulation, 1)).toMatchObject({ result: 'failed', reason: '101 exit status 3' });
	});

	it('of one that dies again and again fails with its last death', () => {
		const simulation = simulate().start({ respawn: 0 }).spawned(1).exited(1, 7);
		for (let child = 2; child <= 10; child += 1) {
			simulation.tell({ type: 'respawn.due', generation: 1, index: 0 }).spawned(child).exited(child, 7);
		}
		expect(rotation(simulation, 1)).toMatchObject({
			result: 'failed',
			reason: '10 of its children have died, and none was ever up',
		});
	});

	it('of one that goes on though it is degraded waits until it is', () => {
		const simulation = simulate().start({ size: 2, respawn: 10 }).spawned(1).spawned(2).up(1).exited(2, 1);
		expect(rotation(simulation, 1)).toMatchObject({ result: 'pending' });
		simulation.tell({ type: 'respawn.due', generation: 1, index: 1 }).spawned(3).up(3);
		expect(rotation(simulation, 1)).toMatchObject({ result: 'promoted', exits: [{ pid: 102, code: 1, signal: null }] });
	});

	it('of one that was never whole fails when nobody of it is left', () => {
		const simulation = simulate().start({ size: 2 }).spawned(1).spawned(2).exited(2, 1);
		expect(rotation(simulation, 1)).toMatchObject({ result: 'pending' });
		expect(rotation(simulation.exited(1, 1), 1)).toMatchObject({ result: 'failed' });
	});
});

describe('a generation that was never complete', () => {
	/** Generation 2 goes on with one of two, as nobody else serves. */
	const kept = () => {
		const simulation = simulate().start({ size: 2, respawn: 60_000 }).spawned(1).spawned(2).up(1).up(2);
		simulation.signal('HUP').spawned(3).spawned(4).exited(1).exited(2).exited(3);
		expect(rotation(simulation, 2)).toMatchObject({ result: 'pending' });
		return simulation;
	};

	it('fails when the next one takes its place', () => {
		const simulation = kept().signal('HUP');
		const [first = 0, second = 0] =
			simulation
				.supervisorState()
				?.children.filter(({ generation }) => generation === 3)
				.map(({ child }) => child) ?? [];
		simulation.spawned(first).spawned(second).up(first).up(second);
		expect(results(simulation)).toEqual(['1 promoted', '2 failed', '3 promoted']);
		expect(rotation(simulation, 2)?.reason).toBe('generation 3 took its place before it was complete');
	});

	it('fails when the next one goes on as it is, in its place', () => {
		const simulation = kept().exited(4).signal('HUP');
		const [first = 0, second = 0] =
			simulation
				.supervisorState()
				?.children.filter(({ generation }) => generation === 3)
				.map(({ child }) => child) ?? [];
		simulation.spawned(first).spawned(second).exited(first, 1);
		expect(results(simulation)).toEqual(['1 promoted', '2 failed', '3 pending']);
	});

	it('gets its result also when twenty others had theirs meanwhile', () => {
		const simulation = simulate().start({ size: 2, respawn: 60_000 }).spawned(1).spawned(2).up(1).exited(2, 1);
		for (let turn = 0; turn < 21; turn += 1) {
			simulation.signal('HUP');
			const candidate = simulation.supervisorState()?.candidate ?? 0;
			const own = simulation.supervisorState()?.children.filter(({ generation }) => generation === candidate) ?? [];
			for (const { child } of own) simulation.spawned(child);
			for (const { child } of own) simulation.exited(child, 1);
		}
		simulation.tell({ type: 'respawn.due', generation: 1, index: 1 });
		const child = simulation.supervisorState()?.lastChild ?? 0;
		simulation.wait(1000).spawned(child).up(child);
		expect(rotation(simulation, 1)).toMatchObject({ result: 'promoted' });
		expect(projectionsOf(simulation).counters.ready.count).toBe(1);
		expect(results(simulation)).toHaveLength(20);
	});
});

describe('a rotation that is queued', () => {
	it('has a rotation as soon as it is asked for, and one for all who ask', () => {
		const simulation = rotating().wait(100).tell(rotate).wait(100).signal('HUP');
		expect(rotation(simulation, 3)).toMatchObject({
			result: 'pending',
			trigger: 'rotate',
			requestedAt: 1_000_100,
			pids: [],
		});
		expect(results(simulation)).toEqual(['1 promoted', '2 pending', '3 pending']);
		simulation.up(2).wait(5).spawned(3).up(3);
		expect(rotation(simulation, 3)).toMatchObject({ result: 'promoted', requestedAt: 1_000_100, replaced: [2] });
	});

	it('fails with the first generation, with which the supervisor ends', () => {
		const simulation = simulate().start().spawned(1).tell(rotate).exited(1, 5);
		expect(rotation(simulation, 2)).toMatchObject({
			result: 'failed',
			reason: 'the supervisor has ended with generation 1',
		});
	});

	it('is stopped with all that is under way when a stop comes first', () => {
		const simulation = rotating().tell(rotate, { type: 'stop.requested' });
		expect(results(simulation)).toEqual(['1 promoted', '2 stopped', '3 stopped']);
		expect(rotation(simulation, 3)).toMatchObject({ spawnedAt: null, pids: [] });
	});
});

describe('through the death of the supervisor', () => {
	it('a pending one gets its result', () => {
		const simulation = crash(rotating()).up(2);
		expect(results(simulation)).toEqual(['1 promoted', '2 promoted']);
	});

	it('one whose process was not there yet is continued as the next, and shares its result', () => {
		const simulation = running().tell(rotate);
		expect(rotation(simulation, 2)).toMatchObject({ result: 'pending' });
		crash(simulation);
		expect(rotation(simulation, 2)).toMatchObject({ result: 'pending', supersededBy: 3 });
		crash(simulation).spawned(4).up(4);
		expect(rotation(simulation, 2)).toMatchObject({
			result: 'promoted',
			trigger: 'rotate',
			pids: [104],
			supersededBy: 4,
		});
		expect(rotation(simulation, 3)).toMatchObject({ result: 'promoted', supersededBy: 4 });
		expect(rotation(simulation, 4)).toMatchObject({ result: 'promoted', supersededBy: null });
	});

	it('names a child whose birth was not recorded, and was found', () => {
		const simulation = running().tell(rotate);
		const supervisorState = simulation.supervisorState();
		if (!supervisorState) throw new Error('nothing is known');
		const children = supervisorState.children.map((each) =>
			each.child === 2 ? { ...each, pid: 777, startTime: 1, pipe: 1, phase: 'booting' as const } : each,
		);
		simulation.tell({
			type: 'supervisor.recovered',
			pid: 2,
			by: 'start',
			state: { ...supervisorState, unanswered: null, children },
		});
		simulation.up(2);
		expect(rotation(simulation, 2)).toMatchObject({ result: 'promoted', pids: [777], spawnedAt: expect.any(Number) });
	});

	it('one that the supervisor failed on fails', () => {
		const simulation = running().tell(rotate);
		const supervisorState = withoutUnfinished(
			simulation.supervisorState() as NonNullable<ReturnType<Simulation['supervisorState']>>,
		);
		simulation.recover(supervisorState);
		expect(rotation(simulation, 2)).toMatchObject({
			result: 'failed',
			reason: 'the supervisor failed while it was being started',
		});
	});

	it('one that was stopped and never started gives its number to the next start', () => {
		const simulation = crash(rotating().tell(rotate, { type: 'stop.requested' }));
		expect(rotation(simulation, 3)).toMatchObject({ result: 'pending', trigger: 'start' });
	});
});

describe('rotations', () => {
	it('are kept for the last 20 rotations, and for all that are pending', () => {
		const simulation = running();
		for (let child = 2; child <= 31; child += 1)
			simulation
				.signal('HUP')
				.spawned(child)
				.up(child)
				.exited(child - 1);
		simulation.signal('HUP');
		expect(results(simulation)).toHaveLength(21);
		expect(results(simulation).at(0)).toBe('12 promoted');
		expect(results(simulation).at(-1)).toBe('32 pending');
	});

	it('do not grow with children that die again and again', () => {
		const simulation = simulate().start({ size: 2, respawn: 0 }).spawned(1).spawned(2).up(1).exited(2, 1);
		let past = projectionsOf(simulation);
		const { state } = past;
		if (!state) throw new Error('nothing is known');
		const fact = {
			type: 'child.exited',
			child: 1,
			pid: 101,
			code: 1,
			signal: null,
			status: 1,
			survivors: [],
		} satisfies ExternalEvent;
		for (let seq = 1; seq <= 5000; seq += 1) {
			past = { ...evolveProjections(past, { seq, at: seq, ...fact, lastOutput: [`death ${seq}`] }), state };
		}
		const [own] = past.rotations.kept;
		expect(own?.exits).toHaveLength(4096);
		expect(own?.lastOutput).toHaveLength(20);
	});

	it('count children that took a place, and no upgrade that was a repair', () => {
		const simulation = simulate().start({ size: 2, respawn: 10 }).spawned(1).spawned(2).up(1).up(2).exited(2, 1);
		simulation.tell({ type: 'respawn.due', generation: 1, index: 1 }).spawned(3).up(3);
		expect(projectionsOf(simulation).counters.respawns).toBe(1);
		const supervisorState = simulation.supervisorState();
		if (!supervisorState) throw new Error('nothing is known');
		simulation.recover(supervisorState);
		expect(projectionsOf(simulation).counters).toMatchObject({ upgrades: 0, recoveries: 0 });
		simulation.tell({ type: 'upgrade.requested' }, { type: 'upgrade.verified' }).recover(supervisorState);
		expect(projectionsOf(simulation).counters).toMatchObject({ upgrades: 1, recoveries: 0 });
	});

	it('keep no more than 8 KiB of last output', () => {
		const end = { ...endOf({ child: 2, pid: null }, { code: 3 }), lastOutput: Array(20).fill('x'.repeat(1000)) };
		expect(rotation(rotating().tell(end), 2)?.lastOutput.join('').length).toBe(8000);
	});

	it('count the rotations by result, and how long they took', () => {
		const simulation = running().tell(rotate).spawned(2).wait(3000).up(2).tell(rotate).spawned(3).exited(3, 1);
		simulation.tell(rotate, { type: 'stop.requested' });
		const { rotations, ready } = projectionsOf(simulation).counters;
		expect(rotations).toEqual({ promoted: 1, failed: 1, stopped: 1 });
		expect(ready).toMatchObject({ count: 2, seconds: 3 });
		expect(ready.counts).toEqual([1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
	});
});

describe('a stop with a patience of its own', () => {
	it('has each child killed after that, also one that drains for as long as it likes', () => {
		const simulation = draining();
		simulation.commands.splice(0);
		simulation.tell({ type: 'stop.requested', kill: 500 });
		const waits = simulation.commands.filter(({ type }) => type === 'wait');
		expect(waits).toEqual([
			{ type: 'wait', timer: 'kill', child: 1, millis: 500, since: null },
			{ type: 'wait', timer: 'kill', child: 2, millis: 500, since: null },
		]);
		simulation.tell({ type: 'timer.elapsed', child: 1, timer: 'kill' });
		expect(simulation.phases()).toEqual({ 1: 'killing', 2: 'draining' });
	});

	it('goes on where it was after an upgrade', () => {
		const simulation = draining().wait(9000).tell({ type: 'stop.requested', kill: 500 });
		const supervisorState = simulation.supervisorState();
		expect(supervisorState?.plan.kill).toBe(500);
		expect(supervisorState?.children.map(({ clock }) => clock)).toEqual([1_009_000, 1_009_000]);
	});

	it('leaves what the plan says where none is named', () => {
		expect(running({ kill: 700 }).tell({ type: 'stop.requested' }).supervisorState()?.plan.kill).toBe(700);
	});
});

it.each([
	['starting', simulate().start().spawned(1), 'generation 1 starts'],
	['running', running(), 'generation 1 serves'],
	['with workers', simulate().start({ size: 2 }).spawned(1).spawned(2).up(1).up(2), 'generation 1 serves (2 workers)'],
	['rotating', rotating(), 'generation 1 serves; generation 2 starts'],
	['queued', rotating().tell(rotate), 'generation 1 serves; generation 2 starts; one more rotation will follow'],
	['draining', draining(), 'generation 2 serves; 1 older drains'],
	['failed', rotating().exited(2, 1), 'generation 2 failed: 102 exit status 1; generation 1 serves'],
	['stopping', draining().signal('TERM'), 'stopping; 2 children are left'],
	[
		'nobody',
		draining().exited(2, 1).signal('HUP').spawned(3).exited(3, 1),
		'DOWN 0/1 serving; generation 3 failed: 103 exit status 1; no generation serves, a new one will be started; 1 older drains',
	],
])('a supervisor that is %s is put into one sentence', (_, simulation, words) => {
	expect(headlineOf(projectionsOf(simulation))).toBe(words);
});

it('a rotation whose generation was kept as degraded fails when its health check fails, once it is complete', () => {
	const simulation = simulate().start({ size: 2, respawn: 0, check: '/up' }).spawned(1).spawned(2);
	simulation.wait(3000).up(1).up(2).exited(1, 1);
	simulation.tell({ type: 'respawn.due', generation: 1, index: 0 }).spawned(3).wait(3000).up(3);
	const last = () => projectionsOf(simulation).rotations.kept.at(-1);
	expect(last()).toMatchObject({ generation: 1, result: 'pending' });
	simulation.tell({ type: 'check.tried', generation: 1, problem: '503' });
	expect(last()).toMatchObject({
		result: 'failed',
		code: 'check-failed',
		reason: 'it did not answer -check=/up with 2xx: 503',
	});
});
