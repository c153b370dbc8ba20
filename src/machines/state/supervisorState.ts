/** The roster: who lives, in which phase, since when. A fold over facts that decides nothing. */
import {
	type Asker,
	type Fact,
	type FactOf,
	type FailureCode,
	isDecision,
	type Plan,
	type Request,
	type Word,
} from '../facts/facts.ts';
import { patienceWith } from '../rules/killTimeout.ts';

export const phases = ['spawning', 'booting', 'proving', 'serving', 'draining', 'killing', 'lingering'] as const;

export type Phase = (typeof phases)[number];

export interface RosterChild {
	child: number;
	generation: number;
	/** Its place in the generation, from 0 on. */
	index: number;
	pid: number | null;
	startTime: number | null;
	/** The inode of the pipe it prints to. */
	pipe: number | null;
	phase: Phase;
	/** When it entered the phase, in milliseconds since 1970. */
	since: number;
	/** When the phase's wait began, or when it was seen to be up, in milliseconds since boot. */
	clock: number | null;
	/** When its process began, in milliseconds since boot; null where an earlier program has not told. */
	born: number | null;
	/** Until when it has to say that it is up, where that was moved: in milliseconds since boot. */
	deadline: number | null;
	/** How it is known to be up, or has said that it is; null before. */
	ready: Word | null;
	/** Whether it was seen to accept (with -verify=hold: to hold its sockets); null before, false where that can't be seen. */
	isSeen: boolean | null;
	/** The real paths of what was started and of where it was started; null where they are not known. */
	program: string | null;
	directory: string | null;
	/** A sentence that says that it does not accept, though it serves or is ready; null where that was not said. */
	unseen: string | null;
	/** It was not ready in time. */
	isRejected: boolean;
	/** Its generation was given up before it was up. */
	isDismissed: boolean;
	/** Why; null where it was, or where an earlier program has not told. */
	rejection: { reason: string; code: FailureCode } | null;
	/** A signal was passed on to it: it may be ending for that. */
	wasForwarded: boolean;
	/** How many have died in its place before, and whether any of them was ever up. */
	attempt: number;
	wasUp: boolean;
	/** Processes that it has left behind, which are waited for. */
	left: number[];
}

/** A place of a generation that is to be filled again. */
export interface Respawn {
	generation: number;
	index: number;
	attempt: number;
	wasUp: boolean;
	/** The wait, when it began since 1970, and since boot: all in milliseconds. */
	millis: number;
	at: number;
	clock: number | null;
	/** The wait is over: it is held back by a rotation, or was about to be filled. */
	isDue: boolean;
}

/** A child that ended without having been told to leave. */
export interface Ended extends RosterChild {
	/** The number and the time of the fact that it ended by: in milliseconds since 1970, and since boot. */
	endedBy: number;
	endedAt: number;
	endedClock: number | null;
}

export interface Roster {
	plan: Plan;
	/** The generation that was promoted, or kept, last; 0 before the first one was. */
	serving: number;
	/** All of it was up once: it was promoted, and not just kept as nobody else serves. */
	isWhole: boolean;
	/** The generation that boots. */
	candidate: number | null;
	lastGeneration: number;
	/** Children of that generation. */
	lastSize: number;
	lastChild: number;
	/** Who asked for the generation that was started last. */
	asked: Asker;
	/** Who asked for a rotation that has not begun. */
	queued: Asker | null;
	/** A request that no decision has answered yet. */
	unanswered: Request['type'] | null;
	/** Who ended by the last happening: what follows from that may not have been decided yet. */
	ended: Ended | null;
	/** No generation serves, and another one is started after `millis`: from when, since 1970 and since boot. */
	restart: { millis: number; at: number; clock: number | null } | null;
	/** How often that was done since a generation served for long. */
	restarts: number;
	/** A SIGQUIT was passed on since the last generation was started: none is started again by itself. */
	isQuitting: boolean;
	/** The signal of the last stop that was begun. */
	stopSignal: string | null;
	/** What the supervisor would exit with if no stop is asked for. */
	status: number;
	children: RosterChild[];
	respawns: Respawn[];
}

/** Adds one fact. The roster passed in is left as it was. */
export function evolve(roster: Roster | null, fact: Fact): Roster {
	if (fact.type === 'supervisor.started') return freshRoster(fact.plan);
	if (fact.type === 'supervisor.recovered') return fact.roster;
	if (!roster) throw new Error(`fact ${fact.seq} is ${fact.type}, before the supervisor started`);
	return changed(endsStep(roster, fact) ? { ...roster, ended: null } : roster, fact);
}

