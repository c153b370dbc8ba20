/** What the statechart in child.ts is made of: its context, its guards and its actions. */
import { type EventObject, fromCallback, sendParent, setup } from 'xstate';
import type {
	ChildHappening,
	ChildInput,
	ChildNews,
	ChildOrder,
	ChildOutput,
	FarewellOrder,
	ProcessCommand,
	ProcessInput,
	ProofInput,
	TimerInput,
} from './childMessages.ts';
import type { Decision, FactOf, FailureCode, SignalReason, Word } from './facts.ts';
import { awaitedOf, isNoGood, type Phase, type RosterChild } from './roster.ts';
import { howItEnded } from './sentences.ts';
import { bootDeadline, isReadyByTime, isStoppedTooLong, mostWaits, verificationDeadline } from './verification.ts';

type Adoption = Extract<ChildOrder, { type: 'adopt' }>;
type Forward = Extract<ChildOrder, { type: 'forward' }>;

/** A child that is stopped is not looked at more often than this, in milliseconds. */
const shortestAgain = 1000;

interface Farewell {
	signal: string;
	reason: SignalReason;
}

interface ChildContext extends ChildInput {
	adopted: RosterChild | null;
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
	/** Its generation was given up before it was up. */
	isDismissed: boolean;
	wasForwarded: boolean;
	/** It was found stopped when it was to be up. */
	wasStopped: boolean;
	/** How it was told to leave, or is to be as soon as it has a pid. */
	farewell: Farewell;
	/** Signals to pass on as soon as it has a pid. */
	forwards: string[];
	/** Of a child that ended without having been told to leave. */
	status: number | null;
	reason: string;
	code: FailureCode;
	end: { seq: number; at: number };
}

const base = setup({
	types: {
		context: {} as ChildContext,
		input: {} as ChildInput,
		output: {} as ChildOutput,
		events: {} as ChildHappening | ChildOrder,
	},
	actors: {
		process: fromCallback<ProcessCommand, ProcessInput>(() => {
			throw new Error('the process actor was not provided');
		}),
		timer: fromCallback<EventObject, TimerInput>(() => {
			throw new Error('the timer actor was not provided');
		}),
		proof: fromCallback<EventObject, ProofInput>(() => {
			throw new Error('the proof actor was not provided');
		}),
	},
	actions: {
		decide: (_, _decision: Decision) => {
			throw new Error('the decide action was not provided');
		},
	},
	guards: {
		isAdoptedIn: ({ event }, phase: Phase) => event.type === 'adopt' && event.as.phase === phase,
		isAdoptedUnlooked: ({ context, event }) =>
			event.type === 'adopt' &&
			event.as.phase === 'serving' &&
			event.as.isSeen === null &&
			event.as.unseen === null &&
			context.plan.verify !== 'none',
		isAdoptedReady: ({ event }) => wasReady(event),
		isAdoptedReadyAndGated: ({ context, event }) => context.isGated && wasReady(event),
		isGated: ({ context }) => context.isGated,
		/** Being seen to accept makes it ready. */
		isLookedFor: ({ context }) => context.plan.ready === 'accept' && !context.isHidden,
		isUnseeable: ({ context, event }) =>
			context.plan.ready === 'accept' && event.type === 'child.proved' && !event.isSeen,
		isAdoptedLingeringInTime: ({ context, event }) =>
			event.type === 'adopt' && event.as.phase === 'lingering' && (context.plan.kill > 0 || event.as.left.length > 0),
		isDismissed: ({ event }) => event.type === 'leave' && event.isDismissal === true,
		leavesOthers: ({ event }) => event.type === 'child.exited' && event.left.length > 0,
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
		changesPatience: ({ context, event }) => event.type === 'stop' && event.kill !== context.plan.kill,
		isKillTimer: ({ event }) => event.type === 'timer.elapsed' && event.timer === 'kill',
	},
});

/** An adopted one that had said that it is up, or was being verified. */
function wasReady(event: ChildHappening | ChildOrder): boolean {
	if (event.type !== 'adopt') return false;
	const { phase, ready } = event.as;
	return phase === 'proving' || (phase === 'booting' && ready !== null);
}

interface Args {
	context: ChildContext;
	event: ChildHappening;
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
	proving: ({
		context: { child },
		event,
	}: {
		context: ChildContext;
		event: ChildHappening | ChildOrder;
	}): Decision => ({ type: 'child.proving', child, by: wordOf(event as ChildHappening | Adoption) }),
	rejected: ({ context, event }: Args): Decision => ({
		type: 'child.rejected',
		child: context.child,
		reason: whyRejected(context, event),
		code: codeOfRejection(event),
	}),
	moved: ({ context, event }: Args): Decision => ({
		type: 'deadline.moved',
		child: context.child,
		deadline: deadlineBy(context, event as FactOf<'child.delayed'>),
	}),
	abandoned: ({ context: { child } }: { context: ChildContext }): Decision => ({ type: 'child.abandoned', child }),
	lost: ({ context: { child }, event }: Args): Decision => ({
		type: 'child.lost',
		child,
		status: statusOf(event),
	}),
};

