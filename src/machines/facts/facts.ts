/**
 * Facts, named in the past tense, as plain JSON. A fact is an external event or a decision. External events are the
 * only input of the statecharts; decisions are their output.
 */
import type { SupervisorState } from '../state/supervisorState.ts';

/** The part of the command line options that the statecharts need. */
export interface Plan {
	/** Milliseconds that a new child must stay alive to be ready, or within which it must report that it is ready. */
	start: number;
	/**
	 * What makes a child ready. `wait`: its message, or `start` milliseconds, whichever comes first. `accept`: its
	 * message, or the listener check sees it accept. `notify`: its message only.
	 */
	ready: 'wait' | 'accept' | 'notify';
	/**
	 * What the listener check must see of a ready candidate before an older generation is stopped. `accept`: it accepts
	 * on every listener. `hold`: it holds every listener. `none`: there is no check.
	 */
	verify: 'accept' | 'hold' | 'none';
	/** Milliseconds from a child's stop signal to its SIGKILL; 0 means no limit. */
	kill: number;
	/** The signal that stops a replaced child, without the SIG prefix. */
	drain: string;
	/**
	 * The signal that the children receive on a stop, without the SIG prefix. Null: SIGINT for a stop by SIGINT, SIGTERM
	 * for any other stop.
	 */
	stop: string | null;
	/** Children in a generation. */
	size: number;
	/** Milliseconds until a lost child is started again; -1 means never. */
	respawn: number;
	/** Generations that may drain at the same time; 0 means no limit. */
	maxDraining: number;
	/** Milliseconds that a ready candidate serves beside the serving generation before it is promoted; 0 means none. */
	bake: number;
	/** What the health check requests, as in -check: `/up`, `https:///up`, `http://HOST/up`. Empty means no check. */
	check: string;
}

/**
 * The default of -verify. In the original program -start=0 means "feature disabled": a candidate is up at once. `hold`
 * keeps that, as a child holds its listeners from its start.
 * @param start the -start option in milliseconds
 */
export function usualVerify(start: number): Plan['verify'] {
	return start > 0 ? 'accept' : 'hold';
}

/** The plan without any command line flag. */
export const usualPlan: Plan = {
	start: 3000,
	ready: 'wait',
	verify: 'accept',
	kill: 0,
	drain: 'HUP',
	stop: null,
	size: 1,
	respawn: -1,
	maxDraining: 0,
	bake: 0,
	check: '',
};

/**
 * What made a child ready. `notify`: its sd_notify message. `ack`: its einhorn ack. `accept`: the listener check saw it
 * accept. `wait`: it stayed alive for -start.
 */
export const readySources = ['notify', 'ack', 'accept', 'wait'] as const;

export type ReadySource = (typeof readySources)[number];

/**
 * Why a rotation failed, as a stable code for scripts. `exited`: a child exited. `deadline`: a child was not ready
 * before its deadline. `not-accepting`: the listener check did not see a child accept on (or hold) every listener.
 * `spawn-failed`: no process could be started. `environment`: the -env file could not be read. `bake`: a child exited
 * during the bake. `check-failed`: the health check did not pass in time, or failed during the bake. `stopped`: a stop
 * came first.
 */
export const failureCodes = [
	'exited',
	'deadline',
	'not-accepting',
	'spawn-failed',
	'environment',
	'bake',
	'check-failed',
	'stopped',
] as const;

export type FailureCode = (typeof failureCodes)[number];

/**
 * What triggered the start of a generation. `start`: the supervisor itself, at its own start or after a restart wait.
 */
export const triggers = ['start', 'SIGHUP', 'rotate'] as const;

export type Trigger = (typeof triggers)[number];

/**
 * Why the supervisor signalled a child. `drain`: it is replaced, or was rejected, or its generation failed. `stop`: the
 * supervisor stops. `forward`: the supervisor received the signal and passes it on. `kill`: its kill timeout elapsed,
 * or its leader was killed. `crowd`: more generations drain than -max-draining allows. `watchdog`: it is hung.
 */
