import { describe, expect, it } from 'vitest';
import type { ExternalEvent } from '../../src/machines/facts/facts.ts';
import type { SupervisorState } from '../../src/machines/state/supervisorState.ts';
import { type Simulation, simulate } from '../../src/testing/simulation.ts';
import { childState, rotating, stateWith } from '../support/simulation.ts';

const kill = (child: number) => ({ type: 'timer.elapsed', child, timer: 'kill' }) as const;
const delayed = (child: number, millis: number) => ({ type: 'child.delayed', child, millis }) as const;
const waitsOf = ({ commands }: ReturnType<typeof simulate>, timer: string) =>
	commands.filter((command) => command.type === 'wait' && command.timer === timer);

/** Generation 1 serves, generation 2 boots; a child is up by its own word alone. */
const notified = (changes = {}) =>
	simulate()
		.start({ ready: 'notify', ...changes })
		.spawned(1)
		.announced(1)
		.verified(1)
		.signal('HUP')
		.spawned(2);

describe('-ready=wait', () => {
	it('takes a child for up at its own word, before the wait is over', () => {
		const simulation = rotating().announced(2).verified(2);
		expect(simulation.state()).toBe('draining');
		expect(simulation.history).toContainEqual(
			expect.objectContaining({ type: 'child.verifying', child: 2, by: 'notify' }),
		);
	});

	it('takes a child for up when the wait is over', () => {
		const simulation = rotating().waited(2).verified(2);
		expect(simulation.state()).toBe('draining');
		expect(simulation.supervisorState()?.children.find(({ child }) => child === 2)).toMatchObject({ readyBy: 'wait' });
	});

	it('takes an ack for a word', () => {
		const simulation = rotating().tell({ type: 'child.announced', child: 2, by: 'ack' }).verified(2);
		expect(simulation.supervisorState()?.children.find(({ child }) => child === 2)).toMatchObject({ readyBy: 'ack' });
	});

	it('ignores what is said again', () => {
		const simulation = rotating().announced(2).announced(2).verified(2).announced(2).announced(1);
		expect(simulation.decisions().filter((type) => type === 'child.ready')).toHaveLength(2);
	});
});

describe('-ready=notify', () => {
	it('takes a child for up by its own word alone', () => {
		const simulation = notified();
		expect(simulation.state()).toBe('rotating');
		expect(simulation.announced(2).verified(2).state()).toBe('draining');
	});

	it('gives up a candidate that misses its deadline, tells it to leave, and kills it ten seconds later', () => {
		const simulation = notified();
		simulation.decided();
		simulation.waited(2);
		expect(simulation.reports()).toEqual([
			'102 did not report ready within 3.0 s (-start=3000); sending SIGHUP',
			'Generation 2 failed: 102 did not report ready within 3.0 s (-start=3000); generation 1 keeps serving',
		]);
		expect(waitsOf(simulation, 'kill').at(-1)).toMatchObject({ child: 2, millis: 10_000 });
		expect(simulation.decided()).toEqual(['HUP to 2']);
		simulation.tell(kill(2));
		expect(simulation.reports()).toEqual(['102 is still alive 10000 ms after it was told to leave; killing it']);
		expect(simulation.decided()).toEqual(['KILL to 2']);
		expect(simulation.killed(2, 9).state()).toBe('running');
		expect(simulation.phases()).toEqual({ 1: 'serving' });
	});

	it('kills it sooner where -kill is shorter', () => {
		expect(waitsOf(notified({ kill: 500 }).waited(2), 'kill').at(-1)).toMatchObject({ child: 2, millis: 500 });
		expect(waitsOf(notified({ kill: 60_000 }).waited(2), 'kill').at(-1)).toMatchObject({ child: 2, millis: 10_000 });
	});

	it('gives up a candidate that was found stopped at its deadline', () => {
		const simulation = notified().tell({ type: 'child.stopped', child: 2, pid: 102 });
		expect(simulation.decisions()).toContain('child.rejected');
	});

	it('gives up a candidate that ends well without a word', () => {
		const simulation = notified();
		simulation.decided();
		simulation.exited(2, 0);
		expect(simulation.reports()).toEqual(['Generation 2 failed: 102 exit status 0; generation 1 keeps serving']);
	});

	it('ends the supervisor with 1 where the first generation misses its deadline', () => {
		const simulation = simulate().start({ ready: 'notify' }).spawned(1).waited(1);
		expect(simulation.exited(1, 0).status()).toBe(1);
	});

	it('starts again what missed its deadline when that is gone, where -respawn says so', () => {
		const simulation = simulate().start({ ready: 'notify', respawn: 500 }).spawned(1).waited(1);
		expect(simulation.supervisorState()?.respawns).toEqual([]);
		simulation.exited(1, 0).tell({ type: 'respawn.due', generation: 1, index: 0 });
		expect(simulation.decided()).toContain('spawn 2');
	});

	it('goes on after a recovery with a candidate that was to leave, and its patience', () => {
		const late = childState({
			child: 2,
			generation: 2,
			pid: 102,
			phase: 'draining',
			clock: 5,
			isDismissed: true,
			isRejected: false,
		});
		const simulation = simulate().recover(
			stateWith({ lastGeneration: 2, lastChild: 2, children: [childState(), late] }),
		);
		expect(waitsOf(simulation, 'kill')).toEqual([{ type: 'wait', child: 2, timer: 'kill', millis: 10_000, since: 5 }]);
	});
});

