/** What a service manager is told, as its socket receives it. */
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { receiveFrom } from '../../src/effects/os/datagram.ts';
import { closeAll } from '../../src/effects/os/descriptors.ts';
import { constants } from '../../src/effects/os/libc.ts';
import { managerOf } from '../../src/effects/serviceManager.ts';
import { openPlain } from '../../src/effects/sockets/bindUnix.ts';
import { newHandoverState } from '../../src/effects/upgrade/handoverState.ts';
import { evolveProjections, noProjections } from '../../src/machines/state/projections.ts';
import { type Simulation, simulate } from '../../src/testing/simulation.ts';
import { scratch } from '../support/program.ts';
import { draining, rotating, running, stateWith } from '../support/simulation.ts';

function manager(env: Record<string, string> = {}, left: Record<string, unknown> | null = null) {
	const path = join(scratch(), 'notify');
	const fd = openPlain(path, constants.SOCK_DGRAM, null);
	let past = noProjections;
	const own = managerOf({
		env: { NOTIFY_SOCKET: path, ...env },
		past: () => past,
		handoverState: newHandoverState(left),
	});
	onTestFinished(() => {
		own.close();
		closeAll([fd]);
	});
	const updated = () => {
		const messages: string[] = [];
		for (let next = receiveFrom(fd); typeof next !== 'string'; next = receiveFrom(fd)) messages.push(next.text);
		return messages;
	};
	return {
		updated,
		/** Tells of all that happened in a simulation since the last time. */
		tell({ history }: Simulation, from = 0) {
			for (const fact of history.slice(from)) {
				past = evolveProjections(past, fact);
				own.note(fact);
			}
			return updated();
		},
	};
}

/** Without what only says how it stands. */
const words = (messages: string[]) =>
	messages.flatMap((each) => each.split('\n')).filter((line) => !line.startsWith('STATUS='));
const micros = expect.stringMatching(/^MONOTONIC_USEC=\d+$/);
const more = expect.stringMatching(/^EXTEND_TIMEOUT_USEC=\d+$/);