export const signalReasons = ['drain', 'stop', 'forward', 'kill', 'crowd', 'watchdog'] as const;

export type SignalReason = (typeof signalReasons)[number];

/**
 * A surviving process that holds, or may hold, listeners. `fds` are its own file descriptors of them; empty if they
 * cannot be read.
 */
export interface Holder {
	pid: number;
	fds: number[];
}

/** Input of the statecharts. */
export type ExternalEvent =
	| { type: 'supervisor.started'; pid: number; plan: Plan }
	/** `state` is the fold of all facts before this one: after an upgrade, a crash or a compaction. */
	| { type: 'supervisor.recovered'; pid: number; by: 'start' | 'upgrade'; state: SupervisorState }
	| Request
	/**
	 * `startTime` is field 22 of /proc/PID/stat, in clock ticks since boot: pid and start time together are unique.
	 * `pipe` is the inode of the pipe that receives the child's output; null with -output=inherit. `program` and `directory` are the real paths of
	 * the program and of its working directory; null if they could not be read.
	 */
	| {
			type: 'child.spawned';
			child: number;
			pid: number;
			startTime: number;
			pipe: number | null;
			program?: string | null;
			directory?: string | null;
	  }
	| { type: 'child.spawnFailed'; child: number; reason: string; code?: 'environment' }
	/**
	 * The leader of a child exited. `code` and `signal` are both null for an adopted non-child process: only its parent
	 * receives the exit status. `status` is the exit status as a shell shows it. `survivors` are surviving processes of
	 * its process group and its descendants. `holders` are the survivors that hold, or may hold, a listener. `lastOutput`
	 * is the child's output tail. In this event and the events below, it is present only while the generation has no
	 * result. `hint` is set if that output shows that the child tried to bind an address of the supervisor.
	 */
	| {
			type: 'child.exited';
			child: number;
			pid: number;
			code: number | null;
			signal: string | null;
			status: number;
			survivors: number[];
			holders?: Holder[];
			lastOutput?: string[];
			hint?: string;
	  }
	/** After the leader's exit, all surviving processes of the child that are waited for have exited too. */
	| { type: 'group.gone'; child: number }
	/** When its -start wait elapsed, the child was stopped by job control (SIGSTOP, SIGTTIN), so it is not up. */
	| { type: 'child.stopped'; child: number; pid: number; lastOutput?: string[] }
	/** `ignored`: for a late child, the untrusted message that was ignored, as the end of a sentence. */
	| { type: 'timer.elapsed'; child: number; timer: 'boot' | 'kill'; lastOutput?: string[]; ignored?: string }
	/** The child reports that it is ready: by sd_notify, or by einhorn's ack. */
	| { type: 'child.announced'; child: number; by: 'notify' | 'ack' }
	/** The child requests `millis` milliseconds more, from now (sd_notify, EXTEND_TIMEOUT_USEC). */
	| { type: 'child.delayed'; child: number; millis: number }
	/**
	 * The listener check is over. With `isSeen`, the child's processes accept on every listener (-verify=hold: hold every
	 * listener). Without it, the check is impossible for this `reason`. `blocking` are the listeners that the child polls
	 * and whose socket is blocking, each as `tcp://:80 (its fd 3)`.
	 */
	| { type: 'child.verified'; child: number; isSeen: boolean; reason?: string; blocking?: string[] }
	/**
	 * The listener check has not seen the child accept for a while; the check of a candidate continues. `reason` is a
	 * sentence that also names the addresses where the child listens instead.
	 */
	| { type: 'child.unseen'; child: number; reason: string }
	/**
	 * The listener check failed at its deadline. `missing`: listeners, as `tcp://:80 (its fd 3)`. `reason`: a sentence.
	 */
	| { type: 'child.unverified'; child: number; missing: string[]; reason?: string; lastOutput?: string[] }
	/** -watchdog: the child sends `WATCHDOG=1`, and must do so every `millis` milliseconds from now on. */
	| { type: 'child.watched'; child: number; millis: number }
	/**
	 * -watchdog: the serving child has sent no `WATCHDOG=1` for `millis` milliseconds or, if `isTriggered`, has sent
	 * `WATCHDOG=trigger`. `attempt` is 2 if it has not exited after it was aborted.
	 */
	| { type: 'child.hung'; child: number; pid: number; millis: number; isTriggered: boolean; attempt: number }
	/** The respawn wait of a vacant slot elapsed. */
	| { type: 'respawn.due'; generation: number; index: number }
	/** No generation serves, and the wait before the next generation elapsed. */
	| { type: 'restart.due' }
	/** The candidate has served beside the serving generation for the time of -bake. */
	| { type: 'bake.due' }
	/**
	 * The health check of a generation has not passed yet, and is tried again. `problem` is the status of the answer or
	 * the error, as the end of a sentence: `503`, `connection refused`. A problem that repeats is not reported again.
	 */
	| { type: 'check.tried'; generation: number; problem: string }
	/** The health check passed: the last answer had this status. It took `millis` milliseconds. */
	| { type: 'check.passed'; generation: number; status: number; millis: number }
	/**
	 * The health check did not pass before its deadline or, during a bake, an attempt failed. `reason` is a sentence,
	 * `problem` as in `check.tried`.
	 */
	| { type: 'check.failed'; generation: number; problem: string; reason: string; millis: number; lastOutput?: string[] }
	| { type: 'upgrade.verified' }
	| { type: 'upgrade.refused'; reason: string }
	/** The new program passed its check, but could not take over. */
	| { type: 'upgrade.failed'; reason: string };

