/** What the statechart in child.ts is made of: its context, its guards and its actions. */
import { type EventObject, fromCallback, sendParent, setup } from 'xstate';
import type { Decision, FactOf, FailureCode, ReadySource, SignalReason } from '../facts/facts.ts';
import { killTimeoutFor } from '../rules/killTimeout.ts';
import {
	bootDeadline,
	isReadyByTime,
	isStoppedTooLong,
	mostWaits,
	verificationDeadline,
} from '../rules/verification.ts';
import { awaitedOf, isNoGood } from '../state/supervisorState.ts';
import { howItEnded } from '../text/sentences.ts';
import { expectEvent } from './expectEvent.ts';
import type {
	ChildEvent,
	ChildInput,
	ChildNews,
	ChildOrder,
	ChildOutput,
	ListenerCheckInput,
	ProcessCommand,
	ProcessInput,
	StopOrder,
	TimerInput,
} from './protocol.ts';

/** A child that is stopped is not looked at more often than this, in milliseconds. */
const shortestAgain = 1000;

interface StopSignal {
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

const base = setup({
	types: {
		context: {} as ChildContext,
		input: {} as ChildInput,
		output: {} as ChildOutput,
		events: {} as ChildEvent | ChildOrder,
	},
	actors: {
		process: fromCallback<ProcessCommand, ProcessInput>(() => {
			throw new Error('the process actor was not provided');
		}),
		timer: fromCallback<EventObject, TimerInput>(() => {
			throw new Error('the timer actor was not provided');
		}),
		listenerCheck: fromCallback<EventObject, ListenerCheckInput>(() => {
			throw new Error('the proof actor was not provided');
		}),
	},
	actions: {
		decide: (_, _decision: Decision) => {
			throw new Error('the decide action was not provided');
		},
	},
	guards: {
		hasAnnounced: ({ context }) => context.announced !== null,
		hasAnnouncedAndIsGated: ({ context }) => context.announced !== null && context.isGated,
		isUngated: ({ context }) => !context.isGated,
		isUnawaited: ({ context }) => context.isUnawaited,
		isGated: ({ context }) => context.isGated,
		/** Being seen to accept makes it ready. */
		isLookedFor: ({ context }) => context.plan.ready === 'accept' && !context.isHidden,
		isUnseeable: ({ context, event }) =>
			context.plan.ready === 'accept' && event.type === 'child.verified' && !event.isSeen,
		isDismissed: ({ event }) => event.type === 'leave' && event.isDismissal === true,
		leavesOthers: ({ event }) => event.type === 'child.exited' && event.survivors.length > 0,
		leavesOthersInTime: ({ context, event }) =>
			event.type === 'child.exited' && awaitedOf(event, context.plan, isNoGood(context)).length > 0,
		isWaitedFor: ({ context, event }) =>
			isReadyByTime(context.plan, context.isHidden) &&
			!isStoppedTooLong(context.plan, context.born, event.type === 'child.stopped' ? (event.clock ?? 0) : 0),
		isBootTimerBeforeGate: ({ context, event }) =>
			context.isGated &&
			isReadyByTime(context.plan, context.isHidden) &&
			event.type === 'timer.elapsed' &&
			event.timer === 'boot',
		isBootTimerThatIsEnough: ({ context, event }) =>
			isReadyByTime(context.plan, context.isHidden) && event.type === 'timer.elapsed' && event.timer === 'boot',
		movesDeadline: ({ context, event }) => {
			const { born, deadline, plan } = context;
			return event.type === 'child.delayed' && deadlineBy(context, event) > bootDeadline(plan, deadline, born ?? 0);
		},
		isBootTimer: ({ event }) => event.type === 'timer.elapsed' && event.timer === 'boot',
		/** It may live for another time now. */
		changesKillTimeout: ({ context, event }) => event.type === 'stop' && event.kill !== context.plan.kill,
		isKillTimer: ({ event }) => event.type === 'timer.elapsed' && event.timer === 'kill',
	},
});

interface Args {
	context: ChildContext;
	event: ChildEvent;
}

/** What a child decides, by what it knows and what it was told. */
export const decisions = {
	spawning: ({ context: { child, generation, index } }: { context: ChildContext }): Decision => ({
		type: 'child.spawning',
		child,
		generation,
		index,
	}),
	ready: ({ context: { child, upAt } }: { context: ChildContext }): Decision => ({
		type: 'child.ready',
		child,
		clock: upAt ?? 0,
	}),
	verifying: ({
		context: { child, announced },
		event,
	}: {
		context: ChildContext;
		event: ChildEvent | ChildOrder;
	}): Decision => ({ type: 'child.verifying', child, by: announced ?? readySourceOf(event) }),
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

type Enqueue = Parameters<Parameters<typeof base.enqueueActions>[0]>[0]['enqueue'];

export const childSetup = base.extend({
	actions: {
		keepStopped: base.assign({ since: null, deadline: null, wasStopped: true }),
		keepProcess: base.assign(({ event }) => {
			const { pid, clock = 0 } = expectEvent(event, 'child.spawned');
			return { pid, born: clock };
		}),
		keepDeadline: base.assign({
			deadline: ({ context, event }) => deadlineBy(context, expectEvent(event, 'child.delayed')),
		}),
		keepReady: base.assign({ readyAt: ({ event }) => externalOf(event).clock ?? 0 }),
		keepUp: base.assign({ upAt: ({ context }) => context.readyAt ?? 0 }),
		keepHidden: base.assign({ isHidden: true }),
		noteDismissed: base.assign({ isDismissed: true }),
		ungate: base.assign({ isGated: false }),
		keepUnverified: base.assign({
			reason: ({ context, event }) => whyUnverified(context, expectEvent(event, 'child.unverified')),
			code: 'not-accepting',
		}),
		/** It serves, and is looked at for a while: whoever operates it is told where it does not accept. */
		lookOn: base.spawnChild('listenerCheck', {
			id: 'lookout',
			input: ({ context: { child } }) => noticeCheck(child),
		}),
		reject: base.enqueueActions(({ enqueue, context, event }) => {
			const reason = whyRejected(context, externalOf(event));
			const code = codeOfRejection(event);
			enqueue.assign({ isRejected: true, status: 1, reason, code, since: null });
			signal(enqueue, context, { signal: context.plan.drain, reason: 'drain' });
		}),
		sendSignal: base.enqueueActions(({ enqueue, context, event }) => {
			const stopSignal = stopSignalIn(expectEvent(event, 'leave', 'stop'));
			enqueue.assign({ stopSignal, since: null });
			signal(enqueue, context, stopSignal);
		}),
		/** Those that it has left behind are told what it was told. */
		askOthers: base.enqueueActions(({ enqueue, context }) => signal(enqueue, context, context.stopSignal)),
		passOn: base.enqueueActions(({ enqueue, context, event }) => {
			enqueue.assign({ wasForwarded: true });
			signal(enqueue, context, { signal: expectEvent(event, 'forward').signal, reason: 'forward' });
		}),
		kill: base.enqueueActions(({ enqueue, context }) => {
			signal(enqueue, context, { signal: 'KILL', reason: 'kill' });
		}),
		killCrowded: base.enqueueActions(({ enqueue, context }) => {
			signal(enqueue, context, { signal: 'KILL', reason: 'crowd' });
		}),
		rememberSignal: base.assign(({ event }) => ({ stopSignal: stopSignalIn(expectEvent(event, 'leave', 'stop')) })),
		keepKillTimeout: base.assign(({ context, event }) => ({
			plan: { ...context.plan, kill: expectEvent(event, 'stop').kill },
			since: null,
		})),
		sendRememberedSignal: base.enqueueActions(({ enqueue, context }) => signal(enqueue, context, context.stopSignal)),
		rememberForward: base.assign(({ context, event }) => ({
			forwards: [...context.forwards, expectEvent(event, 'forward').signal],
		})),
		passOnRemembered: base.enqueueActions(({ enqueue, context }) => {
			if (context.forwards.length > 0) enqueue.assign({ wasForwarded: true });
			for (const name of context.forwards) signal(enqueue, context, { signal: name, reason: 'forward' });
		}),
		reportUp: sendParent(({ context: { child } }): ChildNews => ({ type: 'childUp', child })),
		reportUnverified: sendParent(
			({ context: { child, reason, code } }): ChildNews => ({ type: 'childUnverified', child, reason, code }),
		),
		reportRejected: sendParent(
			({ context: { child, reason, code } }): ChildNews => ({ type: 'childRejected', child, reason, code }),
		),
		keepStatus: base.assign(({ event }) => ({
			status: statusOf(externalOf(event)),
			reason: reasonOf(externalOf(event)),
			code: codeOf(externalOf(event)),
		})),
		keepEnd: base.assign({
			since: null,
			end: ({ event }) => {
				const { seq, clock = 0 } = externalOf(event);
				return { seq, at: clock };
			},
		}),
	},
});

/** Records that the child is about to be signalled, and has it signalled. */
function signal(enqueue: Enqueue, { child }: ChildContext, { signal, reason }: StopSignal) {
	enqueue({ type: 'decide', params: { type: 'child.signalled', child, signal, reason } });
	enqueue.sendTo('process', { type: 'signal', signal });
}

function stopSignalIn(order: StopOrder): StopSignal {
	return { signal: order.signal, reason: order.type === 'leave' ? order.reason : 'stop' };
}

/** What comes from outside; an order is none. @throws {Error} */
function externalOf(event: ChildEvent | ChildOrder): ChildEvent {
	if (!('seq' in event)) throw new Error(`${event.type} is no external event`);
	return event;
}

function statusOf(external: ChildEvent): number {
	return external.type === 'child.exited' ? external.status : 1;
}

function reasonOf(external: ChildEvent): string {
	if (external.type === 'child.spawnFailed') return `it could not be started: ${external.reason}`;
	if (external.type !== 'child.exited') return '';
	return `${external.pid} ${howItEnded(external)}${external.hint ? ` (${external.hint})` : ''}`;
}

function codeOf(external: ChildEvent): FailureCode {
	if (external.type === 'child.spawnFailed') return external.code ?? 'spawn-failed';
	return 'exited';
}

export function lateness({ pid, plan }: Pick<ChildContext, 'pid' | 'plan'>): string {
	return `${pid} has not said in time that it is up (-start=${plan.start})`;
}

function codeOfRejection({ type }: { type: string }): FailureCode {
	return type === 'child.unverified' ? 'not-accepting' : 'deadline';
}

function whyRejected(context: ChildContext, event: ChildEvent | ChildOrder): string {
	if (event.type === 'timer.elapsed' && event.ignored) return `${lateness(context)}; ${event.ignored}`;
	if (event.type === 'child.stopped' && isReadyByTime(context.plan, context.isHidden))
		return `${context.pid} was still stopped (SIGSTOP) after ten times its wait (-start=${context.plan.start})`;
	if (event.type !== 'child.unverified') return lateness(context);
	return `${whyUnverified(context, event)} (-start=${context.plan.start})`;
}

/** An earlier program gave the listeners alone. */
function whyUnverified({ pid }: ChildContext, { missing, reason }: FactOf<'child.unverified'>): string {
	return reason ?? `${pid} does not hold ${missing.join(', ')}`;
}

function readySourceOf(event: ChildEvent | ChildOrder): ReadySource {
	if (event.type === 'child.verified') return 'accept';
	return event.type === 'child.announced' ? event.by : 'wait';
}

/** When it has to be up after it has asked for more time: never later than some times -start after its birth. */
function deadlineBy({ born, plan }: ChildContext, { clock = 0, millis }: FactOf<'child.delayed'>): number {
	return Math.min(clock + millis, (born ?? clock) + mostWaits * plan.start);
}

/** From when its boot is counted, in milliseconds since boot; null is now. */
function bootSince({ deadline, since, born, isHidden }: ChildContext): number | null {
	return deadline !== null || isHidden ? born : since;
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
