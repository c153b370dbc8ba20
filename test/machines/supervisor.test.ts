import { describe, expect, it } from 'vitest';
import { type Simulation, simulate } from '../../src/testing/simulation.ts';
import { baking, draining, plan, rotating, running } from '../support/simulation.ts';

/** Every state of the table, as a supervisor that has come there. */
const states = {
	starting: () => {
		const simulation = simulate().start().spawned(1);
		simulation.decided();
		return simulation;
	},
	running,
	rotating,
	baking: () => baking(),
	draining,
	unserved: () => {
		const simulation = draining().exited(2, 1);
		simulation.decided();
		return simulation;
	},
	stopping: () => {
		const simulation = running().signal('TERM');
		simulation.decided();
		return simulation;
	},
};

interface Cell {
	in: keyof typeof states;
	when: string;
	act: (simulation: Simulation) => Simulation;
	to: string;
	decided: string[];
}

const hup = (s: Simulation) => s.signal('HUP');
const rotateRequest = (s: Simulation) => s.tell({ type: 'rotate.requested' });
const stopRequest = (s: Simulation) => s.tell({ type: 'stop.requested' });
const term = (s: Simulation) => s.signal('TERM');
const int = (s: Simulation) => s.signal('INT');
const quit = (s: Simulation) => s.signal('QUIT');
const restartDue = (s: Simulation) => s.tell({ type: 'restart.due' });
const bakeDue = (s: Simulation) => s.tell({ type: 'bake.due' });
const upgrade = (s: Simulation) => s.tell({ type: 'signal.USR2' });
const unspawned = (child: number) => (s: Simulation) =>
	s.tell({ type: 'child.spawnFailed', child, reason: 'out of memory' });

