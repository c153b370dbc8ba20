/** The same happenings through the same machines, with inert effects: do they decide what was decided? */
import { createActor } from 'xstate';
import { type Decision, type Fact, type HappeningFact, isDecision } from './facts.ts';
import type { Roster } from './roster.ts';
import { type Command, deliver, describeState, inertWorld, type Supervisor, supervisorIn } from './world.ts';

/** What a fact did. */
export interface Step {
	/** The whole state before and after, as `describeState` has it; empty before the first fact. */
	before: string;
	after: string;
	commands: Command[];
	/** A sentence where the charts decide something else than was recorded. */
	difference: string | null;
}

/**
 * A supervisor that lives through recorded facts. Each life of the recorded one is a new chart. A happening
 * may have been recorded in the middle of a step, so decisions are compared in their own order.
 */
export function createReplay() {
	let decided: Decision[] = [];
	let commands: Command[] = [];
	let now = '';
	let supervisor: Supervisor | null = null;

	function begin() {
		supervisor?.stop();
		decided = [];
		const world = inertWorld(
			(decision) => decided.push(decision),
			(command) => commands.push(command),
		);
		supervisor = createActor(supervisorIn(world)).start();
	}

	/** Takes the next fact. */
	function tell(fact: Fact): Step {
		if (isDecision(fact)) return { before: now, after: now, commands: [], difference: compare(fact) };
		const before = now;
		commands = [];
		if (fact.type === 'supervisor.started' || fact.type === 'supervisor.recovered') begin();
		if (supervisor) {
			deliver(supervisor, fact as HappeningFact);
			now = describeState(supervisor);
		}
		return { before, after: now, commands, difference: null };
	}

	function compare({ seq, at: _, clock: __, ...recorded }: Fact & Decision): string | null {
		const own = decided.shift();
		if (own && isSame(own, recorded)) return null;
		const instead = own ? JSON.stringify(own) : 'nothing';
		return `fact ${seq} is ${JSON.stringify(recorded)}, the statecharts decide ${instead}`;
	}

	/** Goes on from what earlier facts amount to. */
	function restore(roster: Roster, seq: number, at: number): Step {
		return tell({ type: 'supervisor.recovered', seq, at, pid: 0, by: 'upgrade', roster });
	}

	return { tell, restore, state: () => now };
}

/** Decisions are flat, but for lists of numbers. */
function isSame(one: object, other: object): boolean {
	const fields = Object.entries(one);
	const others = new Map(Object.entries(other));
	return fields.length === others.size && fields.every(([key, value]) => String(value) === String(others.get(key)));
}
