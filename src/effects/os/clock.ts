/** The clock that waits are counted on. */
import { call, constants } from './libc.ts';

const time = Buffer.alloc(16);

/** Milliseconds since boot, suspended time included: nobody sets this clock (CLOCK_BOOTTIME, clock_gettime(2)). */
export function bootClock(): number {
	call('clock_gettime', constants.CLOCK_BOOTTIME, time);
	return Number(time.readBigInt64LE(0)) * 1000 + Math.floor(Number(time.readBigInt64LE(8)) / 1e6);
}

/** Microseconds of CLOCK_MONOTONIC, as systemd counts them. */
export function monotonicMicros(): bigint {
	return process.hrtime.bigint() / 1000n;
}
