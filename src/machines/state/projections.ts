/** All that is known of the past: what the facts so far amount to. */
import type { Fact } from '../facts/facts.ts';
import { emptyTally, evolveTally, type Tally } from './counters.ts';
import { evolveReceipts, noReceipts, type Receipts, settledBetween } from './rotations.ts';
import { evolve, type Roster } from './supervisorState.ts';

export interface Past {
	/** Null before the first fact. */
	roster: Roster | null;
	receipts: Receipts;
	tally: Tally;
}

export const noPast: Past = { roster: null, receipts: noReceipts, tally: emptyTally };

/** Adds one fact. What is passed in is left as it was. */
export function evolvePast({ roster, receipts, tally }: Past, fact: Fact): Past {
	const next = evolveReceipts(receipts, fact, roster);
	return {
		roster: evolve(roster, fact),
		receipts: next,
		tally: evolveTally(tally, fact, roster, settledBetween(receipts, next)),
	};
}
