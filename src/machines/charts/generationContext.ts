/** The context of a generation's statechart, and the timers that follow from it. */
import type { ActorRefFrom, DoneActorEvent } from 'xstate';
import type { FactOf, FailureCode } from '../facts/facts.ts';
import type { Slot } from '../rules/slots.ts';
import type { Respawn } from '../state/supervisorState.ts';
import type { childMachine } from './child.ts';
import type { ChildNews, ChildOutput, GenerationInput, GenerationOrder, TimerInput } from './protocol.ts';

/** The event of xstate after a child's statechart has reached its final state. */
export type Gone = DoneActorEvent<ChildOutput>;

export type GenerationEvent = ChildNews | GenerationOrder | Gone | FactOf<'respawn.due'>;

export type ChildRef = ActorRefFrom<typeof childMachine>;

export interface GenerationContext extends GenerationInput {
	children: Record<number, ChildRef>;
	/** When its last child was up, in milliseconds since boot; null before. */
	upAt: number | null;
	/** The slots that have a child, or are to be filled again. */
	slots: Slot[];
	/** Of the child that ended or failed last: its exit status if it was lost, 1 if it was rejected; else null. */
	status: number | null;
	/** Why the generation is degraded. */
	reason: string;
	code: FailureCode;
	/** Of the child that ended last: a signal was passed on to it; it was up for long enough to be healthy. */
	wasForwarded: boolean;
	wasHealthy: boolean;
	isExhausted: boolean;
}

/** The context of a generation that has no child yet. */
export function newContext({ generation, plan, firstChild, isGated, isBaked }: GenerationInput): GenerationContext {
	return {
		generation,
		plan,
		firstChild,
		isGated,
		isBaked,
		children: {},
		upAt: null,
		slots: [],
		status: null,
		reason: '',
		code: 'exited',
		wasForwarded: false,
		wasHealthy: false,
		isExhausted: false,
	};
}

/** A vacant slot: its respawn wait runs or, with `isDue`, has elapsed. */
export function vacantSlot({
	index,
	attempt,
	wasUp,
	isDue,
}: Pick<Respawn, 'index' | 'attempt' | 'wasUp' | 'isDue'>): Slot {
	const vacancy = isDue ? 'due' : 'waiting';
	return { index, child: null, vacancy, isUp: false, isGoing: false, attempt, wasUp, seq: 0 };
}

export function respawnTimer({
	generation,
	index,
	millis,
	clock,
}: Pick<Respawn, 'generation' | 'index' | 'millis' | 'clock'>): TimerInput {
	return { timer: 'respawn', generation, index, millis, since: clock };
}

/** The id of a slot's respawn timer. */
export function timerOf(index: number): string {
	return `respawn.${index}`;
}
