/** The supervisor's state: its children, their phases, and since when. A pure fold over the facts. */
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
	/** The number of its slot in the generation, from 0. */
	index: number;
	pid: number | null;
	startTime: number | null;
	/** The inode of the pipe that receives its output. */
	pipe: number | null;
	phase: Phase;
	/** When the child entered its phase, in milliseconds since 1970. */
	since: number;
	/** When the wait of the phase began or, of a serving child, when it was up; in milliseconds since boot. */
	clock: number | null;
	/** When its process was spawned, in milliseconds since boot; null if an earlier program version did not record it. */
	spawnedClock: number | null;
	/** The moved deadline for its readiness, in milliseconds since boot; null if the deadline was not moved. */
	deadline: number | null;
	/** What made it ready, or how it reported that it is; null before. */
	readyBy: ReadySource | null;
	/**
	 * The result of the listener check: true if the child was seen to accept (-verify=hold: to hold the listeners), false
	 * if the check is impossible, null before.
	 */
	isSeen: boolean | null;
	/** The real paths of the program and of its working directory; null if they are unknown. */
	program: string | null;
	directory: string | null;
	/** The last sentence of the listener check about a child that does not accept yet; null if there is none. */
	unseen: string | null;
	/** It was not ready before its deadline. */
	isRejected: boolean;
	/** Its generation failed before the child was up. */
	isDismissed: boolean;
	/** Why it was rejected; null if it was not, or if an earlier program version did not record the reason. */
	rejection: { reason: string; code: FailureCode } | null;
	/** A signal was passed on to it, which may be the cause of its exit. */
	wasForwarded: boolean;
	/** How many children exited in its slot before, and whether any child in the slot was ever up. */
	attempt: number;
	wasUp: boolean;
	/** The surviving processes that the supervisor waits for, by pid. */
	survivors: number[];
}

/** A vacant slot that is to be filled again. */
export interface Respawn {
	generation: number;
	index: number;
	attempt: number;
	wasUp: boolean;
	/** The length of the wait, and when it began: `at` since 1970, `clock` since boot. All in milliseconds. */
	millis: number;
	at: number;
	clock: number | null;
	/** The wait has elapsed. A rotation holds the slot back, or the slot was about to be filled. */
	isDue: boolean;
}

/** A child that exited without a stop signal, or a rejected child that exited. */
export interface Ended extends ChildState {
	/**
	 * The `seq` of the fact that ended it, and the time: `endedAt` in milliseconds since 1970, `endedClock` in
	 * milliseconds since boot.
	 */
	endedBy: number;
	endedAt: number;
	endedClock: number | null;
}

export interface SupervisorState {
	plan: Plan;
	/** The generation that was last promoted or kept as degraded; 0 before the first. */
	serving: number;
	/** The serving generation was promoted: all its children were up. False if it is kept as degraded. */
	isComplete: boolean;
	/** The generation that boots. */
	candidate: number | null;
	lastGeneration: number;
	/** Children of that generation. */
	lastSize: number;
	lastChild: number;
	/** What triggered the generation that was started last. */
	trigger: Trigger;
	/** What triggered the queued rotation; null if no rotation is queued. */
	queued: Trigger | null;
	/** The request that no decision has answered yet. */
	unanswered: Request['type'] | null;
	/** The child that ended by the last external event. The decisions that follow from its end may be missing still. */
	ended: Ended | null;
	/**
	 * No generation serves, and a new one starts after `millis`. The wait began at `at` (since 1970) and `clock` (since
	 * boot). All in milliseconds.
	 */
	restart: { millis: number; at: number; clock: number | null } | null;
	/** The number of such restarts since a serving generation was last healthy. */
	restarts: number;
	/** A SIGQUIT was passed on since the last generation started: no generation is restarted automatically. */
	isQuitting: boolean;
	/** The signal of the stop that was begun last; null if no stop is under way. */
	stopSignal: string | null;
	/** The supervisor's exit status, unless a stop is requested. */
	status: number;
	children: ChildState[];
	respawns: Respawn[];
}

