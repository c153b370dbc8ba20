/** Clocks that no process can set. */
import { call, constants } from './libc.ts';

const time = Buffer.alloc(16);

/** Milliseconds since boot, including suspended time (CLOCK_BOOTTIME, clock_gettime(2)). */
export function bootClock(): number {
	call('clock_gettime', constants.CLOCK_BOOTTIME, time);
	return Number(time.readBigInt64LE(0)) * 1000 + Math.floor(Number(time.readBigInt64LE(8)) / 1e6);
}

/** CLOCK_MONOTONIC in microseconds, the unit of systemd. */
export function monotonicMicros(): bigint {
	return process.hrtime.bigint() / 1000n;
}
