/** Decides what one inspection of a child means for its listener check. */
import type { Listener } from '../sockets/listener.ts';
import type { Found } from './treeLook.ts';

/**
 * After this many inspections in a row that see nothing, the child counts as hidden: an exiting process can't be
 * inspected either.
 */
const looksThatAreHidden = 5;

/** What the earlier inspections have found. */
export interface CheckHistory {
	/** The number of inspections in a row that have seen nothing. */
	hiddenLooks: number;
	/** The last inspection that saw everything. */
	lastClear: Found | null;
}

export const emptyHistory: CheckHistory = { hiddenLooks: 0, lastClear: null };

export interface CheckMoment {
	/** The check ends when the listeners are held, and does not wait for an accept. */
	isHold: boolean;
	/** The deadline is over. */
	isLate: boolean;
	/** The time of the log line that names the child is over. */
	isNoticeDue: boolean;
	/** No log line is to be written: it is written already, or the child serves. */
	isNoticed: boolean;
}

/**
 * `unknown`: a later inspection decides. `seen`: no listener is missing. `hidden`: the child can't be inspected.
 * `missing`: the listeners are reported as missing.
 */
export type CheckVerdict =
	| { kind: 'unknown' }
	| { kind: 'seen'; found: Found }
	| { kind: 'hidden'; reason: string }
	| { kind: 'missing'; found: Found; missing: Listener[] };

/** @param found null if the inspection has failed: the next one may succeed */
export function judgeInspection(
	history: CheckHistory,
	found: Found | null,
	moment: CheckMoment,
): { history: CheckHistory; verdict: CheckVerdict } {
	const { isHold, isLate, isNoticeDue, isNoticed } = moment;
	const isClear = found !== null && found.hidden === null && found.failed === null && found.isComplete;
	const lastClear = isClear ? found : history.lastClear;
	// If the inspection at the deadline fails, the last complete inspection decides. A child that stays hidden is
	// reported as hidden.
	const isPassing = !isClear && (found?.unclear ?? null) === null && history.hiddenLooks < looksThatAreHidden;
	const seen = isLate && isPassing ? (lastClear ?? found) : found;
	const unchanged = { ...history, lastClear };
	if (seen === null) {
		const isFinal = isLate && !isHold;
		return {
			history: unchanged,
			verdict: isFinal ? { kind: 'hidden', reason: 'the look at it failed' } : { kind: 'unknown' },
		};
	}
	const missing = isHold ? seen.notHeld : seen.notAccepted;
	if (missing.length === 0) return { history: unchanged, verdict: { kind: 'seen', found: seen } };
	const hiddenLooks = seen.hidden === null ? 0 : history.hiddenLooks + 1;
	const next = { hiddenLooks, lastClear };
	const hidden = whyHidden(seen, hiddenLooks, moment);
	if (hidden !== null) return { history: next, verdict: { kind: 'hidden', reason: hidden } };
	if (!isLate && (isNoticed || !isNoticeDue)) return { history: next, verdict: { kind: 'unknown' } };
	return { history: next, verdict: { kind: 'missing', found: seen, missing } };
}

/** Why the child can't be inspected, if that is final; null if the next inspection may succeed. */
function whyHidden(
	{ hidden, unclear, failed }: Found,
	hiddenLooks: number,
	{ isHold, isLate, isNoticeDue }: CheckMoment,
): string | null {
	if (hidden !== null) return hiddenLooks >= looksThatAreHidden || isLate ? hidden : null;
	if (failed !== null) return isLate ? failed : null;
	return !isHold && (isLate || isNoticeDue) ? unclear : null;
}
