/**
 * Replay: recorded external events go through the statecharts with inert effects. The decisions must be the recorded
 * ones.
 */
import type { InspectionEvent } from 'xstate';
import { type Command, deliver, describeState, inertWorld, newLife, type Supervisor } from '../charts/world.ts';
import type { Decision, ExternalFact, Fact } from '../facts/facts.ts';
import { isDecision } from '../facts/stamp.ts';
import type { SupervisorState } from '../state/supervisorState.ts';

/** The effect of one fact. */
export interface Step {
	/** The whole state before and after, in the format of `describeState`; empty before the first fact. */
	before: string;
	after: string;
	commands: Command[];
	/** Decisions only: the number of the external event that caused the decision. */
	upon: number | null;
	/** A sentence if the statecharts decide something else than was recorded; else null. */
	difference: string | null;
}

/**
 * A supervisor that replays recorded facts. Each start or recovery in the record creates a new statechart. An external
 * event can be recorded in the middle of a step, so decisions are compared in their own order.
 * @param inspect receives the inspection events of the statecharts. With it, `before` and `after` of a step stay empty
 */
export function createReplay(inspect?: (event: InspectionEvent) => void) {
	let decided: { decision: Decision; upon: number }[] = [];
	let upon = 0;
	let commands: Command[] = [];
	let now = '';
	let supervisor: Supervisor | null = null;
	/** The number of the fact that the current statechart began with. */
	let began = 0;

	function begin(first: Fact) {
		supervisor?.stop();
		decided = [];
		began = first.seq;
		const world = inertWorld(
			(decision) => decided.push({ decision, upon }),
			(command) => commands.push(command),
		);
		supervisor = newLife(world, first, inspect);
		supervisor.start();
	}

	/** Replays the next fact. */
	function tell(fact: Fact): Step {
		if (isDecision(fact)) return { before: now, after: now, commands: [], ...compare(fact) };
		const before = now;
		commands = [];
		upon = fact.seq;
		if (fact.type === 'supervisor.started' || fact.type === 'supervisor.recovered') begin(fact);
		if (supervisor) {
			deliver(supervisor, fact as ExternalFact);
			if (!inspect) now = describeState(supervisor);
		}
		return { before, after: now, commands, upon: null, difference: null };
	}

	function compare({ seq, at: _, clock: __, cause, ...recorded }: Fact & Decision): Pick<Step, 'upon' | 'difference'> {
		const own = decided.splice(cause === undefined ? indexOfRecorded(recorded) : 0, 1)[0];
		const isUponOther = own !== undefined && cause !== undefined && cause !== own.upon;
		if (own && !isUponOther && isSame(withoutTime(own.decision, recorded), recorded))
			return { upon: own.upon, difference: null };
		const named = (seq: number) => (isUponOther ? ` upon ${seq}` : '');
		const instead = own ? `${JSON.stringify(own.decision)}${named(own.upon)}` : 'nothing';
		const difference = `fact ${seq} is ${JSON.stringify(recorded)}${named(cause ?? 0)}, the statecharts decide ${instead}`;
		return { upon: own?.upon ?? null, difference };
	}

	/** Up to commit cd933d0 the decisions after a recovery were recorded in another order. */
	function indexOfRecorded(recorded: Decision): number {
		const ofRecovery = decided.filter(({ upon }) => upon === began);
		const place = ofRecovery.findIndex(({ decision }) => isSame(withoutTime(decision, recorded), recorded));
		return Math.max(0, place);
	}

	/** Continues from the fold of earlier facts. */
	function restore(state: SupervisorState, seq: number, at: number): Step {
		return tell({ type: 'supervisor.recovered', seq, at, pid: 0, by: 'upgrade', state });
	}

	return { tell, restore, state: () => now };
}

/** Decisions whose `reason` is a sentence. An earlier program version may have had other words for it. */
const reasoned = new Set<Decision['type']>(['child.rejected', 'generation.failed', 'generation.degraded']);

/**
 * A decision of the statecharts without its clock, with the recorded words of its reason, and without a `code` that commit
 * cd933d0 and earlier did not record.
 */
function withoutTime({ clock: _, ...decision }: Decision & { clock?: number }, recorded: object): object {
	const isReasoned = reasoned.has(decision.type) && 'reason' in decision && 'reason' in recorded;
	const own = isReasoned ? { ...decision, reason: recorded.reason } : decision;
	if (!('code' in own) || 'code' in recorded) return own;
	const { code: __, ...rest } = own;
	return rest;
}

/** Deep equality of JSON values. A field that is undefined equals a missing field. */
function isSame(one: unknown, other: unknown): boolean {
	if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return one === other;
	if (Array.isArray(one) !== Array.isArray(other)) return false;
	const others = other as Record<string, unknown>;
	const isKnown = ([key, value]: [string, unknown]) => value === undefined || isSame(value, others[key]);
	return countOfFields(one) === countOfFields(other) && Object.entries(one).every(isKnown);
}

function countOfFields(object: object): number {
	let count = 0;
	for (const value of Object.values(object)) if (value !== undefined) count += 1;
	return count;
}