/** Whether what followed from the happening before has been decided. A spawn tells its pid in the middle of a step. */
function endsStep({ ended }: Roster, fact: Fact): boolean {
	return ended !== null && !isDecision(fact) && fact.type !== 'child.spawned';
}

function changed(roster: Roster, fact: Exclude<Fact, { type: 'supervisor.started' | 'supervisor.recovered' }>): Roster {
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
				// One that begins again is another one.
				...withoutRespawns(roster, roster.candidate === null ? [] : [roster.candidate]),
				unanswered: null,
				candidate: fact.generation,
				lastGeneration: fact.generation,
				lastSize: fact.size,
				queued: null,
				asked: fact.asked,
				restart: null,
				isQuitting: false,
			};
		case 'rotation.queued':
			return { ...roster, unanswered: null, queued: fact.asked };
		case 'request.refused':
			return { ...roster, unanswered: null };
		case 'signal.forwarded':
			return { ...roster, unanswered: null, ended: null, respawns: [], restart: null, isQuitting: true };
		case 'stop.begun':
			return {
				...hurried(roster, fact),
				unanswered: null,
				queued: null,
				stopSignal: fact.signal,
				ended: null,
				respawns: [],
				restart: null,
			};
		case 'generation.promoted':
			return {
				...withoutRespawns(roster, fact.replaced),
				serving: fact.generation,
				isWhole: true,
				candidate: roster.candidate === fact.generation ? null : roster.candidate,
			};
		case 'generation.givenUp':
			return { ...dismissed(withoutRespawns(roster, [fact.generation]), fact.generation), candidate: null };
		case 'generation.kept':
			return {
				...withoutRespawns(roster, fact.replaced),
				serving: fact.generation,
				isWhole: false,
				candidate: null,
			};
		case 'generation.exhausted':
			return { ...dismissed(withoutRespawns(roster, [fact.generation]), fact.generation), status: fact.status };
		case 'respawn.scheduled': {
			const { generation, index, attempt, wasUp, millis, at, clock = null } = fact;
			return withRespawn(roster, { generation, index, attempt, wasUp, millis, at, clock, isDue: false });
		}
		case 'respawn.due':
			return {
				...roster,
				respawns: roster.respawns.map((each) => (isOfPlace(each, fact) ? { ...each, isDue: true } : each)),
			};
		case 'child.spawning':
			return spawning(roster, fact);
		case 'child.announced':
			return announced(roster, fact);
		case 'deadline.moved':
			return withChild(roster, fact.child, { deadline: fact.deadline });
		case 'child.proving':
			return withChild(roster, fact.child, { phase: 'proving', ready: fact.by, since: fact.at });
		case 'child.proved':
			return withChild(verified(roster, fact), fact.child, { isSeen: fact.isSeen, unseen: null });
		case 'child.unseen':
			return withChild(roster, fact.child, { unseen: fact.reason });
		case 'child.rejected':
			return { ...withChild(roster, fact.child, rejected(fact)), status: 1 };
		case 'child.spawned': {
			const { pid, startTime, pipe, at, clock = null, program = null, directory = null } = fact;
			const phase = 'booting';
			return withChild(roster, fact.child, {
				pid,
				startTime,
				pipe,
				phase,
				since: at,
				clock,
				born: clock,
				program,
				directory,
			});
		}
		case 'child.stopped':
			return withChild(roster, fact.child, { since: fact.at, clock: fact.clock ?? null, deadline: null });
		case 'child.ready':
			return serving(roster, fact);
		case 'child.signalled':
			return signalled(roster, fact);
		case 'child.exited':
			return exited(roster, fact);
		case 'child.spawnFailed':
		case 'group.gone':
			return withoutChild(withEnded(roster, fact), fact.child);
		case 'child.abandoned':
			return withoutChild(roster, fact.child);
		case 'stop.undone':
			return { ...roster, stopSignal: null, serving: 0, isWhole: false, candidate: null, queued: null };
		case 'restart.scheduled': {
			const { attempt, millis, at, clock = null } = fact;
			return { ...roster, restarts: attempt, restart: { millis, at, clock } };
		}
		case 'child.lost':
			return { ...roster, status: fact.status };
		case 'signal.USR1':
		case 'signal.USR2':
		case 'upgrade.requested':
		case 'upgrade.begun':
		case 'upgrade.verified':
		case 'upgrade.refused':
		case 'upgrade.failed':
		case 'child.delayed':
		case 'child.unproved':
		case 'timer.elapsed':
		case 'restart.due':
		case 'service.lost':
			return roster;
		default:
			return fact satisfies never;
	}
}