const table: Cell[] = [
	{ in: 'starting', when: 'SIGHUP', act: hup, to: 'starting', decided: [] },
	{ in: 'starting', when: 'a rotation request', act: rotateRequest, to: 'starting', decided: [] },
	{ in: 'starting', when: 'SIGTERM', act: term, to: 'stopping', decided: ['TERM to 1'] },
	{ in: 'starting', when: 'SIGINT', act: int, to: 'stopping', decided: ['INT to 1'] },
	{ in: 'starting', when: 'a stop request', act: stopRequest, to: 'stopping', decided: ['TERM to 1'] },
	{ in: 'starting', when: 'SIGQUIT', act: quit, to: 'starting', decided: ['QUIT to 1'] },
	{ in: 'starting', when: 'all are ready', act: (s) => s.up(1), to: 'running', decided: [] },
	{ in: 'starting', when: 'the last child exits', act: (s) => s.exited(1, 3), to: 'stopped', decided: [] },
	{ in: 'starting', when: 'SIGUSR2', act: upgrade, to: 'starting', decided: ['preflight'] },
	{ in: 'starting', when: 'a child cannot be spawned', act: unspawned(1), to: 'stopped', decided: [] },

	{ in: 'running', when: 'SIGHUP', act: hup, to: 'rotating', decided: ['spawn 2'] },
	{ in: 'running', when: 'a rotation request', act: rotateRequest, to: 'rotating', decided: ['spawn 2'] },
	{ in: 'running', when: 'SIGTERM', act: term, to: 'stopping', decided: ['TERM to 1'] },
	{ in: 'running', when: 'SIGINT', act: int, to: 'stopping', decided: ['INT to 1'] },
	{ in: 'running', when: 'a stop request', act: stopRequest, to: 'stopping', decided: ['TERM to 1'] },
	{ in: 'running', when: 'SIGQUIT', act: quit, to: 'running', decided: ['QUIT to 1'] },
	{ in: 'running', when: 'a late timer', act: (s) => s.up(1), to: 'running', decided: [] },
	{ in: 'running', when: 'the last child exits', act: (s) => s.exited(1), to: 'stopped', decided: [] },
	{ in: 'running', when: 'SIGUSR2', act: upgrade, to: 'running', decided: ['preflight'] },
	{ in: 'running', when: 'a failed spawn of nobody', act: unspawned(9), to: 'running', decided: [] },

	{ in: 'rotating', when: 'SIGHUP', act: hup, to: 'rotating', decided: [] },
	{ in: 'rotating', when: 'a rotation request', act: rotateRequest, to: 'rotating', decided: [] },
	{ in: 'rotating', when: 'SIGTERM', act: term, to: 'stopping', decided: ['TERM to 1', 'TERM to 2'] },
	{ in: 'rotating', when: 'SIGINT', act: int, to: 'stopping', decided: ['INT to 1', 'INT to 2'] },
	{ in: 'rotating', when: 'a stop request', act: stopRequest, to: 'stopping', decided: ['TERM to 1', 'TERM to 2'] },
	{ in: 'rotating', when: 'SIGQUIT', act: quit, to: 'rotating', decided: ['QUIT to 1', 'QUIT to 2'] },
	{ in: 'rotating', when: 'all are ready', act: (s) => s.up(2), to: 'draining', decided: ['HUP to 1'] },
	{ in: 'rotating', when: 'the candidate exits', act: (s) => s.exited(2, 1), to: 'running', decided: [] },
	{ in: 'rotating', when: 'the old child exits', act: (s) => s.exited(1), to: 'rotating', decided: [] },
	{ in: 'rotating', when: 'SIGUSR2', act: upgrade, to: 'rotating', decided: ['preflight'] },
	{ in: 'rotating', when: 'the candidate cannot be spawned', act: unspawned(2), to: 'running', decided: [] },

	{ in: 'baking', when: 'SIGHUP', act: hup, to: 'baking', decided: [] },
	{ in: 'baking', when: 'a rotation request', act: rotateRequest, to: 'baking', decided: [] },
	{ in: 'baking', when: 'SIGTERM', act: term, to: 'stopping', decided: ['TERM to 1', 'TERM to 2'] },
	{ in: 'baking', when: 'SIGINT', act: int, to: 'stopping', decided: ['INT to 1', 'INT to 2'] },
	{ in: 'baking', when: 'a stop request', act: stopRequest, to: 'stopping', decided: ['TERM to 1', 'TERM to 2'] },
	{ in: 'baking', when: 'SIGQUIT', act: quit, to: 'baking', decided: ['QUIT to 1', 'QUIT to 2'] },
	{ in: 'baking', when: 'the bake ends', act: bakeDue, to: 'draining', decided: ['HUP to 1'] },
	{ in: 'baking', when: 'a late timer', act: (s) => s.up(2), to: 'baking', decided: [] },
	{ in: 'baking', when: 'the candidate exits', act: (s) => s.exited(2, 1), to: 'running', decided: [] },
	{ in: 'baking', when: 'the old child exits', act: (s) => s.exited(1), to: 'running', decided: [] },
	{ in: 'baking', when: 'SIGUSR2', act: upgrade, to: 'baking', decided: ['preflight'] },
	{ in: 'baking', when: 'a failed spawn of nobody', act: unspawned(9), to: 'baking', decided: [] },

	{ in: 'draining', when: 'SIGHUP', act: hup, to: 'rotating', decided: ['spawn 3'] },
	{ in: 'draining', when: 'a rotation request', act: rotateRequest, to: 'rotating', decided: ['spawn 3'] },
	{ in: 'draining', when: 'SIGTERM', act: term, to: 'stopping', decided: ['TERM to 1', 'TERM to 2'] },
	{ in: 'draining', when: 'SIGINT', act: int, to: 'stopping', decided: ['INT to 1', 'INT to 2'] },
	{ in: 'draining', when: 'a stop request', act: stopRequest, to: 'stopping', decided: ['TERM to 1', 'TERM to 2'] },
	{ in: 'draining', when: 'SIGQUIT', act: quit, to: 'draining', decided: ['QUIT to 1', 'QUIT to 2'] },
	{ in: 'draining', when: 'a late timer', act: (s) => s.up(2), to: 'draining', decided: [] },
	{ in: 'draining', when: 'the drained child exits', act: (s) => s.exited(1), to: 'running', decided: [] },
	{ in: 'draining', when: 'the serving child exits', act: (s) => s.exited(2, 1), to: 'unserved', decided: [] },
	{ in: 'draining', when: 'SIGUSR2', act: upgrade, to: 'draining', decided: ['preflight'] },
	{ in: 'draining', when: 'a failed spawn of nobody', act: unspawned(9), to: 'draining', decided: [] },

	{ in: 'unserved', when: 'the wait is over', act: restartDue, to: 'rotating', decided: ['spawn 3'] },
	{ in: 'unserved', when: 'SIGHUP', act: hup, to: 'rotating', decided: ['spawn 3'] },
	{ in: 'unserved', when: 'a rotation request', act: rotateRequest, to: 'rotating', decided: ['spawn 3'] },
	{ in: 'unserved', when: 'SIGTERM', act: term, to: 'stopping', decided: ['TERM to 1'] },
	{ in: 'unserved', when: 'SIGINT', act: int, to: 'stopping', decided: ['INT to 1'] },
	{ in: 'unserved', when: 'a stop request', act: stopRequest, to: 'stopping', decided: ['TERM to 1'] },
	{ in: 'unserved', when: 'SIGQUIT', act: quit, to: 'draining', decided: ['QUIT to 1'] },
	{ in: 'unserved', when: 'the last drained child exits', act: (s) => s.exited(1), to: 'stopped', decided: [] },
	{ in: 'unserved', when: 'SIGUSR2', act: upgrade, to: 'unserved', decided: ['preflight'] },
	{ in: 'unserved', when: 'a failed spawn of nobody', act: unspawned(9), to: 'unserved', decided: [] },

	{ in: 'stopping', when: 'SIGHUP', act: hup, to: 'stopping', decided: [] },
	{ in: 'stopping', when: 'a rotation request', act: rotateRequest, to: 'stopping', decided: [] },
	{ in: 'stopping', when: 'SIGTERM', act: term, to: 'stopping', decided: ['TERM to 1'] },
	{ in: 'stopping', when: 'SIGINT', act: int, to: 'stopping', decided: ['INT to 1'] },
	{ in: 'stopping', when: 'a stop request', act: stopRequest, to: 'stopping', decided: ['TERM to 1'] },
	{ in: 'stopping', when: 'SIGQUIT', act: quit, to: 'stopping', decided: ['QUIT to 1'] },
	{ in: 'stopping', when: 'a late timer', act: (s) => s.up(1), to: 'stopping', decided: [] },
	{ in: 'stopping', when: 'the last child exits', act: (s) => s.exited(1), to: 'stopped', decided: [] },
	{ in: 'stopping', when: 'SIGUSR2', act: upgrade, to: 'stopping', decided: [] },
	{ in: 'stopping', when: 'a failed spawn of nobody', act: unspawned(9), to: 'stopping', decided: [] },
];

