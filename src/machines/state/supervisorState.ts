/** The supervisor's state, and what can be read in it. The fold that makes it from facts is in evolve.ts. */
import type {
	Fact,
	FactOf,
	FailureCode,
	KeptRequest,
	Plan,
	ReadySource,
	SignalReason,
	Trigger,
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
	/** The inode of the pipe that receives its output; null before its spawn, and with -output=inherit. */
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
	/** When it was ready, in milliseconds since boot; null before, or if an earlier program version did not record it. */
	readyClock: number | null;
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
	/** Its generation failed. */
	isDismissed: boolean;
	/** Why it was rejected; null if it was not, or if an earlier program version did not record the reason. */
	rejection: { reason: string; code: FailureCode } | null;
	/** A signal was passed on to it, which may be the cause of its exit. */
	wasForwarded: boolean;
	/** Signals to pass on to the child as soon as it has a process. */
	forwards: string[];
	/** The stop signal that was sent to it last, and why; null if none was, or if an earlier program version did not record it. */
	stopSignal: { signal: string; reason: SignalReason } | null;
	/** How many children exited in its slot before, and whether any child in the slot was ever up. */
	attempt: number;
	wasUp: boolean;
	/** The kill timeout that a stop of its generation has set, in milliseconds (0: none); null means that of the plan. */
	kill: number | null;
	/** The interval of its watchdog, in milliseconds; null if it has sent no `WATCHDOG=1`. */
	watchdog: number | null;
	/** When it was found to be hung and was aborted, in milliseconds since boot; null if it was not. */
	hungClock: number | null;
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

/**
 * A health check that began at `at` (since 1970) and `clock` (since boot), and must pass within `millis` (0: no limit).
 * The last child of the generation was up at `upAt` (since boot). All in milliseconds.
 */
export interface HealthCheck {
	millis: number;
	at: number;
	clock: number | null;
	upAt: number | null;
	/** The status of the last answer, or the last error; null before the first attempt has failed. */
	problem: string | null;
}

export const noChecks: SupervisorState['checks'] = { candidate: null, serving: null };

export interface SupervisorState {
	plan: Plan;
	/** The generation that was last promoted or kept as degraded; 0 before the first. */
	serving: number;
	/** The serving generation was promoted: all its children were up. False if it is kept as degraded. */
	isComplete: boolean;
	/** When the last child of a promoted generation was up, in milliseconds since boot; null if that is unknown. */
	servingUpAt: number | null;
	/** The generation that boots. */
	candidate: number | null;
	/**
	 * The candidate serves beside the serving generation for `millis`, since `at` (since 1970) and `clock` (since boot). Its
	 * last child was up at `upAt` (since boot). All in milliseconds.
	 */
	bake: { millis: number; at: number; clock: number | null; upAt: number | null } | null;
	/**
	 * The health check of the candidate, and of a serving generation that is degraded, which becomes complete when the
	 * check passes; null of a generation that is not checked.
	 */
	checks: { candidate: HealthCheck | null; serving: HealthCheck | null };
	lastGeneration: number;
	/** Children of that generation. */
	lastSize: number;
	lastChild: number;
	/** What triggered the generation that was started last. */
	trigger: Trigger;
	/** What triggered the queued rotation; null if no rotation is queued. */
	queued: Trigger | null;
	/** The request that no decision has answered yet. */
	unanswered: KeptRequest['type'] | null;
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

/** Whether a child is stopping: it received a stop signal or SIGKILL, or its leader has exited. */
export function isLeaving({ phase }: ChildState): boolean {
	return phase === 'draining' || phase === 'killing' || phase === 'orphaned';
}

/** When the last of these children was up, in milliseconds since boot; null if no child is up. */
export function upAtOf(children: ChildState[]): number | null {
	const clocks = children.flatMap(({ phase, clock }) => (phase === 'serving' && clock !== null ? clock : []));
	return clocks.length === 0 ? null : Math.max(...clocks);
}

/** Whether the child is not up yet. */
export function isComing(child: ChildState): boolean {
	return child.phase !== 'serving' && !isLeaving(child);
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
	const step = candidateStepOf(state);
	if (step === 'starting') return state.serving === 0 ? 'starting' : 'rotating';
	if (step !== null) return step;
	if (state.restart !== null) return 'unserved';
	return state.children.some(({ generation }) => generation !== state.serving) ? 'draining' : 'running';
}

/**
 * Whether the candidate bakes. After a recovery it may be incomplete, or the serving generation may have ended: then it
 * boots, or is about to be promoted.
 */
export function isBaking({
	bake,
	checks,
	candidate,
	serving,
	children,
	respawns,
}: Pick<SupervisorState, 'bake' | 'checks' | 'candidate' | 'serving' | 'children' | 'respawns'>): boolean {
	if (
		bake === null ||
		checks.candidate !== null ||
		candidate === null ||
		respawns.some(({ generation }) => generation === candidate)
	)
		return false;
	return [...children, ...respawns].some(({ generation }) => generation === serving);
}

/**
 * Whether the candidate is complete, and its health check runs. After a recovery it may be incomplete: then it boots. A
 * start without -check ends the check of an earlier start.
 */
export function isChecked({
	checks,
	candidate,
	respawns,
	plan,
}: Pick<SupervisorState, 'checks' | 'candidate' | 'respawns' | 'plan'>): boolean {
	if (plan.check === '' || checks.candidate === null || candidate === null) return false;
	return respawns.every(({ generation }) => generation !== candidate);
}

/** What the candidate does; null if there is none. */
export function candidateStepOf(state: SupervisorState): 'starting' | 'checking' | 'baking' | null {
	if (state.candidate === null) return null;
	if (isBaking(state)) return 'baking';
	return isChecked(state) ? 'checking' : 'starting';
}

/** The state of a supervisor that has just started. */
export function newState(plan: Plan): SupervisorState {
	return {
		plan,
		serving: 0,
		isComplete: false,
		servingUpAt: null,
		candidate: null,
		bake: null,
		checks: noChecks,
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

/** Whether the child boots, is checked or bakes in a candidate beside a serving generation. If such a child exits, the candidate fails. */
export function isOfCandidate(state: SupervisorState, child: ChildState): boolean {
	const { candidate, serving } = state;
	if (candidate !== child.generation || serving === 0 || child.pid === null) return false;
	return isComing(child) || (child.phase === 'serving' && (isBaking(state) || isChecked(state)));
}

/**
 * Whether the child was rejected, or its generation failed. Such a child is killed after at
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
		readyClock: null,
		isSeen: null,
		program: null,
		directory: null,
		unseen: null,
		isRejected: false,
		isDismissed: false,
		rejection: null,
		wasForwarded: false,
		forwards: [],
		stopSignal: null,
		attempt: 0,
		wasUp: false,
		kill: null,
		watchdog: null,
		hungClock: null,
		survivors: [],
	};
}

/**
 * The surviving processes of a stopping child that the supervisor waits for. With a kill timeout these are all, as they
 * are killed at its end. Without a kill timeout these are the processes that were seen to hold a listener.
 * @returns pids
 */
export function awaitedOf(
	{ survivors, holders = [] }: Pick<Extract<Fact, { type: 'child.exited' }>, 'survivors' | 'holders'>,
	plan: Pick<Plan, 'kill'>,
	isNoGood: boolean,
): number[] {
	return killTimeoutFor(plan, isNoGood) === null
		? holders.flatMap(({ pid, fds }) => (fds.length > 0 ? pid : []))
		: survivors;
}

/** The kill timeout of a child as it was ordered, in milliseconds; 0 means none. */
export function killPlanOf(plan: Pick<Plan, 'kill'>, { kill }: Pick<ChildState, 'kill'>): Pick<Plan, 'kill'> {
	return { kill: kill ?? plan.kill };
}

/** Adds a respawn; replaces an earlier respawn of the same slot. */
export function withRespawn(state: SupervisorState, respawn: Respawn): SupervisorState {
	const respawns = [...state.respawns.filter((each) => !isOfSlot(each, respawn)), respawn];
	return { ...state, ended: null, respawns };
}

export function isOfSlot(
	respawn: Pick<Respawn, 'generation' | 'index'>,
	{ generation, index }: Pick<Respawn, 'generation' | 'index'>,
): boolean {
	return respawn.generation === generation && respawn.index === index;
}

export function withoutChild(state: SupervisorState, id: number): SupervisorState {
	return { ...state, children: state.children.filter(({ child }) => child !== id) };
}
