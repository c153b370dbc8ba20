/** What the supervisor gives back when it has come to rest. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { memoryKeeper } from '../../../src/effects/os/memory.ts';

const registry = new FinalizationRegistry<() => void>((done) => done());

/** Resolves when V8 has collected an object that nobody knows. */
function collected(): Promise<void> {
	return new Promise((resolve) => registry.register({}, resolve));
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('memory', () => {
	beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
	afterEach(() => void vi.useRealTimers());

	it('is given back when a start is over', async () => {
		const gone = collected();
		memoryKeeper();
		vi.advanceTimersByTime(2000);
		await gone;
	});

	it('is given back again when a burst of facts is over, not for a few, and not before', async () => {
		const keeper = memoryKeeper();
		vi.advanceTimersByTime(2000);
		await turn();
		let isGone = false;
		const gone = collected().then(() => {
			isGone = true;
		});
		for (let fact = 0; fact < 19; fact += 1) keeper.note();
		vi.advanceTimersByTime(5000);
		keeper.note();
		vi.advanceTimersByTime(1999);
		await turn();
		expect(isGone).toBe(false);
		vi.advanceTimersByTime(1);
		await gone;
	});
});