describe('every cell of the table', () => {
	it.each(table)('in $in, $when leads to $to', (cell) => {
		const simulation = states[cell.in]();
		expect(simulation.state()).toBe(cell.in);
		cell.act(simulation);
		expect(simulation.state()).toBe(cell.to);
		expect(simulation.decided()).toEqual(cell.decided);
	});
});

describe('a rotation', () => {
	it('tells the old child to leave only when the new one has stayed alive for the whole wait', () => {
		const simulation = running().signal('HUP').spawned(2);
		expect(simulation.decided()).toEqual(['spawn 2']);
		simulation.up(2);
		expect(simulation.decided()).toEqual(['HUP to 1']);
	});

	it('uses the signal that was asked for', () => {
		const simulation = rotating({ drain: 'TERM' }).up(2);
		expect(simulation.decided()).toEqual(['TERM to 1']);
	});

	it('waits from the time the child was spawned', () => {
		const simulation = running().wait(500).signal('HUP').wait(20).spawned(2);
		const wait = simulation.commands.find((command) => command.type === 'wait');
		expect(wait).toEqual({ type: 'wait', child: 2, timer: 'boot', millis: plan.start, since: null });
	});

	it('takes a negative wait for none', () => {
		const simulation = simulate().start({ start: -5 }).spawned(1);
		expect(simulation.commands.find((command) => command.type === 'wait')).toMatchObject({ millis: 0 });
	});

	it('goes to running at once when there is nobody left to tell', () => {
		const simulation = rotating().exited(1).up(2);
		expect(simulation.state()).toBe('running');
		expect(simulation.decided()).toEqual([]);
	});

	it.each([0, 1, 2])('fails when the candidate dies while %i older generations drain', (older) => {
		const simulation = running();
		for (let child = 2; child <= older + 1; child += 1) simulation.signal('HUP').spawned(child).up(child);
		const serving = older + 1;
		simulation.signal('HUP').spawned(serving + 1);
		simulation.decided();
		simulation.exited(serving + 1, 7);
		expect(simulation.state()).toBe(older === 0 ? 'running' : 'draining');
		expect(simulation.reports()).toEqual([
			`Generation ${serving + 1} failed: ${101 + serving} exit status 7; generation ${serving} keeps serving`,
		]);
		expect(simulation.decided()).toEqual([]);
		expect(simulation.phases()).toMatchObject({ [serving]: 'serving' });
	});

	it('fails when the candidate cannot be spawned, and the next one is tried on the next SIGHUP', () => {
		const simulation = running()
			.signal('HUP')
			.tell({ type: 'child.spawnFailed', child: 2, reason: 'pipe2: too many open files' });
		expect(simulation.state()).toBe('running');
		expect(simulation.phases()).toEqual({ 1: 'serving' });
		simulation.signal('HUP');
		expect(simulation.decided()).toEqual(['spawn 2', 'spawn 3']);
	});

	it('fails when the candidate leaves with 0 before it is up', () => {
		const simulation = rotating().exited(2, 0);
		expect(simulation.reports()).toEqual(['Generation 2 failed: 102 exit status 0; generation 1 keeps serving']);
		expect(simulation.phases()).toEqual({ 1: 'serving' });
	});

	it('says so when it fails', () => {
		const simulation = rotating().exited(2, 1);
		expect(simulation.reports()).toEqual(['Generation 2 failed: 102 exit status 1; generation 1 keeps serving']);
	});

	it('survives the death of the current child while the candidate boots', () => {
		const simulation = rotating().exited(1, 1).up(2);
		expect(simulation.state()).toBe('running');
		expect(simulation.phases()).toEqual({ 2: 'serving' });
	});

	it('ends with the status of the candidate when both die', () => {
		const simulation = rotating().exited(1, 4).exited(2, 5);
		expect(simulation.state()).toBe('stopped');
		expect(simulation.status()).toBe(5);
	});

	it('lets any number of old generations drain side by side, each told once', () => {
		const simulation = running();
		for (let child = 2; child <= 6; child += 1) simulation.signal('HUP').spawned(child).up(child);
		expect(simulation.decided().filter((text) => text.startsWith('HUP'))).toEqual([
			'HUP to 1',
			'HUP to 2',
			'HUP to 3',
			'HUP to 4',
			'HUP to 5',
		]);
		expect(simulation.state()).toBe('draining');
		for (let child = 1; child <= 5; child += 1) simulation.exited(child);
		expect(simulation.state()).toBe('running');
	});

	it('follows after a second when the serving child dies and only draining ones are left', () => {
		const simulation = draining().exited(2, 1);
		expect(simulation.reports()).toEqual([
			'No generation serves any more; waiting for 101 to leave',
			'No generation serves: a new one will be started in 1000 ms',
		]);
		expect(simulation.decided()).toEqual([]);
		expect(simulation.commands).toEqual([]);
		restartDue(simulation);
		expect(simulation.decided()).toEqual(['spawn 3']);
		expect(simulation.spawned(3).waited(3).state()).toBe('draining');
		expect(simulation.exited(1).state()).toBe('running');
	});

	it('is tried again and again, ever later up to 30 s, while older generations drain and none serves', () => {
		const simulation = draining().exited(2, 4);
		for (let child = 3; child <= 9; child += 1) {
			restartDue(simulation);
			simulation.spawned(child).exited(child, 5);
		}
		const waits = simulation.history.flatMap((fact) => (fact.type === 'restart.scheduled' ? fact.millis : []));
		expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
		expect(simulation.state()).toBe('unserved');
		expect(simulation.exited(1).status()).toBe(5);
	});

	it.each([
		['a second', 1000, 3],
		['a minute', 60_000, 1],
	])('that had served for %s is followed by another after a wait that fits', (_, millis, attempt) => {
		const simulation = draining().exited(2, 1);
		restartDue(simulation);
		simulation.spawned(3).exited(3, 1);
		restartDue(simulation);
		simulation.spawned(4).waited(4).wait(millis);
		expect(simulation.state()).toBe('draining');
		simulation.exited(4, 1);
		expect(simulation.history.at(-1)).toMatchObject({ type: 'restart.scheduled', attempt });
		expect(simulation.context().restarts).toBe(simulation.supervisorState()?.restarts);
	});

	it('counts anew also where the generation that had served for long died while another one booted', () => {
		const simulation = draining().exited(2, 1);
		restartDue(simulation);
		simulation.spawned(3).exited(3, 1);
		restartDue(simulation);
		simulation.spawned(4).waited(4).wait(60_000);
		simulation.signal('HUP').spawned(5).exited(4, 1).exited(5, 1);
		expect(simulation.history.at(-1)).toMatchObject({ type: 'restart.scheduled', attempt: 1, millis: 1000 });
		expect(simulation.context().restarts).toBe(simulation.supervisorState()?.restarts);
	});

	it('asked for while none serves begins at once, and its candidate serves as soon as it is ready', () => {
		const simulation = draining().exited(2, 1).signal('HUP').spawned(3).waited(3);
		expect(simulation.phases()).toEqual({ 1: 'draining', 3: 'serving' });
		expect(simulation.state()).toBe('draining');
	});

	it('does not follow a SIGQUIT that was passed on to the serving child', () => {
		const simulation = draining().signal('QUIT').killed(2, 3);
		expect(simulation.state()).toBe('draining');
		expect(simulation.exited(1).status()).toBe(131);
	});

	it('that is scheduled is scheduled after an upgrade too', () => {
		const supervisorState = draining().exited(2, 1).supervisorState();
		if (!supervisorState) throw new Error('no supervisorState');
		const simulation = simulate().recover(supervisorState);
		expect(simulation.state()).toBe('unserved');
		const wait = simulation.commands.find((command) => command.type === 'wait' && command.timer === 'restart');
		expect(wait).toMatchObject({ millis: 1000, since: supervisorState.restart?.clock });
		expect(wait).not.toMatchObject({ since: null });
	});
});

