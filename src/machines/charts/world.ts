/** The interface between the statecharts and their effects. Effects are real in the daemon, and inert in a replay. */
import {
	type ActorRefFrom,
	type AnyActorRef,
	type CallbackActorLogic,
	createActor,
	type EventObject,
	fromCallback,
	type InspectionEvent,
} from 'xstate';
import type { Decision, ExternalFact, Fact } from '../facts/facts.ts';
import { childMachine } from './child.ts';
import { generationMachine } from './generation.ts';
import type { HealthCheckInput, ListenerCheckInput, ProcessCommand, ProcessInput, TimerInput } from './protocol.ts';
import { restore } from './restore.ts';
import { upgradeMachine } from './selfUpgrade.ts';
import { supervisorMachine } from './supervisor.ts';

export interface World {
	/** Records a decision. The statecharts act on the decision afterwards. */
	decide: (decision: Decision) => void;
	process: CallbackActorLogic<ProcessCommand, ProcessInput>;
	timer: CallbackActorLogic<EventObject, TimerInput>;
	listenerCheck: CallbackActorLogic<EventObject, ListenerCheckInput>;
	healthCheck: CallbackActorLogic<EventObject, HealthCheckInput>;
	preflight: CallbackActorLogic<EventObject, void>;
	handover: CallbackActorLogic<EventObject, void>;
}

export type Supervisor = ActorRefFrom<typeof supervisorMachine>;

/** The supervisor's statechart with the effects of a world. */
export function supervisorIn({ decide, process, timer, listenerCheck, healthCheck, preflight, handover }: World) {
	const actions = { decide: (_: unknown, decision: Decision) => decide(decision) };
	const child = childMachine.provide({ actors: { process, timer, listenerCheck }, actions });
	const generation = generationMachine.provide({ actors: { child, timer }, actions });
	const upgrade = upgradeMachine.provide({ actors: { preflight, handover }, actions });
	return supervisorMachine.provide({ actors: { generation, upgrade, timer, healthCheck }, actions });
}

/**
 * A supervisor that starts, or that continues from the state of an earlier supervisor.
 * @param first `supervisor.started` or `supervisor.recovered`; the caller delivers this fact next
 * @param inspect receives the inspection events of the statecharts
 */
export function newLife(world: World, first: Fact, inspect?: (event: InspectionEvent) => void): Supervisor {
	const snapshot = first.type === 'supervisor.recovered' ? { snapshot: restore(first.state) } : {};
	return createActor(supervisorIn(world), { ...snapshot, ...(inspect ? { inspect } : {}) });
}

/** Sends an external event to the statechart that it concerns. Events for a child that has ended are dropped. */
export function deliver(supervisor: Supervisor, external: ExternalFact): void {
	if ('child' in external) sendIfThere(supervisor, `child.${external.child}`, external);
	else if ('index' in external) supervisor.getSnapshot().context.generations[external.generation]?.send(external);
	else if (isUpgradeNews(external)) sendIfThere(supervisor, 'upgrade', external);
	else supervisor.send(external);
}

function isUpgradeNews({ type }: ExternalFact): boolean {
	return type === 'upgrade.verified' || type === 'upgrade.refused' || type === 'upgrade.failed';
}

function sendIfThere({ system }: Supervisor, id: string, external: ExternalFact) {
	(system.get(id) as AnyActorRef | undefined)?.send(external);
}

/** What the statecharts order their effects to do. */
export type Command =
	| { type: 'spawn'; child: number; generation: number }
	| { type: 'adopt'; child: number; generation: number; pid: number }
	| { type: 'signal'; child: number; signal: string }
	| ({ type: 'wait' } & TimerInput)
	| { type: 'check'; child: number; purpose: NonNullable<ListenerCheckInput['purpose']> }
	| { type: 'request'; generation: number; purpose: NonNullable<HealthCheckInput['purpose']> }
	| { type: 'preflight' }
	| { type: 'handover' };

/** A world without effects. It only reports decisions and commands. */
export function inertWorld(decide: World['decide'], command: (command: Command) => void): World {
	return {
		decide,
		process: fromCallback<ProcessCommand, ProcessInput>(({ input: { child, generation, adopted }, receive }) => {
			command(adopted ? { type: 'adopt', child, generation, pid: adopted } : { type: 'spawn', child, generation });
			receive(({ signal }) => command({ type: 'signal', child, signal }));
		}),
		timer: fromCallback<EventObject, TimerInput>(({ input }) => {
			if (input.millis !== null) command({ type: 'wait', ...input });
		}),
		listenerCheck: fromCallback<EventObject, ListenerCheckInput>(({ input: { child, purpose } }) => {
			if (purpose !== null) command({ type: 'check', child, purpose });
		}),
		healthCheck: fromCallback<EventObject, HealthCheckInput>(({ input: { generation, purpose } }) => {
			if (purpose !== null) command({ type: 'request', generation, purpose });
		}),
		preflight: fromCallback<EventObject, void>(() => {
			command({ type: 'preflight' });
		}),
		handover: fromCallback<EventObject, void>(() => {
			command({ type: 'handover' });
		}),
	};
}

/** The name of the innermost state: `booting` of `{ alive: { staying: 'booting' } }`. */
export function leafOf(value: unknown): string {
	return typeof value === 'string' ? value : leafOf(Object.values(value as object)[0]);
}

/** The phase of each living child, by child number. */
export function phasesOf(supervisor: Supervisor): Record<number, string> {
	const generations = Object.values(supervisor.getSnapshot().context.generations);
	const children = generations.flatMap((ref) => Object.entries(ref.getSnapshot().context.children));
	return Object.fromEntries(children.map(([id, ref]) => [id, leafOf(ref.getSnapshot().value)]));
}

/** The state of the upgrade statechart: `idle`, `checking`, `handingOver`. */
export function upgradeStateOf(supervisor: Supervisor): string {
	const upgrade = supervisor.getSnapshot().children.upgrade as ActorRefFrom<typeof upgradeMachine> | undefined;
	return leafOf(upgrade?.getSnapshot().value ?? 'idle');
}

/** All states in one line: `rotating 1:serving 2:booting`, followed by ` upgrade:checking` during an upgrade. */
export function describeState(supervisor: Supervisor): string {
	const { value } = supervisor.getSnapshot();
	const phases = Object.entries(phasesOf(supervisor)).map(([child, phase]) => `${child}:${phase}`);
	const upgrade = upgradeStateOf(supervisor);
	return [leafOf(value), ...phases, ...(upgrade === 'idle' ? [] : [`upgrade:${upgrade}`])].join(' ');
}
