/** What the statechart in child.ts is made of: what it is told and tells, its context, its guards and its actions. */
import { type EventObject, fromCallback, sendParent, setup } from 'xstate';
import type { Decision, FactOf, Plan, SignalReason } from './facts.ts';
import type { Phase, RosterChild } from './roster.ts';

export interface ChildInput {
	child: number;
	generation: number;
	plan: Plan;
}

/** What the process actor is started with; it answers with happenings, through the door. */
export interface ProcessInput {
	child: number;
	generation: number;
	/** The pid of a process that runs already. */
	adopted?: number;
	/** That has left, and others of its process group have not. */
	isLingering?: boolean;
}

/** What the process actor is asked to do. */
export interface ProcessCommand {
	type: 'signal';
	signal: string;
}

/** A wait of `millis`, for ever when they are null, counted from `since` (milliseconds since boot; null is now). */
export interface TimerInput {
	child: number;
	timer: 'boot' | 'kill';
	millis: number | null;
	since: number | null;
}

/** What a generation orders its children to do. */
export type ChildOrder =
	| { type: 'spawn' }
	/** Goes on with a process that runs already. */
	| { type: 'adopt'; as: RosterChild }
	| FarewellOrder
	| { type: 'forward'; signal: string };

type FarewellOrder =
	/** Obeyed once: whoever was told to leave is not told again. */
	| { type: 'leave'; signal: string; reason: 'drain' | 'stop' }
	/** Obeyed each time. */
	| { type: 'stop'; signal: string };

/** What a child tells its generation while it lives. */
export interface ChildNews {
	type: 'childUp';
	child: number;
}

/** What a child ends with. */
export interface ChildOutput {
	child: number;
	/** What a shell would call its status; null when it had been told to leave. */
	status: number | null;
}

export type ChildHappening = FactOf<
	'child.spawned' | 'child.spawnFailed' | 'child.stopped' | 'child.exited' | 'group.gone' | 'timer.elapsed'
>;

type Adoption = Extract<ChildOrder, { type: 'adopt' }>;
type Forward = Extract<ChildOrder, { type: 'forward' }>;

/** A child that is stopped is not looked at more often than this, in milliseconds. */
export const shortestAgain = 1000;

interface Farewell {
	signal: string;
	reason: SignalReason;
}

interface ChildContext extends ChildInput {
	adopted: RosterChild | null;
	/** It was found stopped when it was to be up. */
	wasStopped: boolean;
	/** How it is to be told to leave as soon as it has a pid. */
	farewell: Farewell;
	/** Signals to pass on as soon as it has a pid. */
	forwards: string[];
	/** Of a child that ended without having been told to leave. */
	status: number | null;
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
	},
	actions: {
		decide: (_, _decision: Decision) => {
			throw new Error('the decide action was not provided');
		},
	},
	guards: {
		isAdoptedIn: ({ event }, phase: Phase) => event.type === 'adopt' && event.as.phase === phase,
		isAdoptedLingeringInTime: ({ context, event }) =>
			event.type === 'adopt' && event.as.phase === 'lingering' && context.plan.kill > 0,
		leavesOthers: ({ event }) => event.type === 'child.exited' && event.left.length > 0,
		leavesOthersInTime: ({ context, event }) =>
			event.type === 'child.exited' && event.left.length > 0 && context.plan.kill > 0,
		isBootTimer: ({ event }) => event.type === 'timer.elapsed' && event.timer === 'boot',
		isKillTimer: ({ event }) => event.type === 'timer.elapsed' && event.timer === 'kill',
	},
});

/** What a child decides, by what it knows and what it was told. */
export const decisions = {
	spawning: ({ context: { child, generation } }: { context: ChildContext }): Decision => ({
		type: 'child.spawning',
		child,
		generation,
	}),
	ready: ({ context: { child } }: { context: ChildContext }): Decision => ({ type: 'child.ready', child }),
	abandoned: ({ context: { child } }: { context: ChildContext }): Decision => ({ type: 'child.abandoned', child }),
	lost: ({ context: { child }, event }: { context: ChildContext; event: ChildHappening }): Decision => ({
		type: 'child.lost',
		child,
		status: statusOf(event),
	}),
};

export const isAdopted = (phase: Phase) => ({ type: 'isAdoptedIn', params: phase }) as const;

type Enqueue = Parameters<Parameters<typeof base.enqueueActions>[0]>[0]['enqueue'];

export const childSetup = base.extend({
	actions: {
		keepStopped: base.assign({ adopted: null, wasStopped: true }),
		keepAdopted: base.assign({ adopted: ({ event }) => (event as Adoption).as }),
		obey: base.enqueueActions(({ enqueue, context, event }) => {
			signal(enqueue, context, farewellOf(event as FarewellOrder));
		}),
		passOn: base.enqueueActions(({ enqueue, context, event }) => {
			signal(enqueue, context, { signal: (event as Forward).signal, reason: 'forward' });
		}),
		kill: base.enqueueActions(({ enqueue, context }) => {
			signal(enqueue, context, { signal: 'KILL', reason: 'kill' });
		}),
		rememberFarewell: base.assign(({ event }) => ({ farewell: farewellOf(event as FarewellOrder) })),
		bidFarewell: base.enqueueActions(({ enqueue, context }) => signal(enqueue, context, context.farewell)),
		rememberForward: base.assign(({ context, event }) => ({
			forwards: [...context.forwards, (event as Forward).signal],
		})),
		passOnRemembered: base.enqueueActions(({ enqueue, context }) => {
			for (const name of context.forwards) signal(enqueue, context, { signal: name, reason: 'forward' });
		}),
		tellUp: sendParent(({ context: { child } }): ChildNews => ({ type: 'childUp', child })),
		keepStatus: base.assign({ status: ({ event }) => statusOf(event as ChildHappening) }),
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