describe('a SIGHUP that comes during a rotation', () => {
	it('is followed by one more rotation, however many came', () => {
		const simulation = rotating().signal('HUP').signal('HUP').signal('HUP').up(2);
		expect(simulation.decided()).toEqual(['HUP to 1', 'spawn 3']);
		expect(simulation.state()).toBe('rotating');
		simulation.spawned(3).up(3);
		expect(simulation.decided()).toEqual(['HUP to 2']);
		expect(simulation.state()).toBe('draining');
	});

	it('is followed by one more rotation also when the present one fails', () => {
		const simulation = rotating().signal('HUP').exited(2, 1);
		expect(simulation.decided()).toEqual(['spawn 3']);
		expect(simulation.state()).toBe('rotating');
		expect(simulation.phases()).toEqual({ 1: 'serving', 3: 'spawning' });
	});

	it('is followed by a rotation when it came while the first generation was starting', () => {
		const simulation = simulate().start().spawned(1).signal('HUP').signal('HUP').up(1);
		expect(simulation.decided()).toEqual(['spawn 1', 'spawn 2']);
		expect(simulation.state()).toBe('rotating');
	});

	it('is forgotten when a stop is asked for', () => {
		const simulation = rotating().signal('HUP').signal('TERM').exited(2).exited(1);
		expect(simulation.decided()).toEqual(['TERM to 1', 'TERM to 2']);
		expect(simulation.state()).toBe('stopped');
	});
});

