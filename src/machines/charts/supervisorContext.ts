/** What the statechart of the supervisor knows, and the timer that follows from it. */
import type { ActorRefFrom, DoneActorEvent } from 'xstate';
import { type ExternalFact, usualPlan } from '../facts/facts.ts';
import type { SupervisorState } from '../state/supervisorState.ts';
import type { generationMachine } from './generation.ts';
import type { GenerationNews, GenerationOutput, TimerInput } from './protocol.ts';

export type GenerationRef = ActorRefFrom<typeof generationMachine>;

/** What a state tells, with actors for its children. */
export interface SupervisorContext extends Omit<SupervisorState, 'children' | 'respawns' | 'unanswered' | 'ended'> {
	/** Those that live. */
	generations: Record<number, GenerationRef>;
	/** A child of the serving generation lives. */
	isServed: boolean;
	/** When the last child of the serving generation came up, in milliseconds since boot; null if that is not known. */
	servingUpAt: number | null;
}

/** What the supervisor ends with. */
export interface SupervisorOutput {
	/** 0 when a stop was asked for, else the exit code of the last child that left unasked, or 128 plus its signal. */
	status: number;
}

/** A generation is over: it is done, as xstate says it. */
export type Over = DoneActorEvent<GenerationOutput>;

export type Degraded = Extract<GenerationNews, { type: 'generationDegraded' }>;

export type SupervisorEvent = ExternalFact | GenerationNews | Over;

/** What a supervisor knows before it has started. */
export const newContext: SupervisorContext = {
	plan: usualPlan,
	serving: 0,
	isComplete: false,
	candidate: null,
	lastGeneration: 0,
	lastSize: 0,
	lastChild: 0,
	trigger: 'start',
	queued: null,
	restart: null,
	restarts: 0,
	isQuitting: false,
	stopSignal: null,
	status: 0,
	isServed: false,
	servingUpAt: null,
	generations: {},
};

/** How long it is waited until another generation is started while none serves. */
export function restartTimer({ restart }: Pick<SupervisorContext, 'restart'>): TimerInput {
	return { timer: 'restart', millis: restart?.millis ?? 0, since: restart?.clock ?? null };
}
