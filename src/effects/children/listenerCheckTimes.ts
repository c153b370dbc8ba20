/** The times of a listener check: when it ends, when it logs that it takes long, and its pauses. */
import type { ListenerCheckInput } from '../../machines/charts/protocol.ts';

export type CheckPurpose = NonNullable<ListenerCheckInput['purpose']>;

/** The pause between two inspections begins with the first value and doubles up to the second. */
const [shortestPauseMs, longestPauseMs] = [5, 50];

/** The longest pause for a serving child: no decision waits for the result. */
const longestPauseOfServingMs = 500;

/**
 * The inspections of all children together may use this fraction of the time. To stay below it, the pause of each child
 * grows up to this many milliseconds.
 */
const [mostTime, longestWaitMs] = [0.5, 200];

/**
 * Processes that have left the child's process tree are searched for after this time: most servers accept earlier, and
 * the search reads all processes of the machine.
 */
const searchAfterMs = 200;

/** If a ready child is not seen to accept for this long, a log line names the child. */
const noticeAfterMs = 5000;

/** A child that becomes ready just before the deadline still has this long to be seen. */
const graceMs = 1000;

/**
 * No process holds a socket that is in transit between two processes. A listener that is not held is looked for again
 * after this pause.
 */
const holdPauseMs = 200;

/** In milliseconds since boot. */
export interface CheckTimes {
	/** A child that is not seen to accept by then is named in the log. */
	noticeAt: number;
	/** The first inspection from then on is the last. */
	deadline: number;
	/** Processes that have left the child's process tree are not searched for before. */
	searchAt: number;
}

/** @param began in milliseconds since boot; @param isHold whether the check ends when the listeners are held */
export function checkTimes(
	input: Pick<ListenerCheckInput, 'millis' | 'since'> & { purpose: CheckPurpose },
	isHold: boolean,
	began: number,
): CheckTimes {
	const noticeAt = began + noticeAfterMs;
	const deadline = deadlineOf();
	const searchAt = isHold || deadline - began < 2 * searchAfterMs ? 0 : began + searchAfterMs;
	return { noticeAt, deadline, searchAt };

	function deadlineOf(): number {
		const { purpose, millis, since } = input;
		if (isHold) return began + holdPauseMs;
		if (purpose === 'notice') return noticeAt;
		// After an upgrade or a recovery the time may be over already: one look says nothing about a busy server, and
		// the end of the serving generation may not be known yet.
		const leastMs = purpose === 'promotion' ? graceMs : Math.min(graceMs, millis);
		return Math.max((since ?? began) + millis, began + leastMs);
	}
}

export function firstPauseMs(isHold: boolean): number {
	return isHold ? holdPauseMs : shortestPauseMs;
}

export function nextPauseMs(pauseMs: number, purpose: CheckPurpose): number {
	return Math.min(pauseMs * 2, purpose === 'notice' ? longestPauseOfServingMs : longestPauseMs);
}

/**
 * The wait before the next inspection, in milliseconds. It ends at the deadline, and at the time of the log line. If the
 * inspection at the deadline has failed, the next one follows after the usual pause.
 * @param costMs the duration of the last inspection
 * @param runningChecks how many children are being inspected
 */
export function waitMs(
	{ noticeAt, deadline }: Pick<CheckTimes, 'noticeAt' | 'deadline'>,
	{
		pauseMs,
		costMs,
		runningChecks,
		isNoticed,
		now,
	}: { pauseMs: number; costMs: number; runningChecks: number; isNoticed: boolean; now: number },
): number {
	const longestMs = Math.max(pauseMs, Math.min((costMs * runningChecks) / mostTime, longestWaitMs));
	const leftMs = (isNoticed ? deadline : Math.min(deadline, noticeAt)) - now;
	return leftMs > 0 ? Math.min(longestMs, leftMs) : longestMs;
}
