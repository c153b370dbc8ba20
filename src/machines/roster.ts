/** The roster: who lives, in which phase, since when. A fold over facts that decides nothing. */
import type { Asker, Fact, Plan, Request } from './facts.ts';

export type Phase = 'spawning' | 'booting' | 'serving' | 'draining' | 'killing' | 'lingering';

export interface RosterChild {
	child: number;
	generation: number;
	pid: number | null;
	startTime: number | null;
	/** The inode of the pipe it prints to. */
	pipe: number | null;
	phase: Phase;
	/** When it entered the phase, in milliseconds since 1970. */
	since: number;
	/** When the phase's wait began, in milliseconds since boot. */
	clock: number | null;
}

export interface Roster {
	plan: Plan;
	/** The generation that was promoted last; 0 before the first one was. */
	serving: number;
	/** The generation that boots. */
	candidate: number | null;
	lastGeneration: number;
	lastChild: number;
	/** Who asked for the generation that was started last. */
	asked: Asker;
	/** Who asked for a rotation that has not begun. */
	queued: Asker | null;
	/** A request that no decision has answered yet. */
	unanswered: Request['type'] | null;
	/** The signal of the last stop that was begun. */
	stopSignal: string | null;
	/** What the supervisor would exit with if no stop is asked for. */
	status: number;
	children: RosterChild[];
}

/** Adds one fact. The roster passed in is left as it was. */
export function evolve(roster: Roster | null, fact: Fact): Roster {
	if (fact.type === 'supervisor.started') return freshRoster(fact.plan);
	if (fact.type === 'supervisor.recovered') return fact.roster;
	if (!roster) throw new Error(`fact ${fact.seq} is ${fact.type}, before the supervisor started`);
	switch (fact.type) {
		case 'signal.HUP':
		case 'signal.TERM':
		case 'signal.INT':
		case 'signal.QUIT':
		case 'rotate.requested':
		case 'stop.requested':
			return { ...roster, unanswered: fact.type };
		case 'generation.started':
			return {
				...roster,
				unanswered: null,
				candidate: fact.generation,
				lastGeneration: fact.generation,
				queued: null,
				asked: fact.asked,
			};
		case 'rotation.queued':
			return { ...roster, unanswered: null, queued: fact.asked };
		case 'signal.forwarded':
		case 'request.refused':
			return { ...roster, unanswered: null };
		case 'stop.begun':
			return { ...roster, unanswered: null, queued: null, stopSignal: fact.signal };
		case 'generation.promoted':
			return { ...roster, serving: fact.generation, candidate: null };
		case 'generation.givenUp':
			return { ...roster, candidate: null };
		case 'child.spawning':
			return { ...roster, lastChild: fact.child, children: [...roster.children, newChild(fact)] };
		case 'child.spawned': {
			const { pid, startTime, pipe, at, clock = null } = fact;
			return withChild(roster, fact.child, { pid, startTime, pipe, phase: 'booting', since: at, clock });
		}
		case 'child.stopped':
			return withChild(roster, fact.child, { since: fact.at, clock: fact.clock ?? null });
		case 'child.ready':
			return withChild(roster, fact.child, { phase: 'serving', since: fact.at, clock: null });
		case 'child.signalled':
			return signalled(roster, fact);
		case 'child.exited':
			if (fact.left.length > 0) {
				const { at, clock = null } = fact;
				return withChild(roster, fact.child, { phase: 'lingering', since: at, clock });
			}
			return withoutChild(roster, fact.child);
		case 'child.spawnFailed':
		case 'child.abandoned':
		case 'group.gone':
			return withoutChild(roster, fact.child);
		case 'stop.undone':
			return { ...roster, stopSignal: null, serving: 0, candidate: null, queued: null };
		case 'child.lost':
			return { ...roster, status: fact.status };
		default:
			return roster;
	}
}

/** Whether a child was told to leave. */
export function isLeaving({ phase }: RosterChild): boolean {
	return phase === 'draining' || phase === 'killing' || phase === 'lingering';
}

/** The supervisor's state, as far as the roster tells. */
export function stateOf(roster: Roster): string {
	if (roster.lastGeneration > 0 && roster.children.length === 0) return 'stopped';
	if (roster.stopSignal !== null) return 'stopping';
	if (roster.candidate !== null) return roster.serving === 0 ? 'starting' : 'rotating';
	return roster.children.some(({ generation }) => generation !== roster.serving) ? 'draining' : 'running';
}

/** What a supervisor that was killed leaves to the next: a child that had no process yet never was. */
export function withoutUnborn(roster: Roster): Roster {
	return { ...roster, unanswered: null, children: roster.children.filter(({ pid }) => pid !== null) };
}

/**
 * What can go on when the statecharts failed in the middle of a step: what had begun and has no process yet never was,
 * and the request that they had before them is not made again, as it may be what they failed on.
 */
export function withoutUnfinished(roster: Roster): Roster {
	const born = withoutUnborn(roster);
	const hasCandidate = born.children.some(({ generation }) => generation === roster.candidate);
	return { ...born, candidate: hasCandidate ? roster.candidate : null };
}

/** A supervisor that has just been started. */
function freshRoster(plan: Plan): Roster {
	return {
		plan,
		serving: 0,
		candidate: null,
		lastGeneration: 0,
		lastChild: 0,
		asked: 'start',
		queued: null,
		unanswered: null,
		stopSignal: null,
		status: 0,
		children: [],
	};
}

function newChild({ child, generation, at }: Extract<Fact, { type: 'child.spawning' }>): RosterChild {
	return { child, generation, pid: null, startTime: null, pipe: null, phase: 'spawning', since: at, clock: null };
}

function withChild(roster: Roster, id: number, change: Partial<RosterChild>): Roster {
	return {
		...roster,
		children: roster.children.map((child) => (child.child === id ? { ...child, ...change } : child)),
	};
}

function withoutChild(roster: Roster, id: number): Roster {
	return { ...roster, children: roster.children.filter(({ child }) => child !== id) };
}

/** A wait counts from the first time that a child is told to leave. */
function signalled(roster: Roster, fact: Extract<Fact, { type: 'child.signalled' }>): Roster {
	const { child: id, reason, at, clock = null } = fact;
	if (reason === 'forward') return roster;
	const phase = reason === 'kill' ? 'killing' : 'draining';
	const known = roster.children.find(({ child }) => child === id);
	return !known || (phase === 'draining' && isLeaving(known))
		? roster
		: withChild(roster, id, { phase, since: at, clock });
}
