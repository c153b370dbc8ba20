/** Limits how often a socket path is restored, as a process can remove the path again and again. */

/**
 * So many restorations of a path happen at once: each worker of a server can remove it as it exits. After them one
 * follows each interval, in milliseconds.
 */
const [burst, intervalMs] = [100, 1000];

/** Of a path that has never been restored. */
export const neverRestored = Number.NEGATIVE_INFINITY;

/**
 * The wait until the next restoration, in milliseconds; not positive if it may happen now.
 * @param replenishedAt when the burst is available in full again; both times are in milliseconds since boot
 */
export function waitToRestoreMs(replenishedAt: number, now: number): number {
	return Math.min(replenishedAt - (burst - 1) * intervalMs - now, intervalMs);
}

/** When the burst is available in full again, after one more restoration. In milliseconds since boot. */
export function replenishedAfterRestore(replenishedAt: number, now: number): number {
	return Math.max(replenishedAt, now) + intervalMs;
}