/** Whether a child was told to leave. */
export function isLeaving({ phase }: RosterChild): boolean {
	return phase === 'draining' || phase === 'killing' || phase === 'lingering';
}

/** One of a generation's children was not seen to accept. */
export function isUnverified(roster: Roster | null, generation: number): boolean {
	const own = (roster?.children ?? []).filter((each) => each.generation === generation && !isLeaving(each));
	return roster?.plan.verify !== 'none' && own.some(({ isSeen }) => isSeen !== true);
}

/** The supervisor's state, as far as the roster tells. */
export function stateOf(roster: Roster): string {
	if (roster.lastGeneration > 0 && roster.children.length === 0 && roster.respawns.length === 0) return 'stopped';
	if (roster.stopSignal !== null) return 'stopping';
	if (roster.candidate !== null) return roster.serving === 0 ? 'starting' : 'rotating';
	if (roster.restart !== null) return 'unserved';
	return roster.children.some(({ generation }) => generation !== roster.serving) ? 'draining' : 'running';
}

/** A supervisor that has just been started. */
export function freshRoster(plan: Plan): Roster {
	return {
		plan,
		serving: 0,
		isWhole: false,
		candidate: null,
		lastGeneration: 0,
		lastSize: 0,
		lastChild: 0,
		asked: 'start',
		queued: null,
		unanswered: null,
		ended: null,
		restart: null,
		restarts: 0,
		isQuitting: false,
		stopSignal: null,
		status: 0,
		children: [],
		respawns: [],
	};
}

/** A child takes its place; that of one that was lost is no longer waited for. */
function spawning(roster: Roster, { child, generation, index, at }: Extract<Fact, { type: 'child.spawning' }>): Roster {
	const isIts = (each: Respawn) => isOfPlace(each, { generation, index });
	const { attempt, wasUp } = roster.respawns.find(isIts) ?? { attempt: 0, wasUp: false };
	const born = { ...newChild({ child, generation, index, at }), attempt, wasUp };
	const respawns = roster.respawns.some(isIts) ? roster.respawns.filter((each) => !isIts(each)) : roster.respawns;
	return { ...roster, lastChild: child, children: [...roster.children, born], respawns };
}

/** Those of its children that are not up yet have served no client: they are not waited for without end. */
function dismissed(roster: Roster, generation: number): Roster {
	const isComing = ({ phase }: RosterChild) => phase === 'spawning' || phase === 'booting' || phase === 'proving';
	const isDismissed = (child: RosterChild) => child.generation === generation && isComing(child);
	if (!roster.children.some(isDismissed)) return roster;
	const children = roster.children.map((each) => (isDismissed(each) ? { ...each, isDismissed: true } : each));
	return { ...roster, children };
}

/** Whether it is not up yet, and its generation is to replace another one: if it ends now, that generation fails. */
export function isOfCandidate({ candidate, serving }: Roster, { generation, phase }: RosterChild): boolean {
	return candidate === generation && serving !== 0 && (phase === 'booting' || phase === 'proving');
}

/** Whether it was not ready in time, or its generation was given up before it was up: then it is killed if it does not leave. */
export function isNoGood({ isRejected, isDismissed }: Pick<RosterChild, 'isRejected' | 'isDismissed'>): boolean {
	return isRejected || isDismissed;
}

/** One that has no process yet. */
export function newChild({
	child,
	generation,
	index,
	at,
}: Omit<FactOf<'child.spawning'>, 'seq' | 'type'>): RosterChild {
	return {
		child,
		generation,
		index,
		pid: null,
		startTime: null,
		pipe: null,
		phase: 'spawning',
		since: at,
		clock: null,
		born: null,
		deadline: null,
		ready: null,
		isSeen: null,
		program: null,
		directory: null,
		unseen: null,
		isRejected: false,
		isDismissed: false,
		rejection: null,
		wasForwarded: false,
		attempt: 0,
		wasUp: false,
		left: [],
	};
}

function rejected({ reason, code = 'deadline' }: Extract<Fact, { type: 'child.rejected' }>): Partial<RosterChild> {
	return { isRejected: true, rejection: { reason, code } };
}

/** Up to commit cd933d0 a child is up since it was verified: `child.ready` has no clock of its own. */
function verified(roster: Roster, { child: id, clock }: Extract<Fact, { type: 'child.proved' }>): Roster {
	const isVerified = roster.children.some(({ child, phase }) => child === id && phase === 'proving');
	return isVerified && clock !== undefined ? withChild(roster, id, { clock }) : roster;
}

