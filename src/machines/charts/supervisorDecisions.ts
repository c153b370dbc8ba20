/** What the statechart of the supervisor decides. */
import type { Decision, FactOf, FailureCode, Request, Trigger } from '../facts/facts.ts';
import { isHealthy, restartWait } from '../rules/respawn.ts';
import { expectEvent, outputOf } from './expectEvent.ts';
import type { GenerationOutput } from './protocol.ts';
import type { Degraded, SupervisorContext, SupervisorEvent } from './supervisorContext.ts';

interface Args<E = SupervisorEvent> {
	context: SupervisorContext;
	event: E;
}

/** What the supervisor decides, by what it knows and what it was told. */
export const decisions = {
	keptInstead: ({ context, event }: Args): Decision => ({
		type: 'generation.degraded',
		generation: context.candidate ?? 0,
		replaced: [context.serving],
		reason: expectEvent(event, 'generationDegraded').reason,
		code: expectEvent(event, 'generationDegraded').code,
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
	/** One that was kept as nobody else served has become whole. */
	madeWhole: ({ context }: Args): Decision => ({
		type: 'generation.promoted',
		generation: context.serving,
		replaced: [],
	}),
	failed: ({ context: { candidate, serving, isServed, generations }, event }: Args): Decision => ({
		type: 'generation.failed',
		generation: candidate ?? 0,
		serving: serving in generations && isServed ? serving : null,
		...whyOf('output' in event ? outputOf<GenerationOutput>(event) : expectEvent(event, 'generationDegraded')),
	}),
	/** It was the last, and never served as a whole. */
	neverServed: ({ context, event }: Args): Decision => {
		const { generation, reason, code } = outputOf<GenerationOutput>(event);
		// Why one was kept that lived on was said then.
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
		reason: expectEvent(event, 'generationDegraded').reason,
		code: expectEvent(event, 'generationDegraded').code,
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
	refused: ({ event }: Args<FactOf<Request['type']>>): Decision => ({
		type: 'request.refused',
		request: event.type,
		reason: 'stopping',
	}),
} as const;

/** The restarts are counted anew if the generation before was healthy until this one came up. */
export function resetOf({ context: { restarts, servingUpAt }, event }: Args): { restarts?: 0 } {
	const { upAt } = expectEvent(event, 'generationUp');
	return restarts > 0 && isHealthy(servingUpAt, upAt) ? { restarts: 0 } : {};
}

/** How often another generation was started, this time included, since one served for long. */
export function nextAttempt({ context }: Pick<Args, 'context'>): number {
	return context.restarts + 1;
}

/** Of one that could not be started nobody is left who would tell why, after an upgrade or a crash. */
function isRemembered(code: FailureCode): boolean {
	return code !== 'spawn-failed' && code !== 'environment';
}

function whyOf({ reason, code }: Pick<Degraded, 'reason' | 'code'>): Pick<Degraded, 'reason' | 'code'> {
	return { reason, code };
}

/** Whether an event is about that generation. */
export function isOf(generation: number | null, event: SupervisorEvent): boolean {
	if ('output' in event) return event.output.generation === generation;
	return 'generation' in event && event.generation === generation;
}

/** What children are stopped by. */
export function stopSignalOf({ plan }: Pick<SupervisorContext, 'plan'>, { type }: { type: string }): string {
	return plan.stop ?? (type === 'signal.INT' ? 'INT' : 'TERM');
}

/** How long children may live after they were told to stop, in milliseconds. */
export function killTimeoutOf({ plan }: Pick<SupervisorContext, 'plan'>, event: SupervisorEvent): number {
	return event.type === 'stop.requested' ? (event.kill ?? plan.kill) : plan.kill;
}

/** Who asks for a rotation by this event; null where nobody does. */
export function askerOf({ type }: { type: string }): Trigger | null {
	if (type === 'signal.HUP') return 'SIGHUP';
	return type === 'rotate.requested' ? 'rotate' : null;
}
