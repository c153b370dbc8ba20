/** What the page knows of one fact: the fact, what the log said, and what the charts did. */

import type { Move } from '../diagram/trace.ts';
import { type Fact, isDecision } from '../machines/facts/facts.ts';
import type { Step } from '../machines/simulation/replay.ts';
import type { SupervisorState } from '../machines/state/supervisorState.ts';
import { type Sentence, sentenceOf } from '../machines/text/sentences.ts';

export interface Entry {
	/** A checkpoint stands for all facts before it. */
	fact: Fact | Checkpoint;
	kind: 'external' | 'decision' | 'checkpoint';
	/** What the log said. */
	says: Sentence | null;
	moves: Move[];
	/** Of a decision: the number of the happening that it was made upon. */
	upon: number | null;
	/** Where the charts decide something else than was recorded. */
	difference: string | null;
	/** A new life begins with it: no actor of the one before is left. */
	isLife: boolean;
}

export interface Checkpoint {
	type: 'checkpoint';
	seq: number;
	at: number;
	state: SupervisorState;
	gap: boolean;
}

/** @param before what all facts before amount to */
export function entryOf(fact: Fact | Checkpoint, before: SupervisorState | null, moves: Move[], step: Step): Entry {
	const { upon, difference } = step;
	if (fact.type === 'checkpoint') {
		return { fact, kind: 'checkpoint', says: null, moves, upon, difference, isLife: true };
	}
	const isLife = fact.type === 'supervisor.started' || fact.type === 'supervisor.recovered';
	const kind = isDecision(fact) ? 'decision' : 'external';
	return { fact, kind, says: sentenceOf(fact, before, null), moves, upon, difference, isLife };
}

/** Whom a fact is about: `child.3`, `generation.2`, `upgrade`, `supervisor`. */
export function actorOf(fact: Entry['fact']): string {
	if ('child' in fact) return `child.${fact.child}`;
	if ('generation' in fact) return `generation.${fact.generation}`;
	return fact.type.startsWith('upgrade.') ? 'upgrade' : 'supervisor';
}
