/** The decisions of a child's statechart, and the sentences for their reasons. */
import type { Decision, FactOf, FailureCode, ReadySource } from '../facts/facts.ts';
import { isReadyByTime, mostWaits } from '../rules/verification.ts';
import { howItEnded } from '../text/sentences.ts';
import { type ChildContext, lateness } from './childContext.ts';
import { expectEvent } from './expectEvent.ts';
import type { ChildEvent, ChildOrder } from './protocol.ts';

interface Args {
	context: ChildContext;
	event: ChildEvent;
}

export const decisions = {
	spawning: ({ context: { child, generation, index } }: { context: ChildContext }): Decision => ({
		type: 'child.spawning',
		child,
		generation,
		index,
	}),
	ready: ({ context: { child, reached } }: { context: ChildContext }): Decision => ({
		type: 'child.ready',
		child,
		clock: reached.upAt ?? 0,
	}),
	verifying: ({
		context: { child, recovered, reached },
		event,
	}: {
		context: ChildContext;
		event: ChildEvent | ChildOrder;
	}): Decision => ({
		type: 'child.verifying',
		child,
		by: recovered.announced ?? readySourceOf(event),
		...(reached.readyAt === null ? {} : { clock: reached.readyAt }),
	}),
	rejected: ({ context, event }: Args): Decision => ({
		type: 'child.rejected',
		child: context.child,
		reason: whyRejected(context, event),
		code: codeOfRejection(event),
	}),
	moved: ({ context, event }: Args): Decision => ({
		type: 'deadline.moved',
		child: context.child,
		deadline: deadlineBy(context, expectEvent(event, 'child.delayed')),
	}),
	abandoned: ({ context: { child } }: { context: ChildContext }): Decision => ({ type: 'child.abandoned', child }),
	lost: ({ context: { child }, event }: Args): Decision => ({
		type: 'child.lost',
		child,
		status: statusOf(event),
	}),
};

/** Narrows an event to an external event. @throws {Error} if it is an order of the generation */
export function externalOf(event: ChildEvent | ChildOrder): ChildEvent {
	if (!('seq' in event)) throw new Error(`${event.type} is no external event`);
	return event;
}

export function statusOf(external: ChildEvent): number {
	return external.type === 'child.exited' ? external.status : 1;
}

export function reasonOf(external: ChildEvent): string {
	if (external.type === 'child.spawnFailed') return `it could not be started: ${external.reason}`;
	if (external.type !== 'child.exited') return '';
	return `${external.pid} ${howItEnded(external)}${external.hint ? ` (${external.hint})` : ''}`;
}

export function codeOf(external: ChildEvent): FailureCode {
	if (external.type === 'child.spawnFailed') return external.code ?? 'spawn-failed';
	return 'exited';
}

export function codeOfRejection({ type }: { type: string }): FailureCode {
	return type === 'child.unverified' ? 'not-accepting' : 'deadline';
}

export function whyRejected(context: ChildContext, event: ChildEvent | ChildOrder): string {
	if (event.type === 'timer.elapsed' && event.ignored) return `${lateness(context)}; ${event.ignored}`;
	if (event.type === 'child.stopped' && isReadyByTime(context.plan, context.isHidden))
		return `${context.process.pid} was still stopped (SIGSTOP) after ten times its wait (-start=${context.plan.start})`;
	if (event.type !== 'child.unverified') return lateness(context);
	return `${whyUnverified(context, event)} (-start=${context.plan.start})`;
}

/** An earlier program version recorded only the missing listeners, without a reason. */
export function whyUnverified({ process }: ChildContext, { missing, reason }: FactOf<'child.unverified'>): string {
	return reason ?? `${process.pid} does not hold ${missing.join(', ')}`;
}

function readySourceOf(event: ChildEvent | ChildOrder): ReadySource {
	if (event.type === 'child.verified') return 'accept';
	return event.type === 'child.announced' ? event.by : 'wait';
}

/**
 * The deadline after the child's request for more time, in milliseconds since boot: at most `mostWaits` times -start
 * after its spawn.
 */
export function deadlineBy({ process, plan }: ChildContext, { clock = 0, millis }: FactOf<'child.delayed'>): number {
	return Math.min(clock + millis, (process.born ?? clock) + mostWaits * plan.start);
}