describe('a manager is told', () => {
	it('that the first generation is up, and until then how long it may take', () => {
		expect(words(manager().tell(running()))).toEqual([more, 'READY=1']);
	});

	it('of each rotation that it begins and ends', () => {
		expect(words(manager().tell(draining()))).toEqual([more, 'READY=1', 'RELOADING=1', micros, 'READY=1']);
	});

	it('that one has ended which failed', () => {
		expect(words(manager().tell(rotating().exited(2, 1))).slice(2)).toEqual(['RELOADING=1', micros, 'READY=1']);
	});

	it('of one that follows another at once', () => {
		const simulation = rotating().signal('HUP').up(2).spawned(3).up(3);
		expect(words(manager().tell(simulation)).slice(2)).toEqual([
			...['RELOADING=1', micros, 'READY=1'],
			...['RELOADING=1', micros, 'READY=1'],
		]);
	});

	it('of a stop, and of no end of a rotation after it', () => {
		expect(words(manager().tell(rotating().signal('TERM'))).slice(2)).toEqual(['RELOADING=1', micros, 'STOPPING=1']);
	});

	it('how it stands, at each change and no more often', () => {
		expect(
			manager()
				.tell(draining().exited(1))
				.flatMap((each) => each.match(/STATUS=.*/)?.[0] ?? []),
		).toEqual([
			'STATUS=generation 1 starts',
			'STATUS=generation 1 serves',
			'STATUS=generation 1 serves; generation 2 starts',
			'STATUS=generation 2 serves; 1 older drains',
			'STATUS=generation 2 serves',
		]);
	});

	it('after a crash in the middle of a rotation that it is up, and that the rotation goes on', () => {
		const before = rotating();
		const supervisorState = before.supervisorState();
		if (!supervisorState) throw new Error('nothing is known');
		const simulation = simulate()
			.tell({ type: 'supervisor.recovered', pid: 2, by: 'start', state: supervisorState })
			.up(2);
		expect(words(manager().tell(simulation))).toEqual(['READY=1', 'RELOADING=1', micros, 'READY=1']);
	});

	it('after an upgrade in the middle of a rotation only that it has ended', () => {
		const supervisorState = rotating().supervisorState();
		if (!supervisorState) throw new Error('nothing is known');
		const told = { isReady: true, isReloading: true, waiting: [] };
		expect(words(manager({}, { manager: told }).tell(simulate().recover(supervisorState).up(2)))).toEqual(['READY=1']);
	});

	it('after a fault that cost the rotation that it has ended', () => {
		const told = { isReady: true, isReloading: true, waiting: [] };
		expect(words(manager({}, { manager: told }).tell(simulate().recover(stateWith())))).toEqual(['READY=1']);
	});

	it('that it is up only when it is, also where one that is degraded went through an upgrade', () => {
		const supervisorState = simulate()
			.start({ size: 2, respawn: 10 })
			.spawned(1)
			.spawned(2)
			.up(1)
			.exited(2, 1)
			.supervisorState();
		if (!supervisorState) throw new Error('nothing is known');
		const told = { isReady: false, isReloading: false, waiting: [] };
		const simulation = simulate()
			.recover(supervisorState)
			.tell({ type: 'respawn.due', generation: 1, index: 1 })
			.spawned(3)
			.up(3);
		expect(words(manager({}, { manager: told }).tell(simulation)).at(-1)).toBe('READY=1');
	});

	/** Two workers, of which the second was lost in the rotation: it was kept as nobody else lived. */
	const kept = () =>
		simulate()
			.start({ size: 2, respawn: 10 })
			.spawned(1)
			.spawned(2)
			.up(1)
			.up(2)
			.signal('HUP')
			.spawned(3)
			.spawned(4)
			.up(3)
			.exited(1, 1)
			.exited(2, 1)
			.exited(4, 1);

	it('after a crash that it is up, where one serves that was kept and is degraded', () => {
		const supervisorState = kept().supervisorState();
		expect(supervisorState).toMatchObject({ serving: 2, isComplete: false, candidate: null });
		if (!supervisorState) throw new Error('nothing is known');
		const simulation = simulate().tell({ type: 'supervisor.recovered', pid: 2, by: 'start', state: supervisorState });
		expect(words(manager().tell(simulation))).toEqual(['READY=1']);
	});

	it('that a rotation has ended when its candidate has come up, and not when the one before is complete at last', () => {
		const { tell } = manager();
		const simulation = kept().tell({ type: 'respawn.due', generation: 2, index: 1 });
		const child = simulation.supervisorState()?.lastChild ?? 0;
		simulation.spawned(child);
		tell(simulation);
		const began = simulation.history.length;
		simulation
			.signal('HUP')
			.spawned(child + 1)
			.spawned(child + 2);
		expect(words(tell(simulation, began))).toEqual(['RELOADING=1', micros]);
		const whole = simulation.history.length;
		simulation.up(child);
		expect(simulation.history.slice(whole).map(({ type }) => type)).toContain('generation.promoted');
		expect(words(tell(simulation, whole))).toEqual([]);
		const done = simulation.history.length;
		simulation.up(child + 1).up(child + 2);
		expect(words(tell(simulation, done))).toEqual(['READY=1']);
	});

	it('what it had not taken before an upgrade', async () => {
		const told = { isReady: true, isReloading: false, waiting: ['READY=1'] };
		const { updated } = manager({}, { manager: told });
		await expect.poll(updated).toEqual(['READY=1']);
	});

	it('that a first boot asks for more time', () => {
		const simulation = simulate().start({ ready: 'notify', start: 5000 }).spawned(1);
		simulation.tell({ type: 'child.delayed', child: 1, millis: 20_000 });
		expect(words(manager().tell(simulation))).toEqual([more, more]);
	});

	it('that the event loop turns, where it wants to know', async () => {
		const { updated } = manager({ WATCHDOG_USEC: '40000', WATCHDOG_PID: String(process.pid) });
		await expect.poll(() => updated().length).toBeGreaterThan(0);
		await expect.poll(() => updated()).toContain('WATCHDOG=1');
		expect(manager({ WATCHDOG_USEC: '40000', WATCHDOG_PID: '1' }).updated()).toEqual([]);
		expect(manager().updated()).toEqual([]);
	});
});

it('messages wait in their order for a manager that takes no more for now', async () => {
	const flood = manager();
	// The kernel takes ten datagrams or so before it says that there is room for no more (net.unix.max_dgram_qlen).
	const simulation = running();
	for (let child = 2; child <= 1000; child += 1)
		simulation
			.signal('HUP')
			.spawned(child)
			.up(child)
			.exited(child - 1);
	let said = flood.tell(simulation);
	await expect
		.poll(() => {
			said = [...said, ...flood.updated()];
			return said.at(-1);
		})
		.toBe('STATUS=generation 1000 serves');
});