export const isAdopted = (phase: Phase) => ({ type: 'isAdoptedIn', params: phase }) as const;

type Enqueue = Parameters<Parameters<typeof base.enqueueActions>[0]>[0]['enqueue'];

export const childSetup = base.extend({
	actions: {
		keepStopped: base.assign({ adopted: null, deadline: null, wasStopped: true }),
		keepAdopted: base.assign(({ context, event }) => {
			const { as } = event as Adoption;
			const { pid, clock, deadline, isRejected, isDismissed, wasForwarded } = as;
			const status = isRejected ? 1 : null;
			const born = as.phase === 'booting' || as.phase === 'proving' ? (as.born ?? clock) : null;
			const upAt = as.phase === 'serving' ? clock : null;
			const reason = isRejected ? (as.rejection?.reason ?? lateness({ ...context, pid })) : '';
			const isHidden = as.isSeen === false;
			const code = as.rejection?.code ?? 'deadline';
			return {
				adopted: as,
				pid,
				born,
				deadline,
				readyAt: born,
				upAt,
				isHidden,
				isRejected,
				isDismissed,
				wasForwarded,
				status,
				reason,
				code,
			};
		}),
		keepProcess: base.assign(({ event }) => {
			const { pid, clock = 0 } = event as FactOf<'child.spawned'>;
			return { pid, born: clock };
		}),
		keepDeadline: base.assign({
			deadline: ({ context, event }) => deadlineBy(context, event as FactOf<'child.delayed'>),
		}),
		keepReady: base.assign({ readyAt: ({ event }) => (event as ChildHappening).clock ?? 0 }),
		keepUp: base.assign({ upAt: ({ context }) => context.readyAt ?? 0 }),
		keepHidden: base.assign({ isHidden: true }),
		noteDismissed: base.assign({ isDismissed: true }),
		ungate: base.assign({ isGated: false }),
		keepDoubt: base.assign({
			reason: ({ context, event }) => whyUnverified(context, event as FactOf<'child.unproved'>),
			code: 'not-accepting',
		}),
		/** It serves, and is looked at for a while: whoever operates it is told where it does not accept. */
		lookOn: base.spawnChild('proof', {
			id: 'lookout',
			input: ({ context: { child } }) => ({ child, purpose: 'notice', millis: 0, since: null }),
		}),
		reject: base.enqueueActions(({ enqueue, context, event }) => {
			const reason = whyRejected(context, event as ChildHappening);
			const code = codeOfRejection(event);
			enqueue.assign({ isRejected: true, status: 1, reason, code });
			signal(enqueue, context, { signal: context.plan.drain, reason: 'drain' });
		}),
		obey: base.enqueueActions(({ enqueue, context, event }) => {
			const farewell = farewellOf(event as FarewellOrder);
			enqueue.assign({ farewell });
			signal(enqueue, context, farewell);
		}),
		/** Those that it has left behind are told what it was told. */
		askOthers: base.enqueueActions(({ enqueue, context }) => signal(enqueue, context, context.farewell)),
		passOn: base.enqueueActions(({ enqueue, context, event }) => {
			enqueue.assign({ wasForwarded: true });
			signal(enqueue, context, { signal: (event as Forward).signal, reason: 'forward' });
		}),
		kill: base.enqueueActions(({ enqueue, context }) => {
			signal(enqueue, context, { signal: 'KILL', reason: 'kill' });
		}),
		killCrowded: base.enqueueActions(({ enqueue, context }) => {
			signal(enqueue, context, { signal: 'KILL', reason: 'crowd' });
		}),
		rememberFarewell: base.assign(({ event }) => ({ farewell: farewellOf(event as FarewellOrder) })),
		keepPatience: base.assign(({ context, event }) => ({
			plan: { ...context.plan, kill: (event as Extract<FarewellOrder, { type: 'stop' }>).kill },
			adopted: null,
		})),
		bidFarewell: base.enqueueActions(({ enqueue, context }) => signal(enqueue, context, context.farewell)),
		rememberForward: base.assign(({ context, event }) => ({
			forwards: [...context.forwards, (event as Forward).signal],
		})),
		passOnRemembered: base.enqueueActions(({ enqueue, context }) => {
			if (context.forwards.length > 0) enqueue.assign({ wasForwarded: true });
			for (const name of context.forwards) signal(enqueue, context, { signal: name, reason: 'forward' });
		}),
		tellUp: sendParent(({ context: { child } }): ChildNews => ({ type: 'childUp', child })),
		tellDoubted: sendParent(
			({ context: { child, reason, code } }): ChildNews => ({ type: 'childDoubted', child, reason, code }),
		),
		tellRejected: sendParent(
			({ context: { child, reason, code } }): ChildNews => ({ type: 'childRejected', child, reason, code }),
		),
		keepStatus: base.assign(({ event }) => ({
			status: statusOf(event as ChildHappening),
			reason: reasonOf(event as ChildHappening),
			code: codeOf(event as ChildHappening),
		})),
		keepEnd: base.assign({
			end: ({ event }) => ({ seq: (event as ChildHappening).seq, at: (event as ChildHappening).clock ?? 0 }),
		}),
	},
});

