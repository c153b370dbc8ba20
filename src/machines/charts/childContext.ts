/** What the statechart of a child knows, and the timers and checks that follow from it. */
import type { FailureCode, ReadySource, SignalReason } from '../facts/facts.ts';
import { killTimeoutFor } from '../rules/killTimeout.ts';
import { verificationDeadline } from '../rules/verification.ts';
import { isNoGood } from '../state/supervisorState.ts';
import type { ChildInput, ListenerCheckInput, TimerInput } from './protocol.ts';

/** A child that is stopped is not looked at more often than this, in milliseconds. */
const shortestAgain = 1000;

export interface StopSignal {
	signal: string;
	reason: SignalReason;
}

export interface ChildContext extends ChildInput {
	/** From when the wait that it is in is counted, in milliseconds since boot; null is now. */
	since: number | null;
	/** By what it has said that it is up, where its supervisor was killed before that was decided. */
	announced: ReadySource | null;
	/** Its supervisor was started anew without -kill: those that it has left behind are not waited for any more. */
	isUnawaited: boolean;
	pid: number | null;
	/** When its process began, and until when it has to say that it is up: in milliseconds since boot. */
	born: number | null;
	deadline: number | null;
	/** When it was ready, and when it was up: in milliseconds since boot. */
	readyAt: number | null;
	upAt: number | null;
	/** Whether it accepts can't be seen: with -ready=accept the wait makes it ready then. */
	isHidden: boolean;
	isRejected: boolean;
	/** Its generation failed before it was up. */
	isDismissed: boolean;
	wasForwarded: boolean;
	/** It was found stopped when it was to be up. */
	wasStopped: boolean;
	/** How it was told to leave, or is to be as soon as it has a pid. */
	stopSignal: StopSignal;
	/** Signals to pass on as soon as it has a pid. */
	forwards: string[];
	/** Of a child that ended without having been told to leave. */
	status: number | null;
	reason: string;
	code: FailureCode;
	end: { seq: number; at: number };
}

/** What a child knows before it has a process. */
export function newContext(input: ChildInput): ChildContext {
	return {
		...input,
		since: null,
		announced: null,
		isUnawaited: false,
		pid: null,
		born: null,
		deadline: null,
		readyAt: null,
		upAt: null,
		isHidden: false,
		isRejected: false,
		isDismissed: false,
		wasForwarded: false,
		wasStopped: false,
		stopSignal: { signal: input.plan.drain, reason: 'drain' },
		forwards: [],
		status: null,
		reason: '',
		code: 'exited',
		end: { seq: 0, at: 0 },
	};
}

/** From when its boot is counted, in milliseconds since boot; null is now. */
function bootSince({ deadline, since, born, isHidden, wasStopped }: ChildContext): number | null {
	if (deadline !== null || (isHidden && !wasStopped)) return born;
	return since;
}

/** How long it may take to be up, counted from its birth, in milliseconds. */
function bootTime({ plan, deadline, born, wasStopped }: ChildContext): number {
	if (deadline !== null) return Math.max(0, deadline - (born ?? 0));
	return Math.max(wasStopped ? shortestAgain : 0, plan.start);
}

/** What is looked at while it boots: only with -ready=accept, and where something can be seen. */
export function readinessCheck(context: ChildContext): ListenerCheckInput {
	const { child, plan, isHidden } = context;
	const purpose = plan.ready === 'accept' && !isHidden ? 'readiness' : null;
	return { child, purpose, millis: bootTime(context), since: bootSince(context) };
}

/** How long a ready child is waited for until it is seen to accept. */
export function promotionCheck(context: ChildContext): ListenerCheckInput {
	const { child, plan, deadline, isHidden } = context;
	const born = context.born ?? 0;
	const millis = verificationDeadline({ plan, deadline, born, isHidden }) - born;
	return { child, purpose: 'promotion', millis, since: born };
}

/** What is looked at for a while once it serves. */
export function noticeCheck(child: number): ListenerCheckInput {
	return { child, purpose: 'notice', millis: 0, since: null };
}

/** Until when it has to be ready, where no look tells that. */
export function bootTimer(context: ChildContext): TimerInput {
	const millis = readinessCheck(context).purpose === null ? bootTime(context) : null;
	return { child: context.child, timer: 'boot', millis, since: bootSince(context) };
}

/** Until when it has to have left. */
export function killTimer(context: ChildContext): TimerInput {
	const millis = killTimeoutFor(context.plan, isNoGood(context));
	return { child: context.child, timer: 'kill', millis, since: context.since };
}

/** Why a child is rejected that was not ready in time. */
export function lateness({ pid, plan }: Pick<ChildContext, 'pid' | 'plan'>): string {
	return `${pid} has not said in time that it is up (-start=${plan.start})`;
}
