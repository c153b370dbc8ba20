/** One child process, from the decision to spawn it to its last breath. */
import { type EventObject, fromCallback, sendParent, setup } from 'xstate';
import type { Fact, Plan, Report, SignalReason } from './facts.ts';
import type { RosterChild } from './roster.ts';

export interface ChildInput {
	child: number;
	generation: number;
	plan: Plan;
	/** A process that runs already: it is adopted in its phase instead of spawned. */
	adopted?: RosterChild;
}

/** What the process actor is started with; it answers with facts, through the door. */
export interface ProcessInput {
	child: number;
	generation: number;
	/** The pid of a process that runs already. */
	adopted?: number;
}

/** What the process actor is told. */
export interface ProcessCommand {
	type: 'signal';
	signal: string;
	reason: SignalReason;
}

/** `deadline` is in milliseconds since 1970; null never comes. */
export interface TimerInput {
	child: number;
	timer: 'boot' | 'kill';
	deadline: number | null;
}

/** What the supervisor tells a child, with the time of the fact that led to it. */
export type ChildOrder =
	| { type: 'drain'; at: number }
	| { type: 'stop'; signal: string; at: number }
	| { type: 'forward'; signal: string };

/** What a child tells the supervisor. */
export type ChildNews =
	| { type: 'child.ready'; child: number; at: number }
	/** `status`: what the supervisor's own exit status would be if this child was the last. */
	| { type: 'child.gone'; child: number; at: number; status: number };

interface ChildContext extends ChildInput {
	pid: number | null;
	/** It was told to leave. */
	told: boolean;
	/** When the present wait ends. */
	deadline: number | null;
	/** What was asked of a child that has no pid yet. */
	pending: ChildOrder[];
}

const base = setup({
	types: {
		context: {} as ChildContext,
		input: {} as ChildInput,
		events: {} as Fact | ChildOrder,
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
		report: (_, _report: Report) => {
			throw new Error('the report action was not provided');
		},
	},
	guards: {
		isBootTimer: ({ event }) => event.type === 'timer.elapsed' && event.timer === 'boot',
		isKillTimer: ({ event }) => event.type === 'timer.elapsed' && event.timer === 'kill',
		isToldToLeave: ({ context }) => context.pending.some((order) => order.type !== 'forward'),
		isAdoptedIn: ({ context }, phase: string) => context.adopted?.phase === phase,
	},
});

type Enqueue = Parameters<Parameters<typeof base.enqueueActions>[0]>[0]['enqueue'];