/** Records that the child is about to be signalled, and has it signalled. */
function signal(enqueue: Enqueue, { child }: ChildContext, { signal, reason }: Farewell) {
	enqueue({ type: 'decide', params: { type: 'child.signalled', child, signal, reason } });
	enqueue.sendTo('process', { type: 'signal', signal });
}

function farewellOf(order: FarewellOrder): Farewell {
	return { signal: order.signal, reason: order.type === 'leave' ? order.reason : 'stop' };
}

function statusOf(happening: ChildHappening): number {
	return happening.type === 'child.exited' ? happening.status : 1;
}

function reasonOf(happening: ChildHappening): string {
	if (happening.type === 'child.spawnFailed') return `it could not be started: ${happening.reason}`;
	if (happening.type !== 'child.exited') return '';
	return `${happening.pid} ${howItEnded(happening)}${happening.hint ? ` (${happening.hint})` : ''}`;
}

function codeOf(happening: ChildHappening): FailureCode {
	if (happening.type === 'child.spawnFailed') return happening.code ?? 'spawn-failed';
	return 'exited';
}

function lateness({ pid, plan }: Pick<ChildContext, 'pid' | 'plan'>): string {
	return `${pid} has not said in time that it is up (-start=${plan.start})`;
}

function codeOfRejection({ type }: { type: string }): FailureCode {
	return type === 'child.unproved' ? 'not-accepting' : 'deadline';
}

function whyRejected(context: ChildContext, event: ChildHappening | ChildOrder): string {
	if (event.type === 'timer.elapsed' && event.ignored) return `${lateness(context)}; ${event.ignored}`;
	if (event.type === 'child.stopped' && isReadyByTime(context.plan, context.isHidden))
		return `${context.pid} was still stopped (SIGSTOP) after ten times its wait (-start=${context.plan.start})`;
	if (event.type !== 'child.unproved') return lateness(context);
	return `${whyUnverified(context, event)} (-start=${context.plan.start})`;
}

/** An earlier program gave the listeners alone. */
function whyUnverified({ pid }: ChildContext, { missing, reason }: FactOf<'child.unproved'>): string {
	return reason ?? `${pid} does not hold ${missing.join(', ')}`;
}

function wordOf(event: ChildHappening | Adoption): Word {
	if (event.type === 'adopt') return event.as.ready ?? 'wait';
	if (event.type === 'child.proved') return 'accept';
	return event.type === 'child.announced' ? event.by : 'wait';
}

/** When it has to be up after it has asked for more time: never later than some times -start after its birth. */
function deadlineBy({ born, plan }: ChildContext, { clock = 0, millis }: FactOf<'child.delayed'>): number {
	return Math.min(clock + millis, (born ?? clock) + mostWaits * plan.start);
}

/** From when its boot is counted, in milliseconds since boot; null is now. */
export function bootSince({ deadline, adopted, born, isHidden }: ChildContext): number | null {
	return deadline !== null || isHidden ? born : (adopted?.clock ?? null);
}

/** How long it may take to be up, counted from its birth, in milliseconds. */
export function bootTime({ plan, deadline, born, wasStopped }: ChildContext): number {
	if (deadline !== null) return Math.max(0, deadline - (born ?? 0));
	return Math.max(wasStopped ? shortestAgain : 0, plan.start);
}

/** What is looked at while it boots: only with -ready=accept, and where something can be seen. */
export function readinessLook(context: ChildContext): ProofInput {
	const { child, plan, isHidden } = context;
	const purpose = plan.ready === 'accept' && !isHidden ? 'readiness' : null;
	return { child, purpose, millis: bootTime(context), since: bootSince(context) };
}

/** How long a ready child is waited for until it is seen to accept. */
export function promotionLook(context: ChildContext): ProofInput {
	const { child, plan, deadline, isHidden } = context;
	const born = context.born ?? 0;
	const millis = verificationDeadline({ plan, deadline, born, isHidden }) - born;
	return { child, purpose: 'promotion', millis, since: born };
}
