/** What the statechart of a generation knows, and the timers that follow from it. */
import type { ActorRefFrom, DoneActorEvent } from 'xstate';
import type { FactOf, FailureCode } from '../facts/facts.ts';
import type { Slot } from '../rules/slots.ts';
import type { Respawn } from '../state/supervisorState.ts';
import type { childMachine } from './child.ts';
import type { ChildNews, ChildOutput, GenerationInput, GenerationOrder, TimerInput } from './protocol.ts';

/** A child is gone: it is done, as xstate says it. */
export type Gone = DoneActorEvent<ChildOutput>;

export type GenerationEvent = ChildNews | GenerationOrder | Gone | FactOf<'respawn.due'>;

export type ChildRef = ActorRefFrom<typeof childMachine>;

export interface GenerationContext extends GenerationInput {
	children: Record<number, ChildRef>;
	/** When its last child came up, in milliseconds since boot; null before. */
	upAt: number | null;
	/** Those that have a child, or are to have one again. */
	slots: Slot[];
	/** Of the child that left last, if it left unasked. */
	status: number | null;
	/** Why it is degraded. */
	reason: string;
	code: FailureCode;
	/** A signal had been passed on to the child that left last; it was up for long. */
	wasForwarded: boolean;
	wasHealthy: boolean;
	isExhausted: boolean;
}

/** What a generation knows before it has children. */
export function newContext(input: GenerationInput): GenerationContext {
	return {
		...input,
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

/** A place that waits to be filled again, or is to be filled now. */
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

/** The id of the timer of a slot. */
export function timerOf(index: number): string {
	return `respawn.${index}`;
}