describe('a child that asks for more time', () => {
	it('gets it from the moment it asks', () => {
		const simulation = notified().wait(2000);
		simulation.commands.splice(0);
		simulation.tell(delayed(2, 5000));
		const [move] = simulation.history.filter((fact) => fact.type === 'deadline.moved');
		expect(move).toMatchObject({ deadline: 1_007_000 });
		expect(waitsOf(simulation, 'boot')).toEqual([
			{ type: 'wait', child: 2, timer: 'boot', millis: 7000, since: 1_000_000 },
		]);
	});

	it('gets no more than ten times -start in all', () => {
		const simulation = notified().tell(delayed(2, 10 ** 9));
		expect(simulation.history.at(-1)).toMatchObject({ type: 'deadline.moved', deadline: 1_030_000 });
		simulation.tell(delayed(2, 10 ** 10));
		expect(simulation.history.at(-1)).toMatchObject({ type: 'child.delayed' });
	});

	it('never loses time', () => {
		const simulation = notified().tell(delayed(2, 100));
		expect(simulation.decisions()).not.toContain('deadline.moved');
	});

	it('is waited for under -ready=wait too', () => {
		const simulation = rotating().tell(delayed(2, 9000));
		expect(waitsOf(simulation, 'boot').at(-1)).toMatchObject({ millis: 9000 });
	});

	it('and is found stopped then is looked at once a second at the most', () => {
		const simulation = rotating().tell(delayed(2, 5000));
		simulation.commands.splice(0);
		simulation.wait(5000).tell({ type: 'child.stopped', child: 2, pid: 102 });
		expect(waitsOf(simulation, 'boot')).toEqual([{ type: 'wait', child: 2, timer: 'boot', millis: 3000, since: null }]);
		expect(simulation.supervisorState()?.children.find(({ child }) => child === 2)).toMatchObject({ deadline: null });
	});

	it('keeps its deadline through a recovery', () => {
		const booting = childState({ child: 2, generation: 2, phase: 'booting', clock: 1000, deadline: 9000 });
		const supervisorState = stateWith({
			candidate: 2,
			lastGeneration: 2,
			lastChild: 2,
			children: [childState(), booting],
		});
		const simulation = simulate().recover(supervisorState);
		expect(waitsOf(simulation, 'boot')).toEqual([{ type: 'wait', child: 2, timer: 'boot', millis: 8000, since: 1000 }]);
	});
});