/** Adds one fact. The state that is passed in stays unchanged. */
export function evolve(state: SupervisorState | null, fact: Fact): SupervisorState {
	if (fact.type === 'supervisor.started') return newState(fact.plan);
	if (fact.type === 'supervisor.recovered') return fact.state;
	if (!state) throw new Error(`fact ${fact.seq} is ${fact.type}, before the supervisor started`);
	return changed(endsStep(state, fact) ? { ...state, ended: null } : state, fact);
}

/**
 * Whether all decisions that follow from the external event before this fact have been made. `child.spawned` can be
 * recorded in the middle of a step, as a spawn reports its pid at once.
 */
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
				// A candidate that is started again is a new generation: the respawns of the old candidate are dropped.
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
				...withKillTimeout(state, fact),
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

/** Whether a child is stopping: it received a stop signal or SIGKILL, or its leader has exited. */
export function isLeaving({ phase }: ChildState): boolean {
	return phase === 'draining' || phase === 'killing' || phase === 'orphaned';
}

/** Whether a child of the generation has not been seen to accept, so far. Always false with -verify=none. */
export function isUnverified(state: SupervisorState | null, generation: number): boolean {
	const own = (state?.children ?? []).filter((each) => each.generation === generation && !isLeaving(each));
	return state?.plan.verify !== 'none' && own.some(({ isSeen }) => isSeen !== true);
}

/** The supervisor's state in one word. */
export function stateOf(state: SupervisorState): string {
	if (state.lastGeneration > 0 && state.children.length === 0 && state.respawns.length === 0) return 'stopped';
	if (state.stopSignal !== null) return 'stopping';
	if (state.candidate !== null) return state.serving === 0 ? 'starting' : 'rotating';
	if (state.restart !== null) return 'unserved';
	return state.children.some(({ generation }) => generation !== state.serving) ? 'draining' : 'running';
}

/** The state of a supervisor that has just started. */
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

/** Adds a child without a process to its slot, and removes the pending respawn of the slot. */
function spawning(
	state: SupervisorState,
	{ child, generation, index, at }: Extract<Fact, { type: 'child.spawning' }>,
): SupervisorState {
	const isInSlot = (each: Respawn) => isOfSlot(each, { generation, index });
	const { attempt, wasUp } = state.respawns.find(isInSlot) ?? { attempt: 0, wasUp: false };
	const added = { ...newChild({ child, generation, index, at }), attempt, wasUp };
	const respawns = state.respawns.some(isInSlot) ? state.respawns.filter((each) => !isInSlot(each)) : state.respawns;
	return { ...state, lastChild: child, children: [...state.children, added], respawns };
}

/**
 * Marks the generation's children that are not up yet. They have served no client, so they get a limited kill timeout.
 */
function dismissed(state: SupervisorState, generation: number): SupervisorState {
	const isComing = ({ phase }: ChildState) => phase === 'spawning' || phase === 'booting' || phase === 'verifying';
	const isDismissed = (child: ChildState) => child.generation === generation && isComing(child);
	if (!state.children.some(isDismissed)) return state;
	const children = state.children.map((each) => (isDismissed(each) ? { ...each, isDismissed: true } : each));
	return { ...state, children };
}

/** Whether the child boots in a candidate beside a serving generation. If such a child exits, the candidate fails. */
export function isOfCandidate({ candidate, serving }: SupervisorState, { generation, phase }: ChildState): boolean {
	return candidate === generation && serving !== 0 && (phase === 'booting' || phase === 'verifying');
}

/**
 * Whether the child was rejected, or its generation failed before the child was up. Such a child is killed after at
 * most `longestKillTimeout`.
 */
export function isNoGood({ isRejected, isDismissed }: Pick<ChildState, 'isRejected' | 'isDismissed'>): boolean {
	return isRejected || isDismissed;
}

/** A child that has no process yet. */
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

/**
 * Up to commit cd933d0 `child.ready` has no clock. In such a journal a child is up since the clock of `child.verified`.
 */
