/** The seam between the statecharts and the world, which is real in the daemon and inert in a replay. */
import {
	type ActorRefFrom,
	type CallbackActorLogic,
	type EventObject,
	fromCallback,
	fromEventObservable,
	type Subscribable,
} from 'xstate';
import { childMachine, type ProcessCommand, type ProcessInput, type TimerInput } from './child.ts';
import type { Fact, Report, SignalReason } from './facts.ts';
import { supervisorMachine } from './supervisor.ts';
import { upgradeMachine } from './upgrade.ts';

export interface World {
	facts: Subscribable<Fact>;
	process: CallbackActorLogic<ProcessCommand, ProcessInput>;
	timer: CallbackActorLogic<EventObject, TimerInput>;
	preflight: CallbackActorLogic<EventObject, void>;
	handover: CallbackActorLogic<EventObject, void>;
	report: (report: Report) => void;
}

/** The supervisor's statechart in a world. */
export function supervisorIn({ facts, process, timer, preflight, handover, report }: World) {
	const actions = { report: (_: unknown, params: Report) => report(params) };
	const child = childMachine.provide({ actors: { process, timer }, actions });
	const upgrade = upgradeMachine.provide({ actors: { preflight, handover }, actions });
	return supervisorMachine.provide({ actors: { facts: fromEventObservable(() => facts), child, upgrade }, actions });
}

/** What the statecharts decided to have done. */
export type Command =
	| { type: 'spawn'; child: number; generation: number }
	| { type: 'adopt'; child: number; generation: number; pid: number }
	| { type: 'signal'; child: number; signal: string; reason: SignalReason }
	| { type: 'wait'; child: number; timer: 'boot' | 'kill'; until: number }
	| { type: 'preflight' }
	| { type: 'handover' }
	| { type: 'report'; level: Report['level']; text: string };

/** A world where nothing happens: what is decided is told, and no fact comes of it. */
export function inertWorld(facts: Subscribable<Fact>, decided: (command: Command) => void): World {
	return {
		facts,
		process: fromCallback<ProcessCommand, ProcessInput>(({ input: { child, generation, adopted }, receive }) => {
			decided(adopted ? { type: 'adopt', child, generation, pid: adopted } : { type: 'spawn', child, generation });
			receive(({ signal, reason }) => decided({ type: 'signal', child, signal, reason }));
		}),
		timer: fromCallback<EventObject, TimerInput>(({ input: { child, timer, deadline } }) => {
			if (deadline !== null) decided({ type: 'wait', child, timer, until: deadline });
		}),
		preflight: fromCallback<EventObject, void>(() => {
			decided({ type: 'preflight' });
		}),
		handover: fromCallback<EventObject, void>(() => {
			decided({ type: 'handover' });
		}),
		report: (report) => decided({ type: 'report', ...report }),
	};
}

/** The whole state of a supervisor in one line: `rotating 1:serving 2:booting`, and ` upgrade:checking` where so. */
export function describeState(supervisor: ActorRefFrom<typeof supervisorMachine>): string {
	const { value, context, children } = supervisor.getSnapshot();
	const members = Object.entries(context.members).map(([id, { ref }]) => `${id}:${ref.getSnapshot().value}`);
	const upgrade = children.upgrade?.getSnapshot().value ?? 'idle';
	return [value, ...members, ...(upgrade === 'idle' ? [] : [`upgrade:${upgrade}`])].join(' ');
}