describe('SIGTERM at every point of a rotation', () => {
	const points: [string, (s: Simulation) => Simulation, string[]][] = [
		['before it', (s) => s, ['TERM to 1']],
		['between the decision to spawn and the pid', (s) => s.signal('HUP'), ['TERM to 1']],
		['while the candidate boots', (s) => s.signal('HUP').spawned(2), ['TERM to 1', 'TERM to 2']],
		['right after the promotion', (s) => s.signal('HUP').spawned(2).up(2), ['TERM to 1', 'TERM to 2']],
		['when the old child is gone', (s) => s.signal('HUP').spawned(2).up(2).exited(1), ['TERM to 2']],
		['after it failed', (s) => s.signal('HUP').spawned(2).exited(2, 1), ['TERM to 1']],
		[
			'with one more queued',
			(s) => s.signal('HUP').spawned(2).signal('HUP').up(2).spawned(3),
			['TERM to 1', 'TERM to 2', 'TERM to 3'],
		],
	];

	it.each(points)('%s reaches every child at once', (_, act, decided) => {
		const simulation = act(running());
		simulation.decided();
		simulation.signal('TERM');
		expect(simulation.decided()).toEqual(decided);
		expect(simulation.state()).toBe('stopping');
	});

	it('that cannot be spawned after all ends nothing but itself', () => {
		const simulation = running().signal('HUP').signal('TERM');
		simulation.tell({ type: 'child.spawnFailed', child: 2, reason: 'x' });
		expect(simulation.phases()).toEqual({ 1: 'draining' });
		expect(simulation.exited(1).status()).toBe(0);
	});

	it('passes SIGQUIT on to a child that has no pid yet as soon as it has one', () => {
		const simulation = running().signal('HUP').signal('QUIT');
		simulation.decided();
		simulation.spawned(2);
		expect(simulation.decided()).toEqual(['QUIT to 2']);
		expect(simulation.phases()).toEqual({ 1: 'serving', 2: 'booting' });
	});

	it('overrides a drain that was never sent', () => {
		const simulation = simulate().start({ size: 2 }).spawned(1).spawned(2).up(1).up(2).signal('HUP').spawned(3);
		simulation.exited(3, 1).signal('TERM');
		simulation.decided();
		simulation.spawned(4);
		expect(simulation.decided()).toEqual(['TERM to 4']);
	});

	it('reaches a child that has no pid yet as soon as it has one', () => {
		const simulation = running().signal('HUP').signal('TERM');
		simulation.decided();
		simulation.spawned(2);
		expect(simulation.decided()).toEqual(['TERM to 2']);
		expect(simulation.phases()).toEqual({ 1: 'draining', 2: 'draining' });
	});
});

describe('-kill', () => {
	it('ends a drained child that does not leave in time', () => {
		const simulation = rotating({ kill: 500 }).wait(10).up(2);
		expect(simulation.commands.at(-1)).toEqual({ type: 'wait', child: 1, timer: 'kill', millis: 500, since: null });
		simulation.decided();
		simulation.tell({ type: 'timer.elapsed', child: 1, timer: 'kill' });
		expect(simulation.reports()).toEqual(['101 is still alive 500 ms after it was told to leave; killing it']);
		expect(simulation.decided()).toEqual(['KILL to 1']);
		expect(simulation.phases()).toMatchObject({ 1: 'killing' });
	});

	it('ends a child that does not leave on a stop, and a second stop does not lengthen its time', () => {
		const simulation = running({ kill: 500 }).signal('TERM').wait(300).signal('TERM');
		const waits = simulation.commands.filter((command) => command.type === 'wait');
		expect(waits).toEqual([{ type: 'wait', child: 1, timer: 'kill', millis: 500, since: null }]);
	});

	it('does not lengthen the time of a child that drains already when a stop comes', () => {
		const simulation = draining({ kill: 500 }).wait(300).signal('TERM');
		const waits = simulation.commands.filter((command) => command.type === 'wait');
		expect(waits).toEqual([{ type: 'wait', child: 2, timer: 'kill', millis: 500, since: null }]);
	});

	it('does not count from SIGQUIT, which asks for nothing the supervisor knows of', () => {
		const simulation = running({ kill: 500 }).signal('QUIT');
		expect(simulation.commands.filter((command) => command.type === 'wait')).toEqual([]);
	});
});

