/** The decisions of the supervisor's statechart. */
import type { Decision, FactOf, FailureCode, Request, Trigger } from '../facts/facts.ts';
import { isHealthy, restartWait } from '../rules/respawn.ts';
import { checkTime } from '../rules/verification.ts';
import { expectEvent, outputOf } from './expectEvent.ts';
import type { GenerationOutput } from './protocol.ts';
import type { Degraded, SupervisorContext, SupervisorEvent } from './supervisorContext.ts';

interface Args<E = SupervisorEvent> {
	context: SupervisorContext;
	event: E;
}

export const decisions = {
	keptInstead: ({ context, event }: Args): Decision => ({
		type: 'generation.degraded',
		generation: context.candidate ?? 0,
		replaced: [context.serving],
		...whyFailed(event),
	}),
	started: ({ context, event }: Args): Decision => ({
		type: 'generation.started',
		generation: context.lastGeneration + 1,
		trigger: askerOf(event) ?? context.queued ?? 'start',
		size: context.plan.size,
	}),
	stopUndone: (): Decision => ({ type: 'stop.cancelled' }),
	queued: ({ context, event }: Args): Decision => ({
		type: 'rotation.queued',
		trigger: askerOf(event) ?? 'start',
		behind: context.candidate ?? 1,
	}),
	baking: ({ context: { candidate, plan } }: Args): Decision => ({
		type: 'bake.started',
		generation: candidate ?? 0,
		millis: plan.bake,
	}),
	checking: ({ context: { candidate, plan } }: Args): Decision => ({
		type: 'check.started',
		generation: candidate ?? 0,
		millis: checkTime(plan),
	}),
	rechecking: ({ event }: Args): Decision => ({
		type: 'check.started',
		generation: expectEvent(event, 'generationUp', 'check.failed').generation,
		millis: 0,
	}),
	promoted: (args: Args): Decision => ({
		type: 'generation.promoted',
		generation: args.context.candidate ?? 0,
		replaced: [],
		...resetOf(args),
	}),
	replacing: (args: Args): Decision => ({
		type: 'generation.promoted',
		generation: args.context.candidate ?? 0,
		replaced: [args.context.serving],
		...resetOf(args),
	}),
	/** A generation that was kept as degraded has become complete. */
	madeWhole: ({ context }: Args): Decision => ({
		type: 'generation.promoted',
		generation: context.serving,
		replaced: [],
	}),
	failed: ({ context: { candidate, serving, isServed, generations, bake, checks }, event }: Args): Decision => {
		const why = whyFailed(event);
		const isExit = event.type === 'generationDegraded' || 'output' in event;
		const code = isExit ? 'bake' : why.code;
		return {
			type: 'generation.failed',
			generation: candidate ?? 0,
			serving: serving in generations && isServed ? serving : null,
			...(bake === null
				? why
				: { reason: `${why.reason} ${checks.candidate ? 'after' : 'during'} its bake (-bake=${bake.millis})`, code }),
		};
	},
	/** The last generation has ended, and was never complete. */
	neverServed: ({ context, event }: Args): Decision => {
		const { generation, reason, code } = outputOf<GenerationOutput>(event);
		// For a generation that was kept as degraded, that decision has recorded the first reason already.
		const why =
			generation === context.candidate
				? { reason, code }
				: { reason: 'none of its children is left', code: isRemembered(code) ? code : ('exited' as const) };
		return { type: 'generation.failed', generation, serving: null, ...why };
	},
	kept: ({ context, event }: Args): Decision => ({
		type: 'generation.degraded',
		generation: context.candidate ?? 0,
		replaced: [],
		...whyFailed(event),
	}),
	serviceLost: (): Decision => ({ type: 'service.lost' }),
	restart: (args: Args): Decision => ({
		type: 'restart.scheduled',
		attempt: nextAttempt(args),
		millis: restartWait(nextAttempt(args)),
	}),
	forwarded: (): Decision => ({ type: 'signal.forwarded', signal: 'QUIT' }),
	stop: ({ context, event }: Args<FactOf<Request['type']>>): Decision => ({
		type: 'stop.begun',
		request: event.type,
		signal: stopSignalOf(context, event),
		kill: killTimeoutOf(context, event),
	}),
	/** Only for a generation that drains. */
	stopGeneration: ({ context, event }: Args): Decision => {
		const { generation, kill } = expectEvent(event, 'generation.stopRequested');
		const signal = stopSignalOf(context, event);
		return { type: 'generation.stopBegun', generation, signal, ...(kill === undefined ? {} : { kill }) };
	},
	notDraining: ({ event }: Args): Decision => ({
		type: 'request.refused',
		request: 'generation.stopRequested',
		reason: 'not-draining',
		generation: expectEvent(event, 'generation.stopRequested').generation,
	}),
	refused: ({ event }: Args<FactOf<Request['type']>>): Decision => ({
		type: 'request.refused',
		request: event.type,
		reason: 'stopping',
	}),
} as const;

/** The count of restarts begins again if the previous generation was healthy until this generation was up. */
export function resetOf({ context, event }: Args): { restarts?: 0 } {
	const { restarts, servingUpAt } = context;
	return restarts > 0 && isHealthy(servingUpAt, upAtOf({ context, event })) ? { restarts: 0 } : {};
}

/** When the last child of the candidate was up, in milliseconds since boot. */
export function upAtOf({ context: { bake, checks }, event }: Args): number {
	return event.type === 'generationUp' ? event.upAt : ((checks.candidate ?? bake)?.upAt ?? 0);
}

/** The number of restarts since a serving generation was last healthy, including the next restart. */
export function nextAttempt({ context }: Pick<Args, 'context'>): number {
	return context.restarts + 1;
}

/**
 * Whether the code can be restored after an upgrade or a crash. The supervisor's state does not contain a child that
 * could not be spawned, so the code of that failure is lost.
 */
function isRemembered(code: FailureCode): boolean {
	return code !== 'spawn-failed' && code !== 'environment';
}

/** Why a candidate fails, or is kept as degraded: its health check, or the end of a child. */
function whyFailed(event: SupervisorEvent): Pick<Degraded, 'reason' | 'code'> {
	if (event.type === 'check.failed') return { reason: event.reason, code: 'check-failed' };
	if (event.type === 'generation.stopRequested') return { reason: 'a stop of it was requested', code: 'stopped' };
	const { reason, code } =
		'output' in event ? outputOf<GenerationOutput>(event) : expectEvent(event, 'generationDegraded');
	return { reason, code };
}

/** Whether an event concerns the generation. */
export function isOf(generation: number | null, event: SupervisorEvent): boolean {
	if ('output' in event) return event.output.generation === generation;
	return 'generation' in event && event.generation === generation;
}

/** The stop signal of the children, without the SIG prefix. */
export function stopSignalOf({ plan }: Pick<SupervisorContext, 'plan'>, { type }: { type: string }): string {
	return plan.stop ?? (type === 'signal.INT' ? 'INT' : 'TERM');
}

/** The kill timeout of a stop, in milliseconds; 0 means no limit. */
export function killTimeoutOf({ plan }: Pick<SupervisorContext, 'plan'>, event: SupervisorEvent): number {
	return event.type === 'stop.requested' ? (event.kill ?? plan.kill) : plan.kill;
}

/** The trigger of the rotation that an event requests; null if it requests no rotation. */
export function askerOf({ type }: { type: string }): Trigger | null {
	if (type === 'signal.HUP') return 'SIGHUP';
	return type === 'rotate.requested' ? 'rotate' : null;
}
