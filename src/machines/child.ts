/** One child process, from the decision to spawn it to its last breath. */
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
const shortestAgain = 1000;

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
const decisions = {
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

const isAdopted = (phase: Phase) => ({ type: 'isAdoptedIn', params: phase }) as const;

type Enqueue = Parameters<Parameters<typeof base.enqueueActions>[0]>[0]['enqueue'];

export const childMachine = base
	.extend({
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
	})
	.createMachine({
		id: 'child',
		description: 'One process of the server.',
		context: ({ input }) => ({
			...input,
			adopted: null,
			wasStopped: false,
			farewell: { signal: input.plan.drain, reason: 'drain' },
			forwards: [],
			status: null,
		}),
		initial: 'beginning',
		states: {
			beginning: {
				description: 'It is about to learn whether there is a process already.',
				on: {
					spawn: { target: 'alive', actions: { type: 'decide', params: decisions.spawning } },
					adopt: [
						{ guard: isAdopted('booting'), target: 'alive.staying.booting', actions: 'keepAdopted' },
						{ guard: isAdopted('serving'), target: 'alive.staying.serving', actions: 'keepAdopted' },
						{ guard: isAdopted('draining'), target: 'alive.leaving.draining', actions: 'keepAdopted' },
						{ guard: isAdopted('killing'), target: 'alive.leaving.killing', actions: 'keepAdopted' },
						{ guard: 'isAdoptedLingeringInTime', target: 'alive.leaving.lingering', actions: 'keepAdopted' },
						{ target: 'exited', actions: { type: 'decide', params: decisions.abandoned } },
					],
				},
			},
			alive: {
				description: 'It has a process, or is about to have one.',
				invoke: {
					id: 'process',
					src: 'process',
					input: ({ context: { child, generation, adopted } }) =>
						adopted?.pid
							? { child, generation, adopted: adopted.pid, isLingering: adopted.phase === 'lingering' }
							: { child, generation },
				},
				on: { forward: { actions: 'passOn' } },
				initial: 'staying',
				states: {
					staying: {
						description: 'It is wanted.',
						on: {
							leave: { target: 'leaving.draining', actions: 'obey' },
							stop: { target: 'leaving.draining', actions: 'obey' },
							'child.exited': [
								{
									guard: 'leavesOthers',
									target: '#child.exited',
									actions: [
										{ type: 'decide', params: decisions.lost },
										'keepStatus',
										{ type: 'decide', params: decisions.abandoned },
									],
								},
								{
									target: '#child.exited',
									actions: [{ type: 'decide', params: decisions.lost }, 'keepStatus'],
								},
							],
							'child.spawnFailed': {
								target: '#child.exited',
								actions: [{ type: 'decide', params: decisions.lost }, 'keepStatus'],
							},
						},
						initial: 'spawning',
						states: {
							spawning: {
								description: 'It is being spawned and has no pid yet.',
								on: {
									'child.spawned': { target: 'booting', actions: 'passOnRemembered' },
									leave: { target: '#child.alive.leaving.recalled', actions: 'rememberFarewell' },
									stop: { target: '#child.alive.leaving.recalled', actions: 'rememberFarewell' },
									forward: { actions: 'rememberForward' },
								},
							},
							booting: {
								description: 'It runs, and has not yet stayed alive for as long as -start asks.',
								invoke: {
									id: 'boot',
									src: 'timer',
									input: ({ context: { child, plan, adopted, wasStopped } }) => ({
										child,
										timer: 'boot',
										millis: Math.max(wasStopped ? shortestAgain : 0, plan.start),
										since: adopted?.clock ?? null,
									}),
								},
								on: {
									'timer.elapsed': {
										guard: 'isBootTimer',
										target: 'serving',
										actions: [{ type: 'decide', params: decisions.ready }, 'tellUp'],
									},
									'child.stopped': {
										target: 'booting',
										reenter: true,
										actions: 'keepStopped',
										description: 'waited for once more',
									},
								},
							},
							serving: { description: 'It is up.' },
						},
					},
					leaving: {
						description: 'It was told to leave.',
						on: {
							leave: { description: 'ignored: told once is told' },
							stop: { actions: 'obey', description: 'sent again; patience ends when it did' },
							'group.gone': '#child.exited',
							'child.exited': [
								{ guard: 'leavesOthersInTime', target: '.lingering' },
								{
									guard: 'leavesOthers',
									target: '#child.exited',
									actions: { type: 'decide', params: decisions.abandoned },
								},
								{ target: '#child.exited' },
							],
							'child.spawnFailed': '#child.exited',
						},
						initial: 'draining',
						states: {
							recalled: {
								description: 'It is to leave as soon as it has a pid.',
								on: {
									'child.spawned': { target: 'draining', actions: ['bidFarewell', 'passOnRemembered'] },
									stop: { actions: 'rememberFarewell', description: 'a stop overrides what was never sent' },
									forward: { actions: 'rememberForward' },
								},
							},
							draining: {
								description: 'It finishes what it has begun, for as long as -kill allows.',
								invoke: {
									id: 'kill',
									src: 'timer',
									input: ({ context: { child, plan, adopted } }) => ({
										child,
										timer: 'kill',
										millis: plan.kill > 0 ? plan.kill : null,
										since: adopted?.phase === 'draining' ? adopted.clock : null,
									}),
								},
								on: {
									'timer.elapsed': {
										guard: 'isKillTimer',
										target: 'killing',
										actions: 'kill',
									},
								},
							},
							lingering: {
								description:
									'It has left, others of its process group have not: they may take as long as -kill allows.',
								invoke: {
									id: 'kill',
									src: 'timer',
									input: ({ context: { child, plan, adopted } }) => ({
										child,
										timer: 'kill',
										millis: plan.kill,
										since: adopted?.phase === 'lingering' ? adopted.clock : null,
									}),
								},
								on: {
									'timer.elapsed': { guard: 'isKillTimer', target: 'killing', actions: 'kill' },
								},
							},
							killing: { description: 'It did not leave in time and was killed.' },
						},
					},
				},
			},
			exited: { type: 'final', description: 'It is gone.' },
		},
		output: ({ context: { child, status } }) => ({ child, status }),
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
