/**
 * The limit of open files (RLIMIT_NOFILE, getrlimit(2)). Node raises its soft limit when it starts, and children would
 * inherit the raised limit.
 */
import { call, libc } from './libc.ts';

/** The soft limit before Node started; the launcher (bin/socketmaster) sets the variable. */
export const startLimitVariable = 'SOCKETMASTER_NOFILE';

const RLIMIT_NOFILE = 7;

/** The soft limit before Node started; null if it is unknown or unlimited. */
export function startLimit(): number | null {
	const text = process.env[startLimitVariable] ?? '';
	return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/**
 * Runs `work` with the soft limit of the supervisor's start, so that a process which `work` starts inherits that
 * limit.
 * @param fds number of fds for the process; if the limit is not higher, it stays raised, because the spawn would fail
 */
export function withStartLimit<T>(fds: number, work: () => T): T {
	const limit = startLimit();
	const before = Buffer.alloc(16);
	if (limit === null || limit <= fds || libc('prlimit')(0, RLIMIT_NOFILE, null, before) !== 0) return work();
	if (before.readBigUInt64LE(0) <= BigInt(limit)) return work();
	const lowered = Buffer.from(before);
	lowered.writeBigUInt64LE(BigInt(limit), 0);
	call('prlimit', 0, RLIMIT_NOFILE, lowered, null);
	try {
		return work();
	} finally {
		call('prlimit', 0, RLIMIT_NOFILE, before, null);
	}
}

/** Sets the soft limit of this process, unless the hard limit is lower. */
export function setLimit(limit: number): void {
	const now = Buffer.alloc(16);
	if (libc('prlimit')(0, RLIMIT_NOFILE, null, now) !== 0 || now.readBigUInt64LE(8) < BigInt(limit)) return;
	now.writeBigUInt64LE(BigInt(limit), 0);
	libc('prlimit')(0, RLIMIT_NOFILE, now, null);
}
