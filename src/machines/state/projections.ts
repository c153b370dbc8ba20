/** All folds over the facts so far. */
import type { Fact } from '../facts/facts.ts';
import { type Counters, evolveCounters, noCounts } from './counters.ts';
import { evolve } from './evolve.ts';
import { evolveRotations } from './evolveRotations.ts';
import { finishedBetween, noRotations, type Rotations } from './rotations.ts';
import type { SupervisorState } from './supervisorState.ts';

export interface Projections {
	/** Null before the first fact. */
	state: SupervisorState | null;
	rotations: Rotations;
	counters: Counters;
}

export const noProjections: Projections = { state: null, rotations: noRotations, counters: noCounts };

/** Adds one fact. The projections that are passed in stay unchanged. */
export function evolveProjections({ state, rotations, counters }: Projections, fact: Fact): Projections {
	const next = evolveRotations(rotations, fact, state);
	return {
		state: evolve(state, fact),
		rotations: next,
		counters: evolveCounters(counters, fact, state, finishedBetween(rotations, next)),
	};
}
