/**
 * The roster: who is alive, in which phase, since when. A plain fold over facts, independent of the
 * statecharts; a supervisor that lost its memory starts from it, and the tests hold the two against
 * each other.
 */
import type { Fact, FactOf, Plan } from './facts.ts';

export type Phase = 'spawning' | 'booting' | 'serving' | 'draining' | 'killing';

export interface RosterChild {
	child: number;
	generation: number;
	pid: number | null;
	startTime: number | null;
	/** The inode of the pipe it prints to. */
	pipe: number | null;
	phase: Phase;
	/** When it entered the phase, and when the phase's wait ends; milliseconds since 1970. */
	since: number;
	deadline: number | null;
	/** It was sent the signal to leave. */
	told: boolean;
}

export interface Roster {
	plan: Plan;
	/** The generation that was promoted last; 0 before the first one was. */
	serving: number;
	/** The generation that boots. */
	candidate: number | null;
	lastGeneration: number;
	lastChild: number;
	/** A rotation was asked for and has not begun. */
	queued: boolean;
	/** The signal of the last stop that was asked for. */
	stopSignal: string | null;
	/** What the supervisor would exit with if no stop is asked for. */
	status: number;
	children: RosterChild[];
}

export type SupervisorState = 'starting' | 'running' | 'rotating' | 'draining' | 'stopping' | 'stopped';

/** Adds one fact. The roster passed in is left as it was. */
export function evolve(roster: Roster | null, fact: Fact): Roster {
	if (fact.type === 'supervisor.started') return freshRoster(fact.plan);
	if (fact.type === 'supervisor.recovered') return fact.roster;
	if (!roster) throw new Error(`fact ${fact.seq} is ${fact.type}, before the supervisor started`);
	switch (fact.type) {
		case 'signal.HUP':
		case 'rotate.requested':
			return roster.stopSignal === null ? { ...roster, queued: true } : roster;
		case 'signal.TERM':
		case 'signal.INT':
		case 'stop.requested':
			return { ...roster, queued: false, stopSignal: fact.type === 'signal.INT' ? 'INT' : 'TERM' };
		case 'child.spawning':
			return addChild(roster, fact);
		case 'child.spawned':
			return changeChild(roster, fact.child, () => ({
				pid: fact.pid,
				startTime: fact.startTime,
				pipe: fact.pipe,
				phase: 'booting',
				since: fact.at,
				deadline: fact.at + Math.max(0, roster.plan.start),
			}));
		case 'timer.elapsed':
			return promoteIfReady(
				changeChild(roster, fact.child, ({ phase }) =>
					fact.timer === 'boot' && phase === 'booting' ? { phase: 'serving', since: fact.at, deadline: null } : {},
				),
			);
		case 'child.signalled':
			return changeChild(roster, fact.child, (child) => signalled(child, fact, roster.plan));
		case 'child.exited':
		case 'child.spawnFailed':
			return removeChild(roster, fact);
		default:
			return roster;
	}
}

/** The supervisor's state, as far as the roster tells. */
export function stateOf(roster: Roster): SupervisorState {
	if (roster.lastGeneration > 0 && roster.children.length === 0) return 'stopped';
	if (roster.stopSignal !== null) return 'stopping';
	if (roster.serving === 0) return 'starting';
	if (roster.candidate !== null) return 'rotating';
	return roster.children.some((child) => child.told) ? 'draining' : 'running';
}

/** A supervisor that has just been started and has asked for nothing yet. */
function freshRoster(plan: Plan): Roster {
	return {
		plan,
		serving: 0,
		candidate: null,
		lastGeneration: 0,
		lastChild: 0,
		queued: true,
		stopSignal: null,
		status: 0,
		children: [],
	};
}

/**
 * Whether the loss of a candidate's child ends its generation: it does, unless nobody else serves and
 * the rest of the candidate is the best there is.
 */
export function isLost(
	{ serving, candidate }: { serving: number; candidate: number | null },
	children: Iterable<{ generation: number; told: boolean }>,
): boolean {
	const alive = [...children].filter((child) => !child.told);
	return !alive.some((child) => child.generation === candidate) || alive.some((child) => child.generation === serving);
}

function addChild(roster: Roster, { child, generation, at }: FactOf<'child.spawning'>): Roster {
	const isNew = generation > roster.lastGeneration;
	// The first of a generation may have failed before the next one of it is tried.
	const isStillOn =
		generation > roster.serving &&
		!isLost({ serving: roster.serving, candidate: generation }, [...roster.children, { generation, told: false }]);
	return {
		...roster,
		candidate: isNew || isStillOn ? generation : roster.candidate,
		lastGeneration: Math.max(generation, roster.lastGeneration),
		lastChild: Math.max(child, roster.lastChild),
		queued: isNew ? false : roster.queued,
		children: [
			...roster.children,
			{
				child,
				generation,
				pid: null,
				startTime: null,
				pipe: null,
				phase: 'spawning',
				since: at,
				deadline: null,
				told: false,
			},
		],
	};
}

function changeChild(roster: Roster, id: number, change: (child: RosterChild) => Partial<RosterChild>): Roster {
	return {
		...roster,
		children: roster.children.map((child) => (child.child === id ? { ...child, ...change(child) } : child)),
	};
}

function signalled(child: RosterChild, { reason, at }: FactOf<'child.signalled'>, plan: Plan): Partial<RosterChild> {
	if (reason === 'forward' || (reason !== 'kill' && child.told)) return {};
	if (reason === 'kill') return { phase: 'killing', since: at, deadline: null };
	return { phase: 'draining', since: at, deadline: plan.kill > 0 ? at + plan.kill : null, told: true };
}

function promoteIfReady(roster: Roster): Roster {
	const candidates = roster.children.filter((child) => child.generation === roster.candidate);
	if (candidates.length === 0 || candidates.some((child) => child.phase !== 'serving')) return roster;
	return { ...roster, serving: roster.candidate ?? 0, candidate: null };
}

function removeChild(roster: Roster, fact: FactOf<'child.exited' | 'child.spawnFailed'>): Roster {
	const gone = roster.children.find((child) => child.child === fact.child);
	if (!gone) return roster;
	const children = roster.children.filter((child) => child !== gone);
	const own = fact.type === 'child.exited' ? fact.status : 1;
	const next = { ...roster, children, status: gone.told ? roster.status : own };
	if (gone.generation !== roster.candidate) return next;
	return isLost(roster, children) ? { ...next, candidate: null } : promoteIfReady(next);
}