describe('the proof of adoption', () => {
	const unverified = (child: number): ExternalEvent => ({
		type: 'child.unverified',
		child,
		missing: ['tcp://:80 (its fd 3)'],
	});

	it('comes before the old generation is told to leave', () => {
		const simulation = rotating().waited(2);
		expect(simulation.decided()).toEqual([]);
		expect(simulation.verified(2).decided()).toEqual(['HUP to 1']);
	});

	it('gives up a generation that does not hold its sockets', () => {
		const simulation = rotating().waited(2).tell(unverified(2));
		expect(simulation.reports()).toEqual([
			'Generation 2 failed: 102 does not hold tcp://:80 (its fd 3); generation 1 keeps serving',
		]);
		expect(simulation.decided()).toEqual(['HUP to 2']);
		expect(simulation.exited(2).phases()).toEqual({ 1: 'serving' });
	});

	it('kills what such a generation leaves behind after ten seconds, also without -kill', () => {
		const simulation = rotating().waited(2).tell(unverified(2));
		expect(simulation.supervisorState()?.children[1]).toMatchObject({
			phase: 'draining',
			isDismissed: true,
			isRejected: false,
		});
		simulation.tell({
			...{ type: 'child.exited', child: 2, pid: 102, code: null, signal: 'hangup', status: 129 },
			survivors: [7],
		});
		expect(simulation.phases()).toEqual({ 1: 'serving', 2: 'orphaned' });
		simulation.decided();
		expect(simulation.wait(10_000).tell({ type: 'timer.elapsed', child: 2, timer: 'kill' }).decided()).toEqual([
			'KILL to 2',
		]);
	});

	it('kills a sibling that is not up either after ten seconds', () => {
		const simulation = simulate().start({ size: 2 }).spawned(1).spawned(2).up(1).up(2);
		simulation.signal('HUP').spawned(3).spawned(4).waited(3).tell(unverified(3));
		expect(simulation.phases()).toMatchObject({ 3: 'draining', 4: 'draining' });
		simulation.decided();
		expect(simulation.wait(10_000).tell({ type: 'timer.elapsed', child: 4, timer: 'kill' }).decided()).toEqual([
			'KILL to 4',
		]);
	});

	it('ends with the same status with an upgrade in between as without', () => {
		const ends = (isUpgraded: boolean) => {
			const simulation = rotating().waited(2).tell(unverified(2));
			const { supervisorState } = simulation;
			const next = isUpgraded ? simulate().recover(supervisorState() as SupervisorState) : simulation;
			return next.signal('QUIT').exited(2).exited(1).status();
		};
		expect([ends(false), ends(true)]).toEqual([0, 0]);
	});

	it('does not limit how long one may drain that a stop has met in the look', () => {
		const simulation = rotating().waited(2).signal('TERM');
		expect(simulation.supervisorState()?.children[1]).toMatchObject({ phase: 'draining', isRejected: false });
	});

	it('says that nobody serves where the only child is told to leave', () => {
		const simulation = simulate().start({ ready: 'notify' }).spawned(1).waited(1);
		expect(simulation.reports()).toContain(
			'Generation 1 is degraded: 101 did not report ready within 3.0 s (-start=3000); no generation serves',
		);
	});

	it('does not keep a first generation waiting: it serves as soon as it is ready, and is looked at', () => {
		const simulation = simulate().start().spawned(1).waited(1);
		expect(simulation.state()).toBe('running');
		expect(simulation.phases()).toEqual({ 1: 'serving' });
		expect(simulation.commands).toContainEqual({ type: 'check', child: 1, purpose: 'notice' });
		simulation.tell({ type: 'child.unseen', child: 1, reason: '101 does not accept' });
		expect(simulation.reports()).toContain('101 does not accept');
	});

	it('goes on where it can’t be seen', () => {
		const simulation = rotating().waited(2).tell({ type: 'child.verified', child: 2, isSeen: false });
		expect(simulation.state()).toBe('draining');
	});

	it('does not keep a stop waiting', () => {
		const simulation = rotating().waited(2).signal('TERM');
		expect(simulation.decided()).toEqual(['TERM to 1', 'TERM to 2']);
		expect(simulation.verified(2).state()).toBe('stopping');
	});

	it('begins again after a recovery in the middle of it', () => {
		const verifying = childState({ child: 2, generation: 2, phase: 'verifying', readyBy: 'notify' });
		const supervisorState = stateWith({
			candidate: 2,
			lastGeneration: 2,
			lastChild: 2,
			children: [childState(), verifying],
		});
		const simulation = simulate().recover(supervisorState);
		expect(simulation.commands).toContainEqual({ type: 'check', child: 2, purpose: 'promotion' });
		expect(simulation.verified(2).state()).toBe('draining');
	});
});