/** It is up: since when, an earlier program told with what was seen of it. */
function serving(roster: Roster, { child: id, at, clock }: Extract<Fact, { type: 'child.ready' }>): Roster {
	const known = roster.children.find(({ child }) => child === id);
	const since = clock ?? known?.clock ?? null;
	return withChild(roster, id, { phase: 'serving', since: at, clock: since, wasUp: true, deadline: null });
}

/** One that has said that it is up is, also where its supervisor was killed before that was decided. */
function announced(roster: Roster, { child: id, by }: Extract<Fact, { type: 'child.announced' }>): Roster {
	const isBooting = roster.children.some(({ child, phase }) => child === id && phase === 'booting');
	return isBooting ? withChild(roster, id, { ready: by }) : roster;
}

/** The place of one that was told to leave is vacant when those that it has left behind are gone too, where they are waited for. */
function exited(roster: Roster, fact: Extract<Fact, { type: 'child.exited' }>): Roster {
	const { child: id, left, at, clock = null } = fact;
	const known = roster.children.find(({ child }) => child === id);
	const awaited = known !== undefined && isLeaving(known) ? awaitedOf(fact, roster.plan, isNoGood(known)) : [];
	const next = awaited.length > 0 ? roster : withEnded(roster, fact);
	if (left.length === 0) return withoutChild(next, id);
	return withChild(next, id, { phase: 'lingering', since: at, clock, left: awaited });
}

/**
 * Who is waited for of those that a child which was told to leave has left behind: all, where they are killed in the end;
 * else those that were seen to hold a listener.
 */
export function awaitedOf(
	{ left, holders = [] }: Pick<Extract<Fact, { type: 'child.exited' }>, 'left' | 'holders'>,
	plan: Plan,
	isNoGood: boolean,
): number[] {
	return patienceWith(plan, isNoGood) === null ? holders.flatMap(({ pid, fds }) => (fds.length > 0 ? pid : [])) : left;
}

/** Whoever was told to leave, but for one that was not ready in time, is not missed. */
function withEnded(
	roster: Roster,
	{ child: id, seq, at, clock }: Extract<Fact, { type: 'child.exited' | 'child.spawnFailed' | 'group.gone' }>,
): Roster {
	const known = roster.children.find(({ child }) => child === id);
	if (!known || (isLeaving(known) && !known.isRejected)) return roster;
	return { ...roster, ended: { ...known, endedBy: seq, endedAt: at, endedClock: clock ?? null } };
}

/** At most one for a place. */
export function withRespawn(roster: Roster, respawn: Respawn): Roster {
	const respawns = [...roster.respawns.filter((each) => !isOfPlace(each, respawn)), respawn];
	return { ...roster, ended: null, respawns };
}

function isOfPlace(
	respawn: Pick<Respawn, 'generation' | 'index'>,
	{ generation, index }: Pick<Respawn, 'generation' | 'index'>,
): boolean {
	return respawn.generation === generation && respawn.index === index;
}

function withoutRespawns(roster: Roster, generations: number[]): Roster {
	const isOf = ({ generation }: { generation: number }) => generations.includes(generation);
	const ended = roster.ended && !isOf(roster.ended) ? roster.ended : null;
	return { ...roster, ended, respawns: roster.respawns.filter((each) => !isOf(each)) };
}

function withChild(roster: Roster, id: number, change: Partial<RosterChild>): Roster {
	return {
		...roster,
		children: roster.children.map((child) => (child.child === id ? { ...child, ...change } : child)),
	};
}

/** Without one that is gone. */
export function withoutChild(roster: Roster, id: number): Roster {
	return { ...roster, children: roster.children.filter(({ child }) => child !== id) };
}

/** A stop may have a patience of its own, which is counted anew. */
function hurried(roster: Roster, fact: Extract<Fact, { type: 'stop.begun' }>): Roster {
	const { kill, clock = null } = fact;
	if (kill === roster.plan.kill) return roster;
	const children = roster.children.map((child) => (isLeaving(child) ? { ...child, clock } : child));
	return { ...roster, plan: { ...roster.plan, kill }, children };
}

/** A wait counts from the first time that a child is told to leave. */
function signalled(roster: Roster, fact: Extract<Fact, { type: 'child.signalled' }>): Roster {
	const { child: id, reason, at, clock = null } = fact;
	if (reason === 'forward') return withChild(roster, id, { wasForwarded: true });
	const phase = reason === 'kill' || reason === 'crowd' ? 'killing' : 'draining';
	const known = roster.children.find(({ child }) => child === id);
	return !known || (phase === 'draining' && isLeaving(known))
		? roster
		: withChild(roster, id, { phase, since: at, clock });
}
