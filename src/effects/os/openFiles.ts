/** How many files may be open (RLIMIT_NOFILE, getrlimit(2)): every Node raises it for itself, and children would inherit that. */
import { call, libc } from './libc.ts';

/** The soft limit that we were started with, as the launcher has seen it. */
export const startLimitVariable = 'SOCKETMASTER_NOFILE';

const RLIMIT_NOFILE = 7;

/** The soft limit that we were started with; null where that is not known, or is none. */
export function startLimit(): number | null {
	const text = process.env[startLimitVariable] ?? '';
	return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/**
 * Does what starts a process while the soft limit is that one: it inherits it.
 * @param fds how many fds the process gets: with more than are allowed it could not be started
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

/** Sets the soft limit of this process, as far as the hard one allows it. */
export function setLimit(limit: number): void {
	const now = Buffer.alloc(16);
	if (libc('prlimit')(0, RLIMIT_NOFILE, null, now) !== 0 || now.readBigUInt64LE(8) < BigInt(limit)) return;
	now.writeBigUInt64LE(BigInt(limit), 0);
	libc('prlimit')(0, RLIMIT_NOFILE, now, null);
}