describe('-max-draining', () => {
	it('has the oldest killed of those that drain beyond it, and says so', () => {
		const simulation = running({ maxDraining: 2 });
		for (let child = 2; child <= 3; child += 1) simulation.signal('HUP').spawned(child).up(child);
		simulation.decided();
		simulation.reports();
		simulation.signal('HUP').spawned(4).up(4);
		expect(simulation.reports()).toContain(
			'More than 2 generations drain (-max-draining): killing 101 of generation 1',
		);
		expect(simulation.decided()).toEqual(['spawn 4', 'HUP to 3', 'KILL to 1']);
		expect(simulation.phases()).toEqual({ 1: 'killing', 2: 'draining', 3: 'draining', 4: 'serving' });
		expect(simulation.killed(1, 9).state()).toBe('draining');
	});

	it('counts generations that failed: a script that tries again does not fill the machine', () => {
		const simulation = simulate().start({ size: 2, ready: 'notify', maxDraining: 1 });
		simulation.spawned(1).spawned(2).announced(1).announced(2);
		for (const child of [3, 5, 7]) {
			simulation
				.signal('HUP')
				.spawned(child)
				.spawned(child + 1);
			simulation
				.announced(child)
				.verified(child)
				.exited(child + 1, 1);
		}
		expect(simulation.phases()).toEqual({ 1: 'serving', 2: 'serving', 3: 'killing', 5: 'killing', 7: 'draining' });
	});

	it('counts what the first process of a child has left behind', () => {
		const simulation = running({ maxDraining: 1 }).signal('HUP').spawned(2).up(2);
		const holders = [{ pid: 900, fds: [3] }];
		simulation.tell({
			type: 'child.exited',
			child: 1,
			pid: 101,
			code: 0,
			signal: null,
			status: 0,
			survivors: [900],
			holders,
		});
		simulation.decided();
		simulation.signal('HUP').spawned(3).up(3);
		expect(simulation.decided()).toEqual(['spawn 3', 'HUP to 2', 'KILL to 1']);
	});
});

describe('a process group', () => {
	const leaves = (simulation: Simulation, child: number, survivors: number[]) =>
		simulation.tell({ type: 'child.exited', child, pid: 100 + child, code: 0, signal: null, status: 0, survivors });

	it('that outlives its told leader has as long as -kill says, and is killed then', () => {
		const simulation = leaves(draining({ kill: 500 }), 1, [900, 901]);
		expect(simulation.reports()).toEqual([]);
		expect(simulation.phases()).toEqual({ 1: 'orphaned', 2: 'serving' });
		expect(simulation.state()).toBe('draining');
		// They are told what it was told.
		expect(simulation.decided()).toEqual(['HUP to 1']);
		simulation.tell({ type: 'timer.elapsed', child: 1, timer: 'kill' });
		expect(simulation.decided()).toEqual(['KILL to 1']);
		simulation.tell({ type: 'group.gone', child: 1 });
		expect(simulation.state()).toBe('running');
	});

	it('that leaves in time is not killed', () => {
		const simulation = leaves(draining({ kill: 500 }), 1, [900]).tell({ type: 'group.gone', child: 1 });
		expect(simulation.decided()).toEqual(['HUP to 1']);
		expect(simulation.state()).toBe('running');
	});

	it('of which somebody holds a listener is told what its leader was told, and waited for also without -kill', () => {
		const holders = [{ pid: 900, fds: [3] }];
		const outlived = (simulation: Simulation, child: number) =>
			simulation.tell({
				type: 'child.exited',
				child,
				pid: 100 + child,
				code: 0,
				signal: null,
				status: 0,
				survivors: [900, 901],
				holders,
			});
		const simulation = outlived(draining(), 1);
		expect(simulation.decided()).toEqual(['HUP to 1']);
		expect(simulation.state()).toBe('draining');
		expect(simulation.supervisorState()?.children[0]).toMatchObject({ phase: 'orphaned', survivors: [900] });
		const supervisorState = simulation.supervisorState();
		if (!supervisorState) throw new Error('no supervisorState');
		// The next supervisor waits for them too.
		expect(simulate().recover(supervisorState).state()).toBe('draining');
		expect(simulation.tell({ type: 'group.gone', child: 1 }).state()).toBe('running');

		const stopping = outlived(running().signal('TERM'), 1);
		expect(stopping.state()).toBe('stopping');
		expect(stopping.decided()).toEqual(['TERM to 1', 'TERM to 1']);
		expect(stopping.tell({ type: 'group.gone', child: 1 }).status()).toBe(0);
		// One that was not told to leave is lost, and they are nobody's.
		expect(outlived(running(), 1).decisions().slice(-2)).toEqual(['child.lost', 'child.abandoned']);
	});

	it('is not waited for without -kill, nor when its leader was lost', () => {
		expect(leaves(draining(), 1, [900]).state()).toBe('running');
		expect(leaves(running({ kill: 500 }), 1, [900]).state()).toBe('stopped');
		expect(leaves(draining(), 1, [900]).decisions().at(-1)).toBe('child.abandoned');
	});

	it('holds up the end of a stop for as long as -kill says, and no longer', () => {
		const simulation = leaves(running({ kill: 500 }).signal('TERM'), 1, [900]);
		expect(simulation.state()).toBe('stopping');
		simulation.tell({ type: 'timer.elapsed', child: 1, timer: 'kill' }, { type: 'group.gone', child: 1 });
		expect(simulation.status()).toBe(0);
	});
});

