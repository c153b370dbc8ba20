/** The state: who lives, in which phase, since when. A fold over facts that decides nothing. */
import {
	type Fact,
	type FactOf,
	type FailureCode,
	isDecision,
	type Plan,
	type ReadySource,
	type Request,
	type Trigger,
} from '../facts/facts.ts';
import { killTimeoutFor } from '../rules/killTimeout.ts';

export const phases = ['spawning', 'booting', 'verifying', 'serving', 'draining', 'killing', 'orphaned'] as const;

export type Phase = (typeof phases)[number];

export interface ChildState {
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
	spawnedClock: number | null;
	/** Until when it has to say that it is up, where that was moved: in milliseconds since boot. */
	deadline: number | null;
	/** How it is known to be up, or has said that it is; null before. */
	readyBy: ReadySource | null;
	/** Whether it was seen to accept (with -verify=hold: to hold its sockets); null before, false where that can't be seen. */
	isSeen: boolean | null;
	/** The real paths of what was started and of where it was started; null where they are not known. */
	program: string | null;
	directory: string | null;
	/** A sentence that says that it does not accept, though it serves or is ready; null where that was not said. */
	unseen: string | null;
	/** It was not ready in time. */
	isRejected: boolean;
	/** Its generation failed before it was up. */
	isDismissed: boolean;
	/** Why; null where it was, or where an earlier program has not told. */
	rejection: { reason: string; code: FailureCode } | null;
	/** A signal was passed on to it: it may be ending for that. */
	wasForwarded: boolean;
	/** How many have died in its place before, and whether any of them was ever up. */
	attempt: number;
	wasUp: boolean;
	/** Processes that it has left behind, which are waited for. */
	survivors: number[];
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
export interface Ended extends ChildState {
	/** The number and the time of the fact that it ended by: in milliseconds since 1970, and since boot. */
	endedBy: number;
	endedAt: number;
	endedClock: number | null;
}

export interface SupervisorState {
	plan: Plan;
	/** The generation that was promoted, or kept, last; 0 before the first one was. */
	serving: number;
	/** All of it was up once: it was promoted, and not just kept as nobody else serves. */
	isComplete: boolean;
	/** The generation that boots. */
	candidate: number | null;
	lastGeneration: number;
	/** Children of that generation. */
	lastSize: number;
	lastChild: number;
	/** Who asked for the generation that was started last. */
	trigger: Trigger;
	/** Who asked for a rotation that has not begun. */
	queued: Trigger | null;
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
	children: ChildState[];
	respawns: Respawn[];
}

/** Adds one fact. The state passed in is left as it was. */
export function evolve(state: SupervisorState | null, fact: Fact): SupervisorState {
	if (fact.type === 'supervisor.started') return newState(fact.plan);
	if (fact.type === 'supervisor.recovered') return fact.state;
	if (!state) throw new Error(`fact ${fact.seq} is ${fact.type}, before the supervisor started`);
	return changed(endsStep(state, fact) ? { ...state, ended: null } : state, fact);
}

/** Whether what followed from the happening before has been decided. A spawn tells its pid in the middle of a step. */
function endsStep({ ended }: SupervisorState, fact: Fact): boolean {
	return ended !== null && !isDecision(fact) && fact.type !== 'child.spawned';
}

function changed(
	state: SupervisorState,
	fact: Exclude<Fact, { type: 'supervisor.started' | 'supervisor.recovered' }>,
): SupervisorState {
	switch (fact.type) {
		case 'signal.HUP':
		case 'signal.TERM':
		case 'signal.INT':
		case 'signal.QUIT':
		case 'rotate.requested':
		case 'stop.requested':
			return { ...state, unanswered: fact.type };
		case 'generation.started':
			return {
				// One that begins again is another one.
				...withoutRespawns(state, state.candidate === null ? [] : [state.candidate]),
				unanswered: null,
				candidate: fact.generation,
				lastGeneration: fact.generation,
				lastSize: fact.size,
				queued: null,
				trigger: fact.trigger,
				restart: null,
				isQuitting: false,
			};
		case 'rotation.queued':
			return { ...state, unanswered: null, queued: fact.trigger };
		case 'request.refused':
			return { ...state, unanswered: null };
		case 'signal.forwarded':
			return { ...state, unanswered: null, ended: null, respawns: [], restart: null, isQuitting: true };
		case 'stop.begun':
			return {
				...hurried(state, fact),
				unanswered: null,
				queued: null,
				stopSignal: fact.signal,
				ended: null,
				respawns: [],
				restart: null,
			};
		case 'generation.promoted':
			return {
				...withoutRespawns(state, fact.replaced),
				serving: fact.generation,
				isComplete: true,
				candidate: state.candidate === fact.generation ? null : state.candidate,
			};
		case 'generation.failed':
			return { ...dismissed(withoutRespawns(state, [fact.generation]), fact.generation), candidate: null };
		case 'generation.degraded':
			return {
				...withoutRespawns(state, fact.replaced),
				serving: fact.generation,
				isComplete: false,
				candidate: null,
			};
		case 'generation.exhausted':
			return { ...dismissed(withoutRespawns(state, [fact.generation]), fact.generation), status: fact.status };
		case 'respawn.scheduled': {
			const { generation, index, attempt, wasUp, millis, at, clock = null } = fact;
			return withRespawn(state, { generation, index, attempt, wasUp, millis, at, clock, isDue: false });
		}
		case 'respawn.due':
			return {
				...state,
				respawns: state.respawns.map((each) => (isOfSlot(each, fact) ? { ...each, isDue: true } : each)),
			};
		case 'child.spawning':
			return spawning(state, fact);
		case 'child.announced':
			return announced(state, fact);
		case 'deadline.moved':
			return withChild(state, fact.child, { deadline: fact.deadline });
		case 'child.verifying':
			return withChild(state, fact.child, { phase: 'verifying', readyBy: fact.by, since: fact.at });
		case 'child.verified':
			return withChild(verified(state, fact), fact.child, { isSeen: fact.isSeen, unseen: null });
		case 'child.unseen':
			return withChild(state, fact.child, { unseen: fact.reason });
		case 'child.rejected':
			return { ...withChild(state, fact.child, rejected(fact)), status: 1 };
		case 'child.spawned': {
			const { pid, startTime, pipe, at, clock = null, program = null, directory = null } = fact;
			const phase = 'booting';
			return withChild(state, fact.child, {
				pid,
				startTime,
				pipe,
				phase,
				since: at,
				clock,
				spawnedClock: clock,
				program,
				directory,
			});
		}
		case 'child.stopped':
			return withChild(state, fact.child, { since: fact.at, clock: fact.clock ?? null, deadline: null });
		case 'child.ready':
			return serving(state, fact);
		case 'child.signalled':
			return signalled(state, fact);
		case 'child.exited':
			return exited(state, fact);
		case 'child.spawnFailed':
		case 'group.gone':
			return withoutChild(withEnded(state, fact), fact.child);
		case 'child.abandoned':
			return withoutChild(state, fact.child);
		case 'stop.cancelled':
			return { ...state, stopSignal: null, serving: 0, isComplete: false, candidate: null, queued: null };
		case 'restart.scheduled': {
			const { attempt, millis, at, clock = null } = fact;
			return { ...state, restarts: attempt, restart: { millis, at, clock } };
		}
		case 'child.lost':
			return { ...state, status: fact.status };
		case 'signal.USR1':
		case 'signal.USR2':
		case 'upgrade.requested':
		case 'upgrade.begun':
		case 'upgrade.verified':
		case 'upgrade.refused':
		case 'upgrade.failed':
		case 'child.delayed':
		case 'child.unverified':
		case 'timer.elapsed':
		case 'restart.due':
		case 'service.lost':
			return state;
		default:
			return fact satisfies never;
	}
}

/** Whether a child was told to leave. */
export function isLeaving({ phase }: ChildState): boolean {
	return phase === 'draining' || phase === 'killing' || phase === 'orphaned';
}

/** One of a generation's children was not seen to accept. */
export function isUnverified(state: SupervisorState | null, generation: number): boolean {
	const own = (state?.children ?? []).filter((each) => each.generation === generation && !isLeaving(each));
	return state?.plan.verify !== 'none' && own.some(({ isSeen }) => isSeen !== true);
}

/** The supervisor's state, as far as the state tells. */
export function stateOf(state: SupervisorState): string {
	if (state.lastGeneration > 0 && state.children.length === 0 && state.respawns.length === 0) return 'stopped';
	if (state.stopSignal !== null) return 'stopping';
	if (state.candidate !== null) return state.serving === 0 ? 'starting' : 'rotating';
	if (state.restart !== null) return 'unserved';
	return state.children.some(({ generation }) => generation !== state.serving) ? 'draining' : 'running';
}

/** A supervisor that has just been started. */
export function newState(plan: Plan): SupervisorState {
	return {
		plan,
		serving: 0,
		isComplete: false,
		candidate: null,
		lastGeneration: 0,
		lastSize: 0,
		lastChild: 0,
		trigger: 'start',
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
function spawning(
	state: SupervisorState,
	{ child, generation, index, at }: Extract<Fact, { type: 'child.spawning' }>,
): SupervisorState {
	const isIts = (each: Respawn) => isOfSlot(each, { generation, index });
	const { attempt, wasUp } = state.respawns.find(isIts) ?? { attempt: 0, wasUp: false };
	const spawnedClock = { ...newChild({ child, generation, index, at }), attempt, wasUp };
	const respawns = state.respawns.some(isIts) ? state.respawns.filter((each) => !isIts(each)) : state.respawns;
	return { ...state, lastChild: child, children: [...state.children, spawnedClock], respawns };
}

/** Those of its children that are not up yet have served no client: they are not waited for without end. */
function dismissed(state: SupervisorState, generation: number): SupervisorState {
	const isComing = ({ phase }: ChildState) => phase === 'spawning' || phase === 'booting' || phase === 'verifying';
	const isDismissed = (child: ChildState) => child.generation === generation && isComing(child);
	if (!state.children.some(isDismissed)) return state;
	const children = state.children.map((each) => (isDismissed(each) ? { ...each, isDismissed: true } : each));
	return { ...state, children };
}

/** Whether it is not up yet, and its generation is to replace another one: if it ends now, that generation fails. */
export function isOfCandidate({ candidate, serving }: SupervisorState, { generation, phase }: ChildState): boolean {
	return candidate === generation && serving !== 0 && (phase === 'booting' || phase === 'verifying');
}

/** Whether it was not ready in time, or its generation failed before it was up: then it is killed if it does not leave. */
export function isNoGood({ isRejected, isDismissed }: Pick<ChildState, 'isRejected' | 'isDismissed'>): boolean {
	return isRejected || isDismissed;
}

/** One that has no process yet. */
export function newChild({ child, generation, index, at }: Omit<FactOf<'child.spawning'>, 'seq' | 'type'>): ChildState {
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
		spawnedClock: null,
		deadline: null,
		readyBy: null,
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
		survivors: [],
	};
}

function rejected({ reason, code = 'deadline' }: Extract<Fact, { type: 'child.rejected' }>): Partial<ChildState> {
	return { isRejected: true, rejection: { reason, code } };
}

/** Up to commit cd933d0 a child is up since it was verified: `child.ready` has no clock of its own. */
function verified(
	state: SupervisorState,
	{ child: id, clock }: Extract<Fact, { type: 'child.verified' }>,
): SupervisorState {
	const isVerified = state.children.some(({ child, phase }) => child === id && phase === 'verifying');
	return isVerified && clock !== undefined ? withChild(state, id, { clock }) : state;
}

/** It is up: since when, an earlier program told with what was seen of it. */
function serving(
	state: SupervisorState,
	{ child: id, at, clock }: Extract<Fact, { type: 'child.ready' }>,
): SupervisorState {
	const known = state.children.find(({ child }) => child === id);
	const since = clock ?? known?.clock ?? null;
	return withChild(state, id, { phase: 'serving', since: at, clock: since, wasUp: true, deadline: null });
}

/** One that has said that it is up is, also where its supervisor was killed before that was decided. */
function announced(
	state: SupervisorState,
	{ child: id, by }: Extract<Fact, { type: 'child.announced' }>,
): SupervisorState {
	const isBooting = state.children.some(({ child, phase }) => child === id && phase === 'booting');
	return isBooting ? withChild(state, id, { readyBy: by }) : state;
}

/** The place of one that was told to leave is vacant when those that it has left behind are gone too, where they are waited for. */
function exited(state: SupervisorState, fact: Extract<Fact, { type: 'child.exited' }>): SupervisorState {
	const { child: id, survivors, at, clock = null } = fact;
	const known = state.children.find(({ child }) => child === id);
	const awaited = known !== undefined && isLeaving(known) ? awaitedOf(fact, state.plan, isNoGood(known)) : [];
	const next = awaited.length > 0 ? state : withEnded(state, fact);
	if (survivors.length === 0) return withoutChild(next, id);
	return withChild(next, id, { phase: 'orphaned', since: at, clock, survivors: awaited });
}

/**
 * Who is waited for of those that a child which was told to leave has left behind: all, where they are killed in the end;
 * else those that were seen to hold a listener.
 */
export function awaitedOf(
	{ survivors, holders = [] }: Pick<Extract<Fact, { type: 'child.exited' }>, 'survivors' | 'holders'>,
	plan: Plan,
	isNoGood: boolean,
): number[] {
	return killTimeoutFor(plan, isNoGood) === null
		? holders.flatMap(({ pid, fds }) => (fds.length > 0 ? pid : []))
		: survivors;
}

/** Whoever was told to leave, but for one that was not ready in time, is not missed. */
function withEnded(
	state: SupervisorState,
	{ child: id, seq, at, clock }: Extract<Fact, { type: 'child.exited' | 'child.spawnFailed' | 'group.gone' }>,
): SupervisorState {
	const known = state.children.find(({ child }) => child === id);
	if (!known || (isLeaving(known) && !known.isRejected)) return state;
	return { ...state, ended: { ...known, endedBy: seq, endedAt: at, endedClock: clock ?? null } };
}

/** At most one for a place. */
export function withRespawn(state: SupervisorState, respawn: Respawn): SupervisorState {
	const respawns = [...state.respawns.filter((each) => !isOfSlot(each, respawn)), respawn];
	return { ...state, ended: null, respawns };
}

function isOfSlot(
	respawn: Pick<Respawn, 'generation' | 'index'>,
	{ generation, index }: Pick<Respawn, 'generation' | 'index'>,
): boolean {
	return respawn.generation === generation && respawn.index === index;
}

function withoutRespawns(state: SupervisorState, generations: number[]): SupervisorState {
	const isOf = ({ generation }: { generation: number }) => generations.includes(generation);
	const ended = state.ended && !isOf(state.ended) ? state.ended : null;
	return { ...state, ended, respawns: state.respawns.filter((each) => !isOf(each)) };
}

function withChild(state: SupervisorState, id: number, change: Partial<ChildState>): SupervisorState {
	return {
		...state,
		children: state.children.map((child) => (child.child === id ? { ...child, ...change } : child)),
	};
}

/** Without one that is gone. */
export function withoutChild(state: SupervisorState, id: number): SupervisorState {
	return { ...state, children: state.children.filter(({ child }) => child !== id) };
}

/** A stop may have a patience of its own, which is counted anew. */
function hurried(state: SupervisorState, fact: Extract<Fact, { type: 'stop.begun' }>): SupervisorState {
	const { kill, clock = null } = fact;
	if (kill === state.plan.kill) return state;
	const children = state.children.map((child) => (isLeaving(child) ? { ...child, clock } : child));
	return { ...state, plan: { ...state.plan, kill }, children };
}

/** A wait counts from the first time that a child is told to leave. */
function signalled(state: SupervisorState, fact: Extract<Fact, { type: 'child.signalled' }>): SupervisorState {
	const { child: id, reason, at, clock = null } = fact;
	if (reason === 'forward') return withChild(state, id, { wasForwarded: true });
	const phase = reason === 'kill' || reason === 'crowd' ? 'killing' : 'draining';
	const known = state.children.find(({ child }) => child === id);
	return !known || (phase === 'draining' && isLeaving(known))
		? state
		: withChild(state, id, { phase, since: at, clock });
}