export const childMachine = base
	.extend({
		actions: {
			obey: base.enqueueActions(({ enqueue, context, event }) => obey(enqueue, context.plan, event as ChildOrder)),
			postpone: base.assign({
				pending: ({ context, event }) => [...context.pending, event as ChildOrder],
			}),
			obeyPending: base.enqueueActions(({ enqueue, context }) => {
				for (const order of ordersThatCount(context.pending)) obey(enqueue, context.plan, order);
				enqueue.assign({ pending: [] });
			}),
			waitForBoot: base.assign({
				deadline: ({ context, event }) => timeOf(event) + Math.max(0, context.plan.start),
			}),
			kill: base.enqueueActions(({ enqueue, context: { pid, plan } }) => {
				const text = `${pid} is still alive ${plan.kill} ms after it was told to leave; killing it`;
				enqueue({ type: 'report', params: { level: 'warn', text } });
				enqueue.sendTo('process', { type: 'signal', signal: 'KILL', reason: 'kill' });
			}),
			rememberPid: base.assign({
				pid: ({ context, event }) => (event.type === 'child.spawned' ? event.pid : context.pid),
			}),
			tellReady: sendParent(({ context, event }) => ready(context, event)),
			tellGone: sendParent(({ context, event }) => gone(context.child, event as Fact)),
		},
	})
	.createMachine({
		id: 'child',
		context: ({ input }) => ({
			...input,
			pid: input.adopted?.pid ?? null,
			told: input.adopted?.told ?? false,
			deadline: input.adopted?.deadline ?? null,
			pending: [],
		}),
		invoke: {
			id: 'process',
			src: 'process',
			input: ({ context: { child, generation, adopted } }) =>
				adopted?.pid ? { child, generation, adopted: adopted.pid } : { child, generation },
		},
		initial: 'spawning',
		on: {
			'child.spawnFailed': { target: '.exited', actions: 'tellGone' },
			'child.exited': { target: '.exited', actions: 'tellGone' },
			forward: { actions: 'obey' },
		},
		states: {
			spawning: {
				always: [
					{ guard: { type: 'isAdoptedIn', params: 'booting' }, target: 'booting' },
					{ guard: { type: 'isAdoptedIn', params: 'serving' }, target: 'serving' },
					{ guard: { type: 'isAdoptedIn', params: 'draining' }, target: 'draining' },
					{ guard: { type: 'isAdoptedIn', params: 'killing' }, target: 'killing' },
				],
				on: {
					drain: { actions: 'postpone' },
					stop: { actions: 'postpone' },
					forward: { actions: 'postpone' },
					'child.spawned': [
						{ guard: 'isToldToLeave', target: 'draining', actions: ['rememberPid', 'obeyPending'] },
						{ target: 'booting', actions: ['rememberPid', 'waitForBoot', 'obeyPending'] },
					],
				},
			},
			booting: {
				invoke: {
					id: 'boot',
					src: 'timer',
					input: ({ context: { child, deadline } }) => ({ child, timer: 'boot', deadline }),
				},
				on: {
					'timer.elapsed': { guard: 'isBootTimer', target: 'serving' },
					drain: { target: 'draining', actions: 'obey' },
					stop: { target: 'draining', actions: 'obey' },
				},
			},
			serving: {
				entry: 'tellReady',
				on: {
					drain: { target: 'draining', actions: 'obey' },
					stop: { target: 'draining', actions: 'obey' },
				},
			},
			draining: {
				invoke: {
					id: 'kill',
					src: 'timer',
					input: ({ context: { child, deadline } }) => ({ child, timer: 'kill', deadline }),
				},
				on: {
					'timer.elapsed': { guard: 'isKillTimer', target: 'killing', actions: 'kill' },
					drain: { description: 'told once is told' },
					stop: { actions: 'obey', description: 'sent again; patience ends when it did' },
				},
			},
			killing: {
				on: {
					drain: { description: 'told once is told' },
					stop: { actions: 'obey', description: 'sent again; patience ends when it did' },
				},
			},
			exited: { type: 'final' },
		},
	});

/** Sends what the order says; patience with a child ends a while after it was first told to leave. */
function obey(enqueue: Enqueue, plan: Plan, order: ChildOrder) {
	const signal = order.type === 'drain' ? plan.drain : order.signal;
	enqueue.sendTo('process', { type: 'signal', signal, reason: order.type });
	if (order.type === 'forward') return;
	const patience = plan.kill > 0 ? order.at + plan.kill : null;
	enqueue.assign({ deadline: ({ context }) => (context.told ? context.deadline : patience), told: true });
}

/** A stop overrides a drain that was never sent. */
function ordersThatCount(orders: ChildOrder[]): ChildOrder[] {
	const isStopping = orders.some((order) => order.type === 'stop');
	return isStopping ? orders.filter((order) => order.type !== 'drain') : orders;
}

/** Of a child that was adopted while it served, the time is that of its promotion. */
function ready({ child, adopted }: ChildContext, event: Fact | ChildOrder): ChildNews {
	return { type: 'child.ready', child, at: adopted && !('seq' in event) ? adopted.since : timeOf(event) };
}

function gone(child: number, fact: Fact): ChildNews {
	const status = fact.type === 'child.exited' ? fact.status : 1;
	return { type: 'child.gone', child, at: fact.at, status };
}

function timeOf(event: Fact | ChildOrder): number {
	return 'at' in event ? event.at : 0;
}
