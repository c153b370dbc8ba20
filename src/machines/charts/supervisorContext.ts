/** The context of the supervisor's statechart, and the timer that follows from it. */
import type { ActorRefFrom, DoneActorEvent } from 'xstate';
import { type ExternalFact, usualPlan } from '../facts/facts.ts';
import { noChecks, type SupervisorState } from '../state/supervisorState.ts';
import type { generationMachine } from './generation.ts';
import type { GenerationNews, GenerationOutput, HealthCheckInput, TimerInput } from './protocol.ts';

export type GenerationRef = ActorRefFrom<typeof generationMachine>;

/** The supervisor's state, with an actor for each generation instead of its children. */
export interface SupervisorContext extends Omit<SupervisorState, 'children' | 'respawns' | 'unanswered' | 'ended'> {
	/** The actors of the existing generations, by generation number. */
	generations: Record<number, GenerationRef>;
	/** At least one child of the serving generation lives. */
	isServed: boolean;
}

/** The output of the supervisor's statechart. */
export interface SupervisorOutput {
	/** 0 if a stop was requested; else the exit status of the last lost child, or 128 plus its signal number. */
	status: number;
}

/** The event of xstate after a generation's statechart has reached its final state. */
export type Over = DoneActorEvent<GenerationOutput>;

export type Degraded = Extract<GenerationNews, { type: 'generationDegraded' }>;

export type SupervisorEvent = ExternalFact | GenerationNews | Over;

/** The context of a supervisor before its start. */
export const newContext: SupervisorContext = {
	plan: usualPlan,
	serving: 0,
	isComplete: false,
	candidate: null,
	bake: null,
	checks: noChecks,
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

/** The timer of a bake. */
export function bakeTimer({ bake }: Pick<SupervisorContext, 'bake'>): TimerInput {
	return { timer: 'bake', millis: bake?.millis ?? 0, since: bake?.clock ?? null };
}

/** The health check that the candidate must pass. */
export function candidateCheck({
	candidate,
	checks,
}: Pick<SupervisorContext, 'candidate' | 'checks'>): HealthCheckInput {
	const { millis = 0, clock = null } = checks.candidate ?? {};
	return { generation: candidate ?? 0, purpose: 'promotion', millis, since: clock };
}

/** The health check of a candidate that bakes; with -check only. */
export function bakeCheck({ candidate, plan }: Pick<SupervisorContext, 'candidate' | 'plan'>): HealthCheckInput {
	return { generation: candidate ?? 0, purpose: plan.check === '' ? null : 'bake', millis: 0, since: null };
}

/** The health check of a serving generation that is degraded. */
export function degradedCheck(generation: number): HealthCheckInput {
	return { generation, purpose: 'degraded', millis: 0, since: null };
}

/** The timer of the wait before a new generation starts while no generation serves. */
export function restartTimer({ restart }: Pick<SupervisorContext, 'restart'>): TimerInput {
	return { timer: 'restart', millis: restart?.millis ?? 0, since: restart?.clock ?? null };
}
