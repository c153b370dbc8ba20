/** What a message of a child (sd_notify(3)) says about its readiness. */

/**
 * A request for more time counts only if it moves the deadline by 1/`moveFraction` of the requested time, or by
 * `mostMoveMs`. A request is ignored if that fraction is less than `leastMoveMs`.
 */
const [leastMoveMs, mostMoveMs, moveFraction] = [25, 250, 4];

export interface NotifyMessage {
	lines: string[];
	/** READY=1 */
	isReady: boolean;
	/** EXTEND_TIMEOUT_USEC= in milliseconds; null if the message has no such line, or its value is not a number. */
	delayMs: number | null;
}

/** Null if the message is not text. */
export function readNotifyMessage(text: string): NotifyMessage | null {
	// One trailing NUL is allowed: C's sizeof counts it, and sd_notify(3) accepts it. A message with another NUL is
	// not text.
	const lines = text.replace(/\0$/, '').split('\n');
	if (lines.some((line) => line.includes('\0'))) return null;
	const extension = lines.find((line) => line.startsWith('EXTEND_TIMEOUT_USEC='))?.split('=')[1] ?? '';
	const isNumber = /^\d+$/.test(extension);
	const delayMs = isNumber ? Math.min(Math.floor(Number(extension) / 1000), Number.MAX_SAFE_INTEGER) : null;
	return { lines, isReady: lines.includes('READY=1'), delayMs };
}

/**
 * The deadline that a request for more time sets; null if the request does not count.
 * @param deadline the deadline that an earlier request set; 0 if there was none
 */
export function movedDeadline(deadline: number, delayMs: number, nowMs: number): number | null {
	const moved = nowMs + delayMs;
	const step = Math.min(mostMoveMs, Math.floor(delayMs / moveFraction));
	return step < leastMoveMs || moved < deadline + step ? null : moved;
}