describe('-ready=accept', () => {
	const seen = (child: number) => ({ type: 'child.verified', child, isSeen: true }) as const;
	const hidden = (child: number) => ({ type: 'child.verified', child, isSeen: false, reason: 'x' }) as const;

	it('waits for no time: a child that is seen to accept is ready, and verified', () => {
		const simulation = simulate().start({ ready: 'accept' }).spawned(1);
		expect(simulation.commands).toContainEqual({ type: 'check', child: 1, purpose: 'readiness' });
		expect(simulation.commands.filter(({ type }) => type === 'wait')).toEqual([]);
		expect(simulation.tell(seen(1)).phases()).toEqual({ 1: 'serving' });
		simulation.signal('HUP').spawned(2).decided();
		expect(simulation.tell(seen(2)).decided()).toEqual(['HUP to 1']);
		expect(simulation.supervisorState()?.children.map(({ readyBy }) => readyBy)).toEqual(['accept', 'accept']);
	});

	it('takes its message too, and then still sees whether it accepts', () => {
		const simulation = simulate().start({ ready: 'accept' }).spawned(1).tell(seen(1)).signal('HUP').spawned(2);
		expect(simulation.announced(2).phases()).toEqual({ 1: 'serving', 2: 'verifying' });
		expect(simulation.tell(seen(2)).state()).toBe('draining');
	});

	it('gives a candidate up that is not seen by its deadline, and tells scripts why', () => {
		const simulation = simulate().start({ ready: 'accept' }).spawned(1).tell(seen(1)).signal('HUP').spawned(2);
		const reason = '102 does not accept on tcp://:80 (its fd 3)';
		simulation.tell({ type: 'child.unverified', child: 2, missing: ['tcp://:80 (its fd 3)'], reason });
		expect(simulation.history).toContainEqual(
			expect.objectContaining({ type: 'generation.failed', generation: 2, serving: 1, code: 'not-accepting' }),
		);
		expect(simulation.reports()).toContain(`Generation 2 failed: ${reason} (-start=3000); generation 1 keeps serving`);
		expect(simulation.decided()).toContain('HUP to 2');
	});

	it('and is stopped is waited for ten times -start, and is no good then, also after an upgrade', () => {
		const stopped = (simulation: Simulation) => simulation.tell({ type: 'child.stopped', child: 2, pid: 102 });
		const begun = () =>
			simulate().start({ ready: 'wait', verify: 'none' }).spawned(1).waited(1).signal('HUP').spawned(2);
		const simulation = stopped(begun().wait(3000));
		expect(simulation.phases()).toEqual({ 1: 'serving', 2: 'booting' });
		const supervisorState = simulation.supervisorState();
		if (!supervisorState) throw new Error('no supervisorState');
		for (const each of [simulation, simulate().recover(supervisorState)]) {
			stopped(each.wait(26_000));
			expect(each.phases()).toEqual({ 1: 'serving', 2: 'booting' });
			stopped(each.wait(4000));
			expect(each.history).toContainEqual(
				expect.objectContaining({
					type: 'generation.failed',
					generation: 2,
					code: 'deadline',
					reason: '102 was still stopped (SIGSTOP) after ten times its wait (-start=3000)',
				}),
			);
			expect(each.phases()).toEqual({ 1: 'serving', 2: 'draining' });
		}
	});

	it('keeps the reason of a failure through an upgrade', () => {
		const simulation = simulate().start({ ready: 'accept' }).spawned(1);
		simulation.tell({
			type: 'child.unverified',
			child: 1,
			missing: ['tcp://:80 (its fd 3)'],
			reason: '101 is not seen',
		});
		const supervisorState = simulation.supervisorState();
		if (!supervisorState) throw new Error('no supervisorState');
		const next = simulate().recover(supervisorState).exited(1);
		expect(next.history.at(-1)).toMatchObject({ type: 'generation.failed', code: 'not-accepting' });
	});

	it('goes by -start where it can’t be seen whether it accepts, also after an upgrade', () => {
		const simulation = simulate().start({ ready: 'accept' }).spawned(1).tell(seen(1)).signal('HUP').spawned(2);
		simulation.tell(hidden(2));
		expect(simulation.phases()).toEqual({ 1: 'serving', 2: 'booting' });
		const wait = simulation.commands.find((command) => command.type === 'wait' && command.timer === 'boot');
		expect(wait).toMatchObject({ child: 2, millis: 3000 });
		const supervisorState = simulation.supervisorState();
		if (!supervisorState) throw new Error('no supervisorState');
		const next = simulate().recover(supervisorState);
		expect(next.commands).toContainEqual(
			expect.objectContaining({ type: 'wait', timer: 'boot', child: 2, millis: 3000 }),
		);
		expect(next.waited(2).tell(hidden(2)).state()).toBe('draining');
	});
});