describe('a child that is stopped when its wait is over', () => {
	it('is not up, and is waited for once more', () => {
		const simulation = rotating().tell({ type: 'child.stopped', child: 2, pid: 102 });
		expect(simulation.reports()).toEqual(['102 is stopped, so it is not up; its wait begins again']);
		expect(simulation.commands).toContainEqual({ type: 'wait', child: 2, timer: 'boot', millis: 3000, since: null });
		expect(simulation.state()).toBe('rotating');
		expect(simulation.up(2).state()).toBe('draining');
	});

	it('is waited for from then on, also where it can’t be seen whether it accepts', () => {
		const simulation = simulate().start({ ready: 'accept', start: 30_000 }).spawned(1);
		simulation.tell({ type: 'child.verified', child: 1, isSeen: false, reason: 'no' }).wait(30_000);
		simulation.commands.splice(0);
		simulation.tell({ type: 'child.stopped', child: 1, pid: 101 });
		expect(simulation.commands).toEqual([{ type: 'wait', child: 1, timer: 'boot', millis: 30_000, since: null }]);
	});

	it('is looked at once a second at the most', () => {
		const simulation = rotating({ start: 0 });
		simulation.commands.splice(0);
		simulation.tell({ type: 'child.stopped', child: 2, pid: 102 });
		expect(simulation.commands).toEqual([{ type: 'wait', child: 2, timer: 'boot', millis: 1000, since: null }]);
	});
});

describe('a stop during a rotation', () => {
	it('kills a candidate that does not exit in 10 s, and waits for the generation that serves', () => {
		const simulation = rotating();
		simulation.commands.splice(0);
		simulation.signal('TERM');
		const kills = simulation.commands.filter((command) => command.type === 'wait' && command.timer === 'kill');
		expect(kills).toEqual([{ type: 'wait', child: 2, timer: 'kill', millis: 10_000, since: null }]);
		expect(simulation.supervisorState()?.children.map(({ isDismissed }) => isDismissed)).toEqual([false, true]);
	});

	it('waits for a first generation that starts as long as it takes', () => {
		const simulation = simulate().start().spawned(1);
		simulation.commands.splice(0);
		simulation.signal('TERM');
		expect(simulation.commands.filter((command) => command.type === 'wait')).toEqual([]);
	});
});

describe('a generation whose children are all down', () => {
	it('does not keep serving, though a child of it boots', () => {
		const simulation = running({ respawn: 500 }).signal('HUP').spawned(2).exited(1, 1);
		simulation.tell({ type: 'respawn.due', generation: 1, index: 0 }).spawned(3).exited(2, 1);
		expect(simulation.reports()).toContain('Generation 2 failed: 102 exit status 1; no generation serves');
	});
});

describe('the restarts of a service that is lost', () => {
	it('are counted anew after a generation that has served for a minute, also where it was replaced', () => {
		const simulation = draining();
		const lose = (child: number) => simulation.exited(child, 1).supervisorState()?.restart?.millis;
		expect(lose(2)).toBe(1000);
		simulation.tell({ type: 'restart.due' }).spawned(3).up(3);
		expect(lose(3)).toBe(2000);
		simulation.tell({ type: 'restart.due' }).spawned(4).up(4).wait(60_000).signal('HUP').spawned(5).up(5);
		expect(simulation.history).toContainEqual(
			expect.objectContaining({ type: 'generation.promoted', generation: 5, restarts: 0 }),
		);
		expect(simulation.supervisorState()?.restarts).toBe(0);
		expect(lose(5)).toBe(1000);
	});
});

describe('the exit status', () => {
	it.each([
		['0 when a stop was asked for, whatever the child says', running().signal('TERM').exited(1, 9), 0],
		['0 when a stop was asked for and the child had to be killed', running().signal('INT').killed(1, 9), 0],
		['the code of the last child', running().exited(1, 42), 42],
		['128 plus the signal of the last child', running().killed(1, 11), 139],
		['that of a first child that dies at once', simulate().start().spawned(1).exited(1, 3), 3],
		[
			'1 when the first child cannot be spawned',
			simulate().start().tell({ type: 'child.spawnFailed', child: 1, reason: 'x' }),
			1,
		],
		[
			'that of the child that crashed, not of the one that drained',
			draining().exited(2, 4).signal('HUP').spawned(3).exited(3, 5).exited(1, 0),
			5,
		],
		['128 plus 3 when SIGQUIT ended the child', running().signal('QUIT').killed(1, 3), 131],
		['0 when the child leaves on SIGQUIT in good order', running().signal('QUIT').exited(1, 0), 0],
	])('is %s', (_, simulation, status) => {
		expect(simulation.state()).toBe('stopped');
		expect(simulation.status()).toBe(status);
	});
});

