/** All that is known of the past: what the facts so far amount to. */
import type { Fact } from './facts.ts';
import { evolveReceipts, noReceipts, type Receipts, settledBetween } from './receipts.ts';
import { evolve, type Roster } from './roster.ts';
import { emptyTally, evolveTally, type Tally } from './tally.ts';

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
