/** A simulated supervisor: external events in, facts out, without processes and without a clock. */

import { type Command, deliver, inertWorld, newLife, type Supervisor } from '../charts/world.ts';
import type { Decision, ExternalEvent, ExternalFact, Fact } from '../facts/facts.ts';
import { stamped } from '../facts/stamp.ts';
import { evolve } from '../state/evolve.ts';
import type { SupervisorState } from '../state/supervisorState.ts';

export interface SimulatorOptions {
	/** The number of the last fact before the simulation. */
	seq: number;
	/** The time at which the simulation begins, in milliseconds since 1970. */
	at: number;
	/** The time of the boot, in milliseconds since 1970: clocks of facts count from it. */
	boot?: number;
	/** Receives each fact, and the fold of all facts before it. */
	told: (fact: Fact, before: SupervisorState | null) => void;
	/** Receives the commands of the statecharts. */
	command?: (command: Command) => void;
}

/** A simulated supervisor before its first event. */
export function simulator({ seq, at, boot = 0, told, command = () => {} }: SimulatorOptions) {
	let state: SupervisorState | null = null;
	/** The number of the last external event. */
	let cause = 0;
	let supervisor: Supervisor | null = null;

	/** Adds number and time to an event or decision, as the dispatcher does. */
	function admit<T extends ExternalEvent | Decision>(what: T): Fact {
		seq += 1;
		const fact = stamped(what, { seq, at, clock: () => at - boot, cause });
		const before = state;
		state = evolve(state, fact);
		told(fact, before);
		return fact;
	}

	/** Processes an external event. A start or a recovery creates a new statechart. */
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

	/** Advances the simulated time. @param millis milliseconds */
	function wait(millis: number) {
		at += millis;
	}

	/** @throws {Error} before the first external event */
	function present(): Supervisor {
		if (supervisor === null) throw new Error('nothing has happened yet');
		return supervisor;
	}

	return { tell, wait, supervisorState: () => state, supervisor: present };
}
