/** Turns facts into entries: replays each fact in the statecharts, with inert effects, and records their moves. */

import { tracer } from '../diagram/trace.ts';
import type { Fact } from '../machines/facts/facts.ts';
import { createReplay } from '../machines/simulation/replay.ts';
import { evolve } from '../machines/state/evolve.ts';
import type { SupervisorState } from '../machines/state/supervisorState.ts';
import { type Checkpoint, type Entry, entryOf } from './entry.ts';

export function newReplayer() {
	const trace = tracer();
	const replay = createReplay(trace.inspect);
	let state: SupervisorState | null = null;

	return (fact: Fact | Checkpoint): Entry => {
		if (['checkpoint', 'supervisor.started', 'supervisor.recovered'].includes(fact.type)) trace.forget();
		const step = fact.type === 'checkpoint' ? replay.restore(fact.state, fact.seq, fact.at) : replay.tell(fact);
		const entry = entryOf(fact, state, trace.take(), step);
		state = fact.type === 'checkpoint' ? fact.state : evolve(state, fact);
		return entry;
	};
}