describe('a generation of three', () => {
	const serving = () => {
		const simulation = simulate().start({ size: 3 }).spawned(1).spawned(2).spawned(3).up(1).up(2).up(3);
		simulation.decided();
		return simulation;
	};

	it('serves when all of it is ready', () => {
		const simulation = simulate().start({ size: 3 }).spawned(1).spawned(2).spawned(3).up(1).up(2);
		expect(simulation.state()).toBe('starting');
		simulation.up(3);
		expect(simulation.state()).toBe('running');
	});

	it('is promoted as a whole', () => {
		const simulation = serving().signal('HUP').spawned(4).spawned(5).spawned(6).up(4).up(5);
		expect(simulation.decided()).toEqual(['spawn 4', 'spawn 5', 'spawn 6']);
		simulation.up(6);
		expect(simulation.decided()).toEqual(['HUP to 1', 'HUP to 2', 'HUP to 3']);
	});

	it('fails as a whole', () => {
		const simulation = serving().signal('HUP').spawned(4).spawned(5).spawned(6).up(4);
		simulation.decided();
		simulation.exited(5, 1);
		expect(simulation.decided()).toEqual(['HUP to 4', 'HUP to 6']);
		expect(simulation.state()).toBe('draining');
		simulation.exited(4).exited(6);
		expect(simulation.state()).toBe('running');
		expect(simulation.phases()).toEqual({ 1: 'serving', 2: 'serving', 3: 'serving' });
	});

	it('is not failed for one dead child when nobody else serves', () => {
		const simulation = serving().signal('HUP').spawned(4).spawned(5).spawned(6).exited(1).exited(2).exited(3);
		simulation.decided();
		simulation.exited(5, 1).up(4).up(6);
		expect(simulation.decided()).toEqual([]);
		expect(simulation.state()).toBe('running');
		expect(simulation.phases()).toEqual({ 4: 'serving', 6: 'serving' });
	});

	it('starts with what is left of it', () => {
		const simulation = simulate().start({ size: 3 }).spawned(1).spawned(2).spawned(3).exited(2, 1).up(1).up(3);
		expect(simulation.state()).toBe('running');
	});
});

describe('what is decided', () => {
	it('is recorded, and recorded before it is done', () => {
		const order: string[] = [];
		const simulation = running().signal('HUP').spawned(2).up(2).exited(1).signal('TERM');
		for (const { type } of simulation.history) order.push(type);
		expect(order).toEqual([
			'supervisor.started',
			'generation.started',
			'child.spawning',
			'child.spawned',
			'timer.elapsed',
			'child.verifying',
			'child.ready',
			'generation.promoted',
			'signal.HUP',
			'generation.started',
			'child.spawning',
			'child.spawned',
			'timer.elapsed',
			'child.verifying',
			'child.verified',
			'child.ready',
			'generation.promoted',
			'child.signalled',
			'child.exited',
			'signal.TERM',
			'stop.begun',
			'child.signalled',
		]);
	});

	it.each([
		[
			'a promotion with whom it replaces',
			rotating().up(2),
			{ type: 'generation.promoted', generation: 2, replaced: [1] },
		],
		[
			'a generation failed',
			rotating().exited(2, 1),
			{ type: 'generation.failed', generation: 2, serving: 1, reason: '102 exit status 1' },
		],
		['an unasked end', running().exited(1, 7), { type: 'child.lost', child: 1, status: 7 }],
		['a queued rotation', rotating().signal('HUP'), { type: 'rotation.queued', trigger: 'SIGHUP', behind: 2 }],
		[
			'a refused request',
			running().signal('TERM').tell({ type: 'rotate.requested' }),
			{ type: 'request.refused', request: 'rotate.requested', reason: 'stopping' },
		],
		['a stop', running().signal('INT'), { type: 'stop.begun', request: 'signal.INT', signal: 'INT' }],
		['a loss of service', draining().exited(2, 1), { type: 'service.lost' }],
	])('tells %s', (_, { history }, decision) => {
		expect(history).toContainEqual(expect.objectContaining(decision));
	});
});

describe('what an operator caused and what is refused', () => {
	it('is said in words', () => {
		const simulation = running().signal('HUP').spawned(2).signal('HUP').signal('HUP').signal('TERM').signal('HUP');
		expect(simulation.reports()).toEqual([
			'SIGHUP: starting generation 2',
			'SIGHUP: generation 2 is still starting; one more rotation will follow',
			'SIGHUP: generation 2 is still starting; one more rotation will follow already',
			'SIGTERM: stopping; sending SIGTERM to 101, 102',
			'SIGHUP refused: already stopping',
		]);
	});
});
