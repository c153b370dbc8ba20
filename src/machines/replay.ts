/** The same facts through the same machines, with inert effects. */
import { type ActorRefFrom, createActor, type Subscribable } from 'xstate';
import type { Fact } from './facts.ts';
import type { Roster } from './roster.ts';
import type { supervisorMachine } from './supervisor.ts';
import { type Command, describeState, inertWorld, supervisorIn } from './world.ts';

/** What a fact did. */
export interface Step {
	/** The whole state before and after, as `describeState` has it; empty before the first fact. */
	before: string;
	after: string;
	decided: Command[];
}

/** A supervisor that lives through recorded facts. Each life of the recorded one is a new chart. */
export function createReplay() {
	let decided: Command[] = [];
	let send: (fact: Fact) => void = () => {};
	let now = '';
	let supervisor: ActorRefFrom<typeof supervisorMachine> | null = null;

	function begin() {
		supervisor?.stop();
		const facts: Subscribable<Fact> = {
			subscribe: (observer: unknown) => {
				send = (observer as { next: (fact: Fact) => void }).next;
				return { unsubscribe: () => {} };
			},
		};
		supervisor = createActor(supervisorIn(inertWorld(facts, (command) => decided.push(command))));
		supervisor.start();
	}

	function tell(fact: Fact): Step {
		const before = now;
		decided = [];
		if (fact.type === 'supervisor.started' || fact.type === 'supervisor.recovered') begin();
		send(fact);
		now = supervisor ? describeState(supervisor) : '';
		return { before, after: now, decided };
	}

	/** Goes on from what earlier facts amount to. */
	function restore(roster: Roster, seq: number, at: number): Step {
		return tell({ type: 'supervisor.recovered', seq, at, pid: 0, roster });
	}

	return { tell, restore, state: () => now };
}
