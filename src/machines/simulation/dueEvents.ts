/** The events that come by themselves in a simulation: timers that elapse, and what a sound program does at once. */
import type { ExternalEvent } from '../facts/facts.ts';
import { killTimeoutFor } from '../rules/killTimeout.ts';
import { verificationDeadline } from '../rules/verification.ts';
import {
	type ChildState,
	isBaking,
	isChecked,
	isNoGood,
	killPlanOf,
	type SupervisorState,
} from '../state/supervisorState.ts';
import { endOf, simulatedPid } from './nextEvents.ts';

export interface DueEvent {
	/** In milliseconds since 1970. */
	at: number;
	/** In a few words: `-start of 101 elapses`. */
	what: string;
	external: ExternalEvent;
	/** A timer of the supervisor, as opposed to what a program does by itself. */
	isTimer: boolean;
}

/** How long a simulated program takes for what it does by itself, in milliseconds. */
const swift = 5;

interface World {
	/** The simulated time, in milliseconds since 1970. */
	now: number;
	/** The state of the upgrade statechart. */
	upgrade: string;
	/** Children of a killed supervisor, whose exit status nobody receives. */
	nonChildren: ReadonlySet<number>;
	/** Children that shall not accept. */
	mute: ReadonlySet<number>;
}

/** All events that are due, the earliest first. Without any other event they follow in this order. */
export function dueEvents(state: SupervisorState, world: World): DueEvent[] {
	const { now, upgrade } = world;
	const soon = (what: string, external: ExternalEvent): DueEvent => ({
		at: now + swift,
		what,
		external,
		isTimer: false,
	});
	const events = [
		...state.children.flatMap((child) => eventsOf(child, state, world)),
		...state.respawns
			.filter(({ isDue }) => !isDue)
			.map(({ generation, index, at, millis }) => ({
				at: at + millis,
				what: `restart of worker ${index}`,
				external: { type: 'respawn.due', generation, index } as const,
				isTimer: true,
			})),
		...(isBaking(state) && state.bake
			? [timer(state.bake.at + state.bake.millis, 'end of the bake', { type: 'bake.due' })]
			: []),
		...(state.restart === null
			? []
			: [timer(state.restart.at + state.restart.millis, 'start of a new generation', { type: 'restart.due' })]),
		...(isChecked(state) && state.candidate !== null
			? [
					soon('the health check passes', {
						type: 'check.passed',
						generation: state.candidate,
						status: 200,
						millis: swift,
					}),
				]
			: []),
		...(upgrade === 'checking' ? [soon('the new program passes its check', { type: 'upgrade.verified' })] : []),
		...(upgrade === 'handingOver' && state.children.every(({ pid }) => pid !== null)
			? [soon('the new program takes over', { type: 'supervisor.recovered', pid: 1, by: 'upgrade', state })]
			: []),
	];
	return events.map((event) => ({ ...event, at: Math.max(now, event.at) })).sort((one, other) => one.at - other.at);
}

function timer(at: number, what: string, external: ExternalEvent): DueEvent {
	return { at, what, external, isTimer: true };
}

function eventsOf(child: ChildState, { plan }: SupervisorState, { now, nonChildren, mute }: World): DueEvent[] {
	const { child: number, pid, phase, since, clock, deadline, isSeen } = child;
	const name = String(pid ?? `child ${number}`);
	const soon = (what: string, external: ExternalEvent): DueEvent => ({
		at: now + swift,
		what,
		external,
		isTimer: false,
	});
	const isMute = mute.has(number);
	// Deadlines are on the clock since boot.
	const moved = deadline === null || clock === null ? null : since + deadline - clock;
	switch (phase) {
		case 'spawning':
			return [soon(`spawn of child ${number}`, spawnOf(number))];
		case 'booting': {
			const end = moved ?? since + plan.start;
			if (plan.ready === 'accept' && isSeen !== false) {
				if (!isMute) return [];
				return [timer(end, `-start of ${name}`, unverified(child))];
			}
			return [timer(end, `-start of ${name}`, { type: 'timer.elapsed', child: number, timer: 'boot' })];
		}
		case 'verifying': {
			if (!isMute) return [soon(`${name} accepts`, { type: 'child.verified', child: number, isSeen: true })];
			const isHidden = isSeen === false;
			return [
				timer(
					verificationDeadline({ plan, deadline: moved, born: since, isHidden }),
					`deadline of ${name}`,
					unverified(child),
				),
			];
		}
		case 'serving':
			return [];
		case 'killing':
			return [
				soon(`end of ${name}`, endOf(child, nonChildren.has(number) ? 'unknown' : { signal: 'killed', number: 9 })),
			];
		case 'draining':
		case 'orphaned': {
			const limit = killTimeoutFor(killPlanOf(plan, child), isNoGood(child));
			return limit === null
				? []
				: [timer(since + limit, `SIGKILL of ${name}`, { type: 'timer.elapsed', child: number, timer: 'kill' })];
		}
	}
}

function spawnOf(child: number): ExternalEvent {
	return { type: 'child.spawned', child, pid: simulatedPid(child), startTime: child, pipe: child };
}

function unverified({ child, pid }: ChildState): ExternalEvent {
	return { type: 'child.unverified', child, missing: ['its sockets'], reason: `${pid} does not accept` };
}
