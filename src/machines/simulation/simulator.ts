/** A supervisor that is only imagined: happenings in, facts out, no process and no clock. */

import { type Command, deliver, inertWorld, newLife, type Supervisor } from '../charts/world.ts';
import type { Decision, ExternalEvent, ExternalFact, Fact } from '../facts/facts.ts';
import { stamped } from '../facts/facts.ts';
import { evolve, type SupervisorState } from '../state/supervisorState.ts';

export interface SimulatorOptions {
	/** The number of the last fact before, and its time. */
	seq: number;
	/** Milliseconds since 1970. */
	at: number;
	/** Told of each fact, and of what all facts before amount to. */
	told: (fact: Fact, before: SupervisorState | null) => void;
	/** Told of what the charts have done. */
	command?: (command: Command) => void;
}

/** A supervisor that has not been told anything yet. */
export function simulator({ seq, at, told, command = () => {} }: SimulatorOptions) {
	let state: SupervisorState | null = null;
	/** The number of the happening that was told last. */
	let cause = 0;
	let supervisor: Supervisor | null = null;

	/** Numbers and times what happened or was decided, as the door does. */
	function admit<T extends ExternalEvent | Decision>(what: T): Fact {
		seq += 1;
		const fact = stamped(what, { seq, at, clock: () => at, cause });
		const before = state;
		state = evolve(state, fact);
		told(fact, before);
		return fact;
	}

	/** A start, or a recovery, begins a new life. */
	function tell(external: ExternalEvent) {
		const fact = admit(external) as ExternalFact;
		cause = fact.seq;
		if (fact.type === 'supervisor.started' || fact.type === 'supervisor.recovered') {
			supervisor?.stop();
			supervisor = newLife(inertWorld(admit, command), fact);
			supervisor.start();
		}
		if (supervisor) deliver(supervisor, fact);
	}

	/** Lets time pass, in milliseconds. */
	function wait(millis: number) {
		at += millis;
	}

	/** @throws {Error} before its first fact */
	function present(): Supervisor {
		if (supervisor === null) throw new Error('nothing has happened yet');
		return supervisor;
	}

	return { tell, wait, supervisorState: () => state, supervisor: present };
}