function verified(
	state: SupervisorState,
	{ child: id, clock }: Extract<Fact, { type: 'child.verified' }>,
): SupervisorState {
	const isVerified = state.children.some(({ child, phase }) => child === id && phase === 'verifying');
	return isVerified && clock !== undefined ? withChild(state, id, { clock }) : state;
}

/** The child is up. Without a clock in the fact (commit cd933d0 and earlier), the clock of `child.verified` is kept. */
function serving(
	state: SupervisorState,
	{ child: id, at, clock }: Extract<Fact, { type: 'child.ready' }>,
): SupervisorState {
	const known = state.children.find(({ child }) => child === id);
	const since = clock ?? known?.clock ?? null;
	return withChild(state, id, { phase: 'serving', since: at, clock: since, wasUp: true, deadline: null });
}

/** Keeps the child's message, so that it counts even if the supervisor is killed before it decides on the message. */
function announced(
	state: SupervisorState,
	{ child: id, by }: Extract<Fact, { type: 'child.announced' }>,
): SupervisorState {
	const isBooting = state.children.some(({ child, phase }) => child === id && phase === 'booting');
	return isBooting ? withChild(state, id, { readyBy: by }) : state;
}

/**
 * A stopping child with surviving processes that are waited for becomes `orphaned`. It ends after these processes have
 * exited.
 */
function exited(state: SupervisorState, fact: Extract<Fact, { type: 'child.exited' }>): SupervisorState {
	const { child: id, survivors, at, clock = null } = fact;
	const known = state.children.find(({ child }) => child === id);
	const awaited = known !== undefined && isLeaving(known) ? awaitedOf(fact, state.plan, isNoGood(known)) : [];
	const next = awaited.length > 0 ? state : withEnded(state, fact);
	if (survivors.length === 0) return withoutChild(next, id);
	return withChild(next, id, { phase: 'orphaned', since: at, clock, survivors: awaited });
}

/**
 * The surviving processes of a stopping child that the supervisor waits for. With a kill timeout these are all, as they
 * are killed at its end. Without a kill timeout these are the processes that were seen to hold a listener.
 * @returns pids
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

/**
 * Records an ended child whose end needs a decision. The end of a stopping child needs none, unless the child was
 * rejected.
 */
function withEnded(
	state: SupervisorState,
	{ child: id, seq, at, clock }: Extract<Fact, { type: 'child.exited' | 'child.spawnFailed' | 'group.gone' }>,
): SupervisorState {
	const known = state.children.find(({ child }) => child === id);
	if (!known || (isLeaving(known) && !known.isRejected)) return state;
	return { ...state, ended: { ...known, endedBy: seq, endedAt: at, endedClock: clock ?? null } };
}

/** Adds a respawn; replaces an earlier respawn of the same slot. */
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

export function withoutChild(state: SupervisorState, id: number): SupervisorState {
	return { ...state, children: state.children.filter(({ child }) => child !== id) };
}

/** A stop may change the kill timeout. The new timeout of a child that is stopping already begins now. */
function withKillTimeout(state: SupervisorState, fact: Extract<Fact, { type: 'stop.begun' }>): SupervisorState {
	const { kill, clock = null } = fact;
	if (kill === state.plan.kill) return state;
	const children = state.children.map((child) => (isLeaving(child) ? { ...child, clock } : child));
	return { ...state, plan: { ...state.plan, kill }, children };
}

/** The kill timeout counts from the first stop signal of a child. */
function signalled(state: SupervisorState, fact: Extract<Fact, { type: 'child.signalled' }>): SupervisorState {
	const { child: id, reason, at, clock = null } = fact;
	if (reason === 'forward') return withChild(state, id, { wasForwarded: true });
	const phase = reason === 'kill' || reason === 'crowd' ? 'killing' : 'draining';
	const known = state.children.find(({ child }) => child === id);
	return !known || (phase === 'draining' && isLeaving(known))
		? state
		: withChild(state, id, { phase, since: at, clock });
}