/** A request: an external event that the statecharts answer with a decision. */
export type Request =
	| { type: 'signal.HUP' }
	| { type: 'signal.TERM' }
	| { type: 'signal.INT' }
	| { type: 'signal.QUIT' }
	| { type: 'signal.USR1' }
	| { type: 'signal.USR2' }
	| { type: 'rotate.requested' }
	/** `kill` is the kill timeout of this stop, in milliseconds. Without it the plan's kill timeout applies. */
	| { type: 'stop.requested'; kill?: number }
	/** One generation, which drains or is the candidate, is to be stopped. `kill` as in `stop.requested`. */
	| { type: 'generation.stopRequested'; generation: number; kill?: number }
	| { type: 'upgrade.requested' };

/** A request that the next supervisor processes if no decision has answered it. */
export type KeptRequest = Exclude<Request, { type: 'generation.stopRequested' }>;

/** Output of the statecharts. A decision is recorded before the supervisor acts on it. */
export type Decision =
	| { type: 'generation.started'; generation: number; trigger: Trigger; size: number }
	/**
	 * All children of the candidate are up. It serves beside the serving generation for `millis` milliseconds before it
	 * is promoted.
	 */
	| { type: 'bake.started'; generation: number; millis: number }
	/**
	 * All children of the generation are up, and its health check begins: of the candidate, before it bakes or is
	 * promoted, with `millis` milliseconds until its deadline; or of a serving generation that is degraded, until it
	 * passes (`millis` is 0).
	 */
	| { type: 'check.started'; generation: number; millis: number }
	/**
	 * All children of the generation are up, and it serves. `replaced` are the generations that are stopped for it. `restarts`
	 * is 0 if the generation before served long enough for the restarts to be counted anew; absent otherwise.
	 */
	| { type: 'generation.promoted'; generation: number; replaced: number[]; restarts?: 0 }
	/**
	 * The generation was never complete and does not serve. `serving` is the generation that keeps serving; null if no
	 * generation serves.
	 */
	| {
			type: 'generation.failed';
			generation: number;
			serving: number | null;
			reason: string;
			code?: FailureCode | null;
	  }
	/**
	 * The generation is incomplete but no other generation serves, so it is kept as degraded. The `replaced` generations
	 * had no living child.
	 */
	| { type: 'generation.degraded'; generation: number; replaced: number[]; reason: string; code?: FailureCode | null }
	/** Too many children of the generation exited, and none was ever up. */
	| { type: 'generation.exhausted'; generation: number; deaths: number; status: number }
	/**
	 * The supervisor is about to spawn a child in slot `index`. It is recorded before the spawn, so that a recovery finds
	 * a child whose `child.spawned` was lost.
	 */
	| { type: 'child.spawning'; child: number; generation: number; index: number }
	/** The child's deadline moves to `deadline`, in milliseconds since boot. */
	| { type: 'deadline.moved'; child: number; deadline: number }
	/** The child is ready, for the reason `by`, since `clock` (milliseconds since boot); the listener check follows if another generation serves. */
	| { type: 'child.verifying'; child: number; by: ReadySource; clock?: number }
	/** The child was not ready before its deadline, and is stopped. */
	| { type: 'child.rejected'; child: number; reason: string; code?: FailureCode }
	/** The child is up since `clock`, in milliseconds since boot. */
	| { type: 'child.ready'; child: number; clock?: number }
	/**
	 * The child is about to be signalled. It is recorded first, so that a recovery does not send a drain signal again.
	 */
	| { type: 'child.signalled'; child: number; signal: string; reason: SignalReason }
	/** The child exited without a stop signal. `status` is its exit status as a shell shows it. */
	| { type: 'child.lost'; child: number; status: number }
	/** The supervisor no longer waits for the child's surviving processes. */
	| { type: 'child.abandoned'; child: number }
	/**
	 * The slot of a lost child is filled again after `millis` milliseconds. `attempt` counts the exits in that slot since
	 * a child of it was healthy. `wasUp` is set if any child in it was ever up.
	 */
	| {
			type: 'respawn.scheduled';
			generation: number;
			index: number;
			attempt: number;
			wasUp: boolean;
			millis: number;
	  }
	/** A rotation starts after the generation `behind` is up or has failed. */
	| { type: 'rotation.queued'; trigger: Trigger; behind: number }
	/** `generation`: the generation that a stop was requested for. */
	| {
			type: 'request.refused';
			request: Request['type'];
			reason: 'stopping' | 'upgrading' | 'not-draining';
			generation?: number;
	  }
	| { type: 'signal.forwarded'; signal: string }
	/** Every child receives `signal`, and has a kill timeout of `kill` milliseconds; 0 means no limit. */
	| { type: 'stop.begun'; request: Request['type']; signal: string; kill: number }
	/**
	 * Every child of one generation, which drains or was the candidate, receives `signal`. `kill` is its kill timeout from now on, in milliseconds (0: none);
	 * without it the kill timeout does not change.
	 */
	| { type: 'generation.stopBegun'; generation: number; signal: string; kill?: number }
	/** A newly started supervisor cancels the stop that an earlier supervisor had begun. */
	| { type: 'stop.cancelled' }
	/** The serving generation is gone; only older, stopping generations are left. */
	| { type: 'service.lost' }
	/**
	 * No generation serves while older generations drain. A new generation starts after `millis` milliseconds, for the
	 * `attempt`th time.
	 */
	| { type: 'restart.scheduled'; attempt: number; millis: number }
	| { type: 'upgrade.begun' };

/**
 * A fact as the dispatcher records it. `seq` counts from 1 without gaps. `at` is in milliseconds since 1970. Facts from
 * which a wait or an uptime is measured also have `clock`: milliseconds since boot, on a clock that is never set.
 */
export type Fact = (ExternalEvent | Decision) & {
	seq: number;
	at: number;
	clock?: number;
	/** Decisions only: the `seq` of the external event that caused the decision. Absent up to commit cd933d0. */
	cause?: number;
};

export type ExternalFact = Extract<Fact, ExternalEvent>;

export type FactType = Fact['type'];

export type FactOf<T extends FactType> = Extract<Fact, { type: T }>;
