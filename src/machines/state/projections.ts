/** All that is known of the past: what the facts so far amount to. */
import type { Fact } from '../facts/facts.ts';
import { type Counters, evolveCounters, noCounts } from './counters.ts';
import { evolveRotations, finishedBetween, noRotations, type Rotations } from './rotations.ts';
import { evolve, type SupervisorState } from './supervisorState.ts';

export interface Projections {
	/** Null before the first fact. */
	state: SupervisorState | null;
	rotations: Rotations;
	counters: Counters;
}

export const noProjections: Projections = { state: null, rotations: noRotations, counters: noCounts };

/** Adds one fact. What is passed in is left as it was. */
export function evolveProjections({ state, rotations, counters }: Projections, fact: Fact): Projections {
	const next = evolveRotations(rotations, fact, state);
	return {
		state: evolve(state, fact),
		rotations: next,
		counters: evolveCounters(counters, fact, state, finishedBetween(rotations, next)),
	};
}
