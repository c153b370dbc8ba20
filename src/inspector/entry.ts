/** An entry: one fact, its log line, and the moves of the statecharts. */

import type { Move } from '../diagram/trace.ts';
import type { Fact } from '../machines/facts/facts.ts';
import { isDecision } from '../machines/facts/stamp.ts';
import type { Step } from '../machines/simulation/replay.ts';
import type { SupervisorState } from '../machines/state/supervisorState.ts';
import { type Sentence, sentenceOf } from '../machines/text/sentences.ts';

export interface Entry {
	/** A checkpoint stands for all facts before it. */
	fact: Fact | Checkpoint;
	kind: 'external' | 'decision' | 'checkpoint';
	/** The log line of the fact; null if there is none. */
	says: Sentence | null;
	moves: Move[];
	/** Decisions only: the number of the external event that caused the decision; else null. */
	upon: number | null;
	/** A sentence if the statecharts decide something else than was recorded; else null. */
	difference: string | null;
	/** New statecharts begin with this fact: a start, a recovery or a checkpoint. No earlier actor exists any more. */
	isLife: boolean;
}

export interface Checkpoint {
	type: 'checkpoint';
	seq: number;
	at: number;
	state: SupervisorState;
	gap: boolean;
}

/** @param before the fold of all earlier facts */
export function entryOf(
	fact: Fact | Checkpoint,
	before: SupervisorState | null,
	moves: Move[],
	step: Pick<Step, 'upon' | 'difference'>,
): Entry {
	const { upon, difference } = step;
	if (fact.type === 'checkpoint') {
		return { fact, kind: 'checkpoint', says: null, moves, upon, difference, isLife: true };
	}
	const isLife = fact.type === 'supervisor.started' || fact.type === 'supervisor.recovered';
	const kind = isDecision(fact) ? 'decision' : 'external';
	return { fact, kind, says: sentenceOf(fact, before, null), moves, upon, difference, isLife };
}

/** The actor that a fact concerns: `child.3`, `generation.2`, `upgrade`, `supervisor`. */
export function actorOf(fact: Entry['fact']): string {
	if ('child' in fact) return `child.${fact.child}`;
	if ('generation' in fact) return `generation.${fact.generation}`;
	return fact.type.startsWith('upgrade.') ? 'upgrade' : 'supervisor';
}
