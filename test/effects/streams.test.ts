/** The small ones: signals, timers, the door. */
import { firstValueFrom, mergeMap, Subject, take, toArray } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { createActor, setup } from 'xstate';
import { openDoor } from '../../src/effects/door.ts';
import { signals } from '../../src/effects/signals.ts';
import { timerActor } from '../../src/effects/timer.ts';
import type { Fact, Happening } from '../../src/machines/facts.ts';

describe('signals', () => {
	it('become facts in their order, and nobody is killed by them', async () => {
		const sent = ['SIGHUP', 'SIGUSR2', 'SIGQUIT'] as const;
		const next = new Subject<void>();
		const seen = firstValueFrom(signals().pipe(take(3), toArray()));
		const each = signals().subscribe(() => next.next());
		for (const signal of sent) {
			const came = firstValueFrom(next);
			process.kill(process.pid, signal);
			await came;
		}
		each.unsubscribe();
		expect(await seen).toEqual([{ type: 'signal.HUP' }, { type: 'signal.USR2' }, { type: 'signal.QUIT' }]);
	});

	it('are left to others when nobody listens any more', () => {
		const before = process.listenerCount('SIGHUP');
		signals().subscribe().unsubscribe();
		expect(process.listenerCount('SIGHUP')).toBe(before);
	});
});

describe('a timer', () => {
	const start = (deadline: number | null, admit: (happening: Happening) => void) => {
		const machine = setup({ actors: { timer: timerActor(admit) } }).createMachine({
			initial: 'waiting',
			states: {
				waiting: {
					invoke: { src: 'timer', input: { child: 7, timer: 'kill' as const, deadline } },
					on: { enough: 'over' },
				},
				over: {},
			},
		});
		return createActor(machine).start();
	};

	it('tells of its deadline, not earlier', async () => {
		const deadline = Date.now() + 30;
		const happening = await new Promise((resolve) => start(deadline, resolve));
		expect(happening).toEqual({ type: 'timer.elapsed', child: 7, timer: 'kill' });
		expect(Date.now()).toBeGreaterThanOrEqual(deadline - 1);
	});

	it('tells at once of a deadline that has passed', async () => {
		await new Promise((resolve) => start(0, resolve));
	});

	describe('with a clock of its own', () => {
		it('is silent when its state is left, and for ever without a deadline', () => {
			vi.useFakeTimers();
			const admit = vi.fn();
			start(Date.now() + 10, admit).send({ type: 'enough' });
			start(null, admit);
			expect(vi.getTimerCount()).toBe(0);
			vi.useRealTimers();
		});

		it('waits for more than setTimeout can', () => {
			vi.useFakeTimers();
			const admit = vi.fn();
			const day = 24 * 3600 * 1000;
			start(Date.now() + 60 * day, admit);
			vi.advanceTimersByTime(60 * day - 1);
			expect(admit).not.toHaveBeenCalled();
			vi.advanceTimersByTime(1);
			expect(admit).toHaveBeenCalledOnce();
			vi.useRealTimers();
		});
	});
});

describe('the door', () => {
	it('numbers, times and records each fact before anybody sees it', () => {
		const log: string[] = [];
		const door = openDoor(
			(fact) => log.push(`record ${fact.seq} at ${fact.at}`),
			() => 42,
		);
		door.facts.subscribe((fact) => log.push(`see ${fact.seq}`));
		door.admit({ type: 'signal.HUP' });
		door.admit({ type: 'signal.TERM' });
		expect(log).toEqual(['record 1 at 42', 'see 1', 'record 2 at 42', 'see 2']);
	});

	it('lets what comes of a fact wait until the fact is done with', () => {
		const seen: number[] = [];
		const door = openDoor(() => {});
		door.facts.pipe(mergeMap((fact) => [fact])).subscribe((fact: Fact) => {
			if (fact.seq === 1) {
				door.admit({ type: 'signal.HUP' });
				door.admit({ type: 'signal.HUP' });
			}
			seen.push(fact.seq);
		});
		door.admit({ type: 'signal.HUP' });
		expect(seen).toEqual([1, 2, 3]);
	});
});