describe('a candidate that is verified', () => {
	it('serves at once when the serving generation ends, and so do its children that are not ready yet', () => {
		const simulation = simulate().start({ size: 2 }).spawned(1).spawned(2).up(1).up(2);
		simulation.signal('HUP').spawned(3).spawned(4).waited(3);
		expect(simulation.phases()).toMatchObject({ 3: 'verifying', 4: 'booting' });
		simulation.exited(1, 1).exited(2, 1);
		expect(simulation.phases()).toEqual({ 3: 'serving', 4: 'booting' });
		expect(simulation.waited(4).phases()).toEqual({ 3: 'serving', 4: 'serving' });
		expect(simulation.state()).toBe('running');
	});

	it('is not kept waiting for a respawned child once it serves', () => {
		const simulation = simulate().start({ size: 2, respawn: 0 }).spawned(1).spawned(2).up(1).up(2);
		simulation.signal('HUP').spawned(3).spawned(4).up(3).up(4).exited(1).exited(2).exited(3, 1);
		simulation.tell({ type: 'respawn.due', generation: 2, index: 0 }).spawned(5).waited(5);
		expect(simulation.phases()).toEqual({ 4: 'serving', 5: 'serving' });
	});

	it('is not looked at with -verify=none', () => {
		const simulation = rotating({ verify: 'none' }).waited(2);
		expect(simulation.state()).toBe('draining');
	});

	it.each([
		['an exit', (s: ReturnType<typeof rotating>) => s.exited(2, 3), 'exited'],
		[
			'a failed spawn',
			(s: ReturnType<typeof rotating>) => s.tell({ type: 'child.spawnFailed', child: 2, reason: 'no' }),
			'spawn-failed',
		],
		[
			'variables that can’t be read',
			(s: ReturnType<typeof rotating>) =>
				s.tell({ type: 'child.spawnFailed', child: 2, reason: 'no', code: 'environment' }),
			'environment',
		],
	])('that fails by %s has a code for scripts', (_, act, code) => {
		expect(act(rotating()).history).toContainEqual(expect.objectContaining({ type: 'generation.failed', code }));
	});
});

describe('-stop', () => {
	it.each(['TERM', 'INT'] as const)('is what children get for SIG%s', (name) => {
		const simulation = rotating({ stop: 'QUIT' }).signal(name);
		expect(simulation.decided()).toEqual(['QUIT to 1', 'QUIT to 2']);
		expect(simulation.history).toContainEqual(expect.objectContaining({ type: 'stop.begun', signal: 'QUIT' }));
	});

	it('goes on after an upgrade', () => {
		const supervisorState = stateWith({ stopSignal: 'QUIT' });
		expect(simulate().recover(supervisorState).decided()).toEqual(['adopt 1', 'QUIT to 1']);
	});
});

describe('a generation of workers', () => {
	it('that is promoted tells all of the old one', () => {
		const simulation = simulate()
			.start({ size: 2 })
			.spawned(1)
			.spawned(2)
			.up(1)
			.up(2)
			.signal('HUP')
			.spawned(3)
			.spawned(4);
		simulation.decided();
		simulation.announced(3).verified(3);
		expect(simulation.decided()).toEqual([]);
		expect(simulation.announced(4).verified(4).decided()).toEqual(['HUP to 1', 'HUP to 2']);
	});

	it('fails with all of it when one misses its deadline', () => {
		const simulation = simulate().start({ size: 2, ready: 'notify' }).spawned(1).spawned(2);
		simulation
			.announced(1)
			.verified(1)
			.announced(2)
			.verified(2)
			.signal('HUP')
			.spawned(3)
			.spawned(4)
			.announced(3)
			.verified(3);
		simulation.decided();
		expect(simulation.waited(4).decided()).toEqual(['HUP to 4', 'HUP to 3']);
		expect(simulation.phases()).toMatchObject({ 1: 'serving', 2: 'serving' });
	});
});
