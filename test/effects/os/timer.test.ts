import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createActor, setup } from 'xstate';
import { bootClock } from '../../../src/effects/os/clock.ts';
import { timerActor } from '../../../src/effects/os/timer.ts';
import type { ExternalEvent } from '../../../src/machines/facts/facts.ts';

describe('a timer', () => {
	let endOf: (child: number) => Promise<void> | null = () => null;
	const start = (millis: number | null, admit: (external: ExternalEvent) => void, since: number | null = null) => {
		const machine = setup({
			actors: {
				timer: timerActor({
					admit,
					endOf: (child) => endOf(child),
					stoppedPid: () => null,
					receiveNow: () => {},
					printedBy: () => ({}),
				}),
			},
		}).createMachine({
			initial: 'waiting',
			states: {
				waiting: {
					invoke: { src: 'timer', input: { child: 7, timer: 'kill' as const, millis, since } },
					on: { enough: 'over' },
				},
				over: {},
			},
		});
		return createActor(machine).start();
	};

	it('tells when its wait is over, not earlier', async () => {
		const began = performance.now();
		const external = await new Promise((resolve) => start(30, resolve));
		expect(external).toEqual({ type: 'timer.elapsed', child: 7, timer: 'kill' });
		expect(performance.now() - began).toBeGreaterThanOrEqual(29);
	});

	it('of a child that has ended meanwhile waits until that is told, and says nothing when it was', async () => {
		onTestFinished(() => {
			endOf = () => null;
		});
		let tell = () => {};
		const asked = new Promise<void>((resolve) => {
			endOf = () => {
				resolve();
				return new Promise((told) => {
					tell = told;
				});
			};
		});
		const admit = vi.fn();
		const actor = start(1, admit);
		await asked;
		actor.send({ type: 'enough' });
		endOf = () => null;
		tell();
		await new Promise(setImmediate);
		expect(admit).not.toHaveBeenCalled();
	});

	it('tells at once of a wait that was over already', async () => {
		await new Promise((resolve) => start(60_000, resolve, bootClock() - 60_000));
	});

	it('that goes on waits for what is left, whatever was done to the clock of the wall', () => {
		vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
		onTestFinished(() => void vi.useRealTimers());
		const admit = vi.fn();
		vi.setSystemTime(0);
		start(60_000, admit, bootClock() - 50_000);
		vi.advanceTimersByTime(9_900);
		expect(admit).not.toHaveBeenCalled();
		vi.advanceTimersByTime(100);
		expect(admit).toHaveBeenCalledOnce();
	});

	describe('with a clock of its own', () => {
		it('is silent when its state is left, and for ever where it is for ever', () => {
			vi.useFakeTimers();
			const admit = vi.fn();
			start(10, admit).send({ type: 'enough' });
			start(null, admit);
			expect(vi.getTimerCount()).toBe(0);
			vi.useRealTimers();
		});

		it('waits for more than setTimeout can', () => {
			vi.useFakeTimers();
			const admit = vi.fn();
			const day = 24 * 3600 * 1000;
			start(60 * day, admit);
			vi.advanceTimersByTime(60 * day - 1);
			expect(admit).not.toHaveBeenCalled();
			vi.advanceTimersByTime(1);
			expect(admit).toHaveBeenCalledOnce();
			vi.useRealTimers();
		});
	});
});
