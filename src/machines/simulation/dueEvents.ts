/** The events that come by themselves in a simulation: timers that elapse, and what a sound program does at once. */
import type { ExternalEvent } from '../facts/facts.ts';
import { deadlineOf } from '../state/deadlines.ts';
import { type ChildState, isBaking, isChecked, type SupervisorState } from '../state/supervisorState.ts';
import { endOf, simulatedPid } from './nextEvents.ts';

export interface DueEvent {
	/** In milliseconds since boot. */
	at: number;
	/** In a few words: `-start of 101`. */
	what: string;
	external: ExternalEvent;
	/** A timer of the supervisor, as opposed to what a program does by itself. */
	isTimer: boolean;
}

/** How long a simulated program takes for what it does by itself, in milliseconds. */
const swift = 5;

/** How long a simulated program boots that is ready when it accepts, in milliseconds. */
const boot = 1000;

/** The time until the health check of a degraded generation is tried again, in milliseconds. */
const recheck = 1000;

interface World {
	/** The simulated time, in milliseconds since boot. */
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
	const { candidate, serving, checks, isComplete, bake, restart, stopSignal } = state;
	const soon = (what: string, external: ExternalEvent) => event(now + swift, what, external, false);
	const endOfWait = ({ clock, millis }: { clock: number | null; millis: number }) => (clock ?? now) + millis;
	const passes = (generation: number) => ({ type: 'check.passed', generation, status: 200, millis: swift }) as const;
	const isRechecked =
		checks.serving !== null &&
		!isComplete &&
		stopSignal === null &&
		state.respawns.every(({ generation }) => generation !== serving) &&
		state.children.some(({ generation, phase }) => generation === serving && phase === 'serving');
	const events = [
		...state.children.flatMap((child) => eventsOf(child, state, world)),
		...state.respawns
			.filter(({ isDue }) => !isDue)
			.map((respawn) => {
				const { generation, index } = respawn;
				return event(endOfWait(respawn), `restart of worker ${index}`, { type: 'respawn.due', generation, index });
			}),
		...(isBaking(state) && bake ? [event(endOfWait(bake), 'end of the bake', { type: 'bake.due' })] : []),
		...(restart === null ? [] : [event(endOfWait(restart), 'start of a new generation', { type: 'restart.due' })]),
		...(isChecked(state) && candidate !== null ? [soon('the health check passes', passes(candidate))] : []),
		...(isRechecked ? [event(now + recheck, `health check of generation ${serving}`, passes(serving))] : []),
		...(upgrade === 'checking' ? [soon('the new program passes its check', { type: 'upgrade.verified' })] : []),
		...(upgrade === 'handingOver' && state.children.every(({ pid }) => pid !== null)
			? [soon('the new program takes over', { type: 'supervisor.recovered', pid: 1, by: 'upgrade', state })]
			: []),
	];
	return events.map((each) => ({ ...each, at: Math.max(now, each.at) })).sort((one, other) => one.at - other.at);
}

function event(at: number, what: string, external: ExternalEvent, isTimer = true): DueEvent {
	return { at, what, external, isTimer };
}

function eventsOf(child: ChildState, state: SupervisorState, { now, nonChildren, mute }: World): DueEvent[] {
	const { child: number, pid, phase, isSeen, survivors } = child;
	const { plan } = state;
	const name = String(pid ?? `child ${number}`);
	const soon = (what: string, external: ExternalEvent) => [event(now + swift, what, external, false)];
	const timer = (what: string, external: ExternalEvent) => {
		const at = deadlineOf(child, state);
		return at === null ? [] : [event(at, what, external)];
	};
	const isMute = mute.has(number);
	switch (phase) {
		case 'spawning':
			return soon(`spawn of child ${number}`, spawnOf(number));
		case 'booting':
			if (plan.ready === 'accept' && isSeen !== false)
				return isMute
					? timer(`-start of ${name}`, unverified(child))
					: [
							event((child.clock ?? now) + Math.min(boot, plan.start / 2), `${name} accepts`, {
								type: 'child.verified',
								child: number,
								isSeen: true,
							}),
						];
			return timer(`-start of ${name}`, { type: 'timer.elapsed', child: number, timer: 'boot' });
		case 'verifying':
			if (!isMute) return soon(`${name} accepts`, { type: 'child.verified', child: number, isSeen: true });
			return timer(`deadline of ${name}`, unverified(child));
		case 'serving':
			return [];
		case 'killing':
			if (survivors.length > 0) return soon(`end of what ${name} left`, { type: 'group.gone', child: number });
			return soon(
				`end of ${name}`,
				endOf(child, nonChildren.has(number) ? 'unknown' : { signal: 'killed', number: 9 }),
			);
		case 'draining':
		case 'orphaned':
			return timer(`SIGKILL of ${name}`, { type: 'timer.elapsed', child: number, timer: 'kill' });
	}
}

function spawnOf(child: number): ExternalEvent {
	return { type: 'child.spawned', child, pid: simulatedPid(child), startTime: child, pipe: child };
}

function unverified({ child, pid }: ChildState): ExternalEvent {
	return { type: 'child.unverified', child, missing: ['its sockets'], reason: `${pid} does not accept` };
}
