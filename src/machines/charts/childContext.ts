/** The context of a child's statechart, and the timers and listener checks that follow from it. */
import type { FailureCode, ReadySource, SignalReason } from '../facts/facts.ts';
import { killTimeoutFor } from '../rules/killTimeout.ts';
import { verificationDeadline } from '../rules/verification.ts';
import { isNoGood } from '../state/supervisorState.ts';
import { duration } from '../text/duration.ts';
import type { ChildInput, ListenerCheckInput, TimerInput } from './protocol.ts';

/** The shortest time, in milliseconds, until a stopped (SIGSTOP) child is looked at again. */
const shortestRecheckMs = 1000;

export interface StopSignal {
	signal: string;
	reason: SignalReason;
}

/** Related values share a field: xstate copies the context with Object.assign(), which is slow from 20 fields on. */
export interface ChildContext extends ChildInput {
	/** When the wait of its state began, in milliseconds since boot; null if it begins now. */
	since: number | null;
	recovered: {
		/** How the child reported that it is ready, if no decision followed; else null. */
		announced: ReadySource | null;
		/** Without -kill: the child's surviving processes hold no listener and are not waited for. */
		isUnawaited: boolean;
	};
	process: {
		pid: number | null;
		/** When it was spawned, in milliseconds since boot. */
		born: number | null;
	};
	/** The moved deadline for its readiness, in milliseconds since boot; null if the deadline was not moved. */
	deadline: number | null;
	/** When the child was ready, and when it was up, in milliseconds since boot; null before. */
	reached: { readyAt: number | null; upAt: number | null };
	/** The listener check is impossible. With -ready=accept, the -start wait makes the child ready instead. */
	isHidden: boolean;
	isRejected: boolean;
	/** Its generation failed. */
	isDismissed: boolean;
	/** The child was stopped (SIGSTOP) when its -start wait elapsed. */
	wasStopped: boolean;
	/** The stop signal that was sent, or that will be sent as soon as the child has a pid. */
	stopSignal: StopSignal;
	forwarding: {
		/** Signals to pass on as soon as the child has a pid. */
		pending: string[];
		wasForwarded: boolean;
	};
	loss: {
		/** The exit status of a lost child, as a shell shows it; 1 of a rejected child; else null. */
		status: number | null;
		reason: string;
		code: FailureCode;
	};
	end: { seq: number; at: number };
}

/** The context of a child that has no process yet. */
export function newContext({ child, generation, index, plan, isGated }: ChildInput): ChildContext {
	return {
		child,
		generation,
		index,
		plan,
		isGated,
		since: null,
		recovered: { announced: null, isUnawaited: false },
		process: { pid: null, born: null },
		deadline: null,
		reached: { readyAt: null, upAt: null },
		isHidden: false,
		isRejected: false,
		isDismissed: false,
		wasStopped: false,
		stopSignal: { signal: plan.drain, reason: 'drain' },
		forwarding: { pending: [], wasForwarded: false },
		loss: { status: null, reason: '', code: 'exited' },
		end: { seq: 0, at: 0 },
	};
}

/** When the boot wait began, in milliseconds since boot; null if it begins now. */
function bootSince({ deadline, since, process, isHidden, wasStopped }: ChildContext): number | null {
	if (deadline !== null || (isHidden && !wasStopped)) return process.born;
	return since;
}

/** How long the child may take to be ready, in milliseconds, counted from `bootSince`. */
function bootTime({ plan, deadline, process, wasStopped }: ChildContext): number {
	if (deadline !== null) return Math.max(0, deadline - (process.born ?? 0));
	return Math.max(wasStopped ? shortestRecheckMs : 0, plan.start);
}

/** The listener check of a booting child. It runs only with -ready=accept, and only if it is possible. */
export function readinessCheck(context: ChildContext): ListenerCheckInput {
	const { child, plan, isHidden } = context;
	const purpose = plan.ready === 'accept' && !isHidden ? 'readiness' : null;
	return { child, purpose, millis: bootTime(context), since: bootSince(context) };
}

/** The listener check that a ready child must pass before an older generation is stopped. */
export function promotionCheck(context: ChildContext): ListenerCheckInput {
	const { child, plan, deadline, isHidden } = context;
	const born = context.process.born ?? 0;
	const millis = verificationDeadline({ plan, deadline, born, isHidden }) - born;
	return { child, purpose: 'promotion', millis, since: born };
}

/** The listener check of a serving child. Its only result is a warning in the log. */
export function noticeCheck(child: number): ListenerCheckInput {
	return { child, purpose: 'notice', millis: 0, since: null };
}

/** The timer of a booting child. It never elapses if the listener check has the deadline. */
export function bootTimer(context: ChildContext): TimerInput {
	const millis = readinessCheck(context).purpose === null ? bootTime(context) : null;
	return { child: context.child, timer: 'boot', millis, since: bootSince(context) };
}

/** The timer of the kill timeout. */
export function killTimer(context: ChildContext): TimerInput {
	const millis = killTimeoutFor(context.plan, isNoGood(context));
	return { child: context.child, timer: 'kill', millis, since: context.since };
}

/** Why a child is rejected that was not ready before its deadline. */
export function lateness({ process, plan }: Pick<ChildContext, 'process' | 'plan'>): string {
	return `${process.pid} did not report ready within ${duration(plan.start)} (-start=${plan.start})`;
}
