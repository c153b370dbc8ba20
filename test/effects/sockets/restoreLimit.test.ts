/** A path is restored at once for every worker that removes it, and not without end. */
import { expect, it } from 'vitest';
import { neverRestored, replenishedAfterRestore, waitToRestoreMs } from '../../../src/effects/sockets/restoreLimit.ts';

/** Restores as often as it may at one time. @returns how often, and the state after it */
function restoreAll(replenishedAt: number, now: number) {
	let [at, count] = [replenishedAt, 0];
	for (; waitToRestoreMs(at, now) <= 0; count += 1) at = replenishedAfterRestore(at, now);
	return { count, replenishedAt: at };
}

it('a hundred restorations happen at once, and the next one waits a second', () => {
	const { count, replenishedAt } = restoreAll(neverRestored, 50_000);
	expect(count).toBe(100);
	expect(waitToRestoreMs(replenishedAt, 50_000)).toBe(1000);
	expect(waitToRestoreMs(replenishedAt, 50_400)).toBe(600);
});

it('one restoration follows each second after a burst', () => {
	let { replenishedAt } = restoreAll(neverRestored, 50_000);
	for (let now = 51_000; now < 60_000; now += 1000) {
		const next = restoreAll(replenishedAt, now);
		expect(next.count).toBe(1);
		replenishedAt = next.replenishedAt;
	}
});

it('the burst is available in full again after a hundred seconds without a restoration', () => {
	const { replenishedAt } = restoreAll(neverRestored, 50_000);
	expect(restoreAll(replenishedAt, 100_000).count).toBe(50);
	expect(restoreAll(replenishedAt, 150_000).count).toBe(100);
	expect(restoreAll(replenishedAt, 500_000).count).toBe(100);
});

it('no wait is longer than a second', () => {
	expect(waitToRestoreMs(1_000_000, 0)).toBe(1000);
});
