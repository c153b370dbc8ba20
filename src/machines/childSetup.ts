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
import type { Decision, FactOf, SignalReason, Word } from './facts.ts';
import type { Phase, RosterChild } from './roster.ts';
import { howItEnded } from './sentences.ts';

type Adoption = Extract<ChildOrder, { type: 'adopt' }>;
type Forward = Extract<ChildOrder, { type: 'forward' }>;

/** A child that is stopped is not looked at more often than this, in milliseconds. */
const shortestAgain = 1000;

/** By how many times -start a child may move its deadline in all. */
const mostWaits = 10;

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
	upAt: number | null;
	isRejected: boolean;
	wasForwarded: boolean;
	/** It was found stopped when it was to be up. */
	wasStopped: boolean;
	/** How it is to be told to leave as soon as it has a pid. */
	farewell: Farewell;
	/** Signals to pass on as soon as it has a pid. */
	forwards: string[];
	/** Of a child that ended without having been told to leave. */
	status: number | null;
	reason: string;
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
		isAdoptedAnnounced: ({ event }) =>
			event.type === 'adopt' && event.as.phase === 'booting' && event.as.ready !== null,
		isAdoptedLingeringInTime: ({ context, event }) =>
			event.type === 'adopt' && event.as.phase === 'lingering' && context.plan.kill > 0,
		leavesOthers: ({ event }) => event.type === 'child.exited' && event.left.length > 0,
		leavesOthersInTime: ({ context, event }) =>
			event.type === 'child.exited' && event.left.length > 0 && context.plan.kill > 0,
		isWaitedFor: ({ context }) => context.plan.ready === 'wait',
		isBootTimerThatProves: ({ context, event }) =>
			context.plan.ready === 'wait' && event.type === 'timer.elapsed' && event.timer === 'boot',
		movesDeadline: ({ context, event }) => {
			const { born, deadline, plan } = context;
			return event.type === 'child.delayed' && deadlineBy(context, event) > (deadline ?? (born ?? 0) + plan.start);
		},
		isBootTimer: ({ event }) => event.type === 'timer.elapsed' && event.timer === 'boot',
		/** It may live for another time now. */
		changesPatience: ({ context, event }) => event.type === 'stop' && event.kill !== context.plan.kill,
		isKillTimer: ({ event }) => event.type === 'timer.elapsed' && event.timer === 'kill',
	},
});

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
	ready: ({ context: { child } }: { context: ChildContext }): Decision => ({ type: 'child.ready', child }),
	proving: ({
		context: { child },
		event,
	}: {
		context: ChildContext;
		event: ChildHappening | ChildOrder;
	}): Decision => ({ type: 'child.proving', child, by: wordOf(event as ChildHappening | Adoption) }),
	rejected: ({ context }: { context: ChildContext }): Decision => ({
		type: 'child.rejected',
		child: context.child,
		reason: lateness(context),
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
			const { pid, clock, deadline, isRejected, wasForwarded } = as;
			const status = isRejected ? 1 : null;
			const born = as.phase === 'booting' ? clock : null;
			const upAt = as.phase === 'serving' ? clock : null;
			const reason = isRejected ? lateness({ ...context, pid }) : '';
			return { adopted: as, pid, born, deadline, upAt, isRejected, wasForwarded, status, reason };
		}),
		keepProcess: base.assign(({ event }) => {
			const { pid, clock = 0 } = event as FactOf<'child.spawned'>;
			return { pid, born: clock };
		}),
		keepDeadline: base.assign({
			deadline: ({ context, event }) => deadlineBy(context, event as FactOf<'child.delayed'>),
		}),
		keepUp: base.assign({ upAt: ({ event }) => (event as ChildHappening).clock ?? 0 }),
		keepDoubt: base.assign({
			upAt: ({ event }) => (event as ChildHappening).clock ?? 0,
			reason: ({ context, event }) => {
				const { missing } = event as FactOf<'child.unproved'>;
				return `${context.pid} does not hold ${missing.join(', ')}`;
			},
		}),
		reject: base.enqueueActions(({ enqueue, context }) => {
			enqueue.assign({ isRejected: true, status: 1, reason: lateness(context) });
			signal(enqueue, context, { signal: context.plan.drain, reason: 'drain' });
		}),
		obey: base.enqueueActions(({ enqueue, context, event }) => {
			signal(enqueue, context, farewellOf(event as FarewellOrder));
		}),
		passOn: base.enqueueActions(({ enqueue, context, event }) => {
			enqueue.assign({ wasForwarded: true });
			signal(enqueue, context, { signal: (event as Forward).signal, reason: 'forward' });
		}),
		kill: base.enqueueActions(({ enqueue, context }) => {
			signal(enqueue, context, { signal: 'KILL', reason: 'kill' });
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
		tellDoubted: sendParent(({ context: { child, reason } }): ChildNews => ({ type: 'childDoubted', child, reason })),
		tellRejected: sendParent(({ context: { child, reason } }): ChildNews => ({ type: 'childRejected', child, reason })),
		keepStatus: base.assign(({ event }) => ({
			status: statusOf(event as ChildHappening),
			reason: reasonOf(event as ChildHappening),
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
	return happening.type === 'child.exited' ? `${happening.pid} ${howItEnded(happening)}` : '';
}

function lateness({ pid, plan }: Pick<ChildContext, 'pid' | 'plan'>): string {
	return `${pid} has not said in time that it is up (-start=${plan.start})`;
}

function wordOf(event: ChildHappening | Adoption): Word {
	if (event.type === 'adopt') return event.as.ready ?? 'wait';
	return event.type === 'child.announced' ? event.by : 'wait';
}

/** When it has to be up after it has asked for more time: never later than some times -start after its birth. */
function deadlineBy({ born, plan }: ChildContext, { clock = 0, millis }: FactOf<'child.delayed'>): number {
	return Math.min(clock + millis, (born ?? clock) + mostWaits * plan.start);
}

/** How long it may take to be up, counted from its birth, in milliseconds. */
export function bootTime({ plan, deadline, born, wasStopped }: ChildContext): number {
	if (deadline !== null) return Math.max(0, deadline - (born ?? 0));
	return Math.max(wasStopped ? shortestAgain : 0, plan.start);
}
