/**
 * Facts: what happened, in the past tense, as plain JSON. Happenings come from outside and are all that the
 * statecharts ever learn of the world; decisions are what the statecharts made of them.
 */
import type { SupervisorState } from '../state/supervisorState.ts';

/** What the operator asked for, as far as the statecharts need to know it. */
export interface Plan {
	/** Milliseconds a new child must stay alive before it counts as up, or that it has to say so. */
	start: number;
	/** What makes a child ready: its own message or the wait, whichever is first; or its message or being seen to accept; or its message alone. */
	ready: 'wait' | 'accept' | 'notify';
	/** What must be seen of a ready candidate before an older generation is told to leave: it accepts; it holds the listeners; nothing. */
	verify: 'accept' | 'hold' | 'none';
	/** Milliseconds a child may live after it was told to leave; 0 is for ever. */
	kill: number;
	/** The signal that tells an old child to leave, without its SIG. */
	drain: string;
	/** The signal that a stop by SIGTERM or SIGINT sends on, without its SIG; null is the same. */
	stop: string | null;
	/** Children in a generation. */
	size: number;
	/** Milliseconds until a child that was lost is started again; -1 is never. */
	respawn: number;
	/** Generations that may drain at the same time; 0 is any number. */
	maxDraining: number;
}

/** What -verify is where it is not given: with -start=0, the original's "feature disabled", candidates are not waited for. */
export function usualVerify(start: number): Plan['verify'] {
	return start > 0 ? 'accept' : 'hold';
}

/** As it is without any flag. */
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
};

/** How a child is known to be up: by sd_notify, by einhorn's ack, as it was seen to accept, or as it has lived for long enough. */
export type ReadySource = 'notify' | 'ack' | 'accept' | 'wait';

/**
 * Why a rotation failed, for scripts. `exited`: a child ended; `deadline`: it was not ready in time; `not-accepting`: it was
 * not seen to accept (or to hold) every listener; `spawn-failed`: no process could be started; `environment`: -env could
 * not be read; `stopped`: a stop came first.
 */
export type FailureCode = 'exited' | 'deadline' | 'not-accepting' | 'spawn-failed' | 'environment' | 'stopped';

/** Who asked for a generation. */
export type Trigger = 'start' | 'SIGHUP' | 'rotate';

/** Why a child got a signal: its successor is up; the supervisor was told to stop; passed on; out of time; too many drain. */
export type SignalReason = 'drain' | 'stop' | 'forward' | 'kill' | 'crowd';

/** A process that has outlived the first one of its child, and holds listeners: its fds; none where they can't be seen. */
export interface Holder {
	pid: number;
	fds: number[];
}

/** What comes from outside. */
export type ExternalEvent =
	| { type: 'supervisor.started'; pid: number; plan: Plan }
	/** The facts before this one were folded into a state: after an upgrade, a crash or a compaction. */
	| { type: 'supervisor.recovered'; pid: number; by: 'start' | 'upgrade'; state: SupervisorState }
	| Request
	/**
	 * `startTime` is field 22 of /proc/PID/stat, clock ticks since boot: with it a pid is unique. `pipe` is
	 * the inode of the pipe that the child prints to. `program` and `directory` are the real paths of what was started and of
	 * where it was started; null where they could not be read.
	 */
	| {
			type: 'child.spawned';
			child: number;
			pid: number;
			startTime: number;
			pipe: number;
			program?: string | null;
			directory?: string | null;
	  }
	| { type: 'child.spawnFailed'; child: number; reason: string; code?: 'environment' }
	/**
	 * `code` and `signal` are both null for an adopted stranger, whose parent alone learns its status. `left` are
	 * others of its process group, and of those descended from it, that live on; `holders` are those of them that hold a
	 * listener, by their own `fds`. `lastOutput` are the last lines that it has printed, here as below: of a
	 * generation that has no result yet. `hint` is what its output says of its end: that it tried to bind an address that is
	 * the supervisor's.
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
	/** The others of a process group whose leader had left are gone too. */
	| { type: 'group.gone'; child: number }
	/** Its wait was over, and it was found stopped (SIGSTOP, SIGTTIN): it is not up. */
	| { type: 'child.stopped'; child: number; pid: number; lastOutput?: string[] }
	/** `ignored`: of one that is late, what it has said and was not believed, as a sentence's end. */
	| { type: 'timer.elapsed'; child: number; timer: 'boot' | 'kill'; lastOutput?: string[]; ignored?: string }
	/** It says that it is up. */
	| { type: 'child.announced'; child: number; by: 'notify' | 'ack' }
	/** It says that it needs so many milliseconds more, from now. */
	| { type: 'child.delayed'; child: number; millis: number }
	/**
	 * Its processes were seen to accept on every listener (with -verify=hold: to hold it), or that can't be seen, for this
	 * `reason`. `blocking` are listeners that it polls and whose socket blocks, as `tcp://:80 (its fd 3)`.
	 */
	| { type: 'child.verified'; child: number; isSeen: boolean; reason?: string; blocking?: string[] }
	/** It is ready, or waited for, and was not seen to accept for a while: a sentence that says where it listens instead. */
	| { type: 'child.unseen'; child: number; reason: string }
	/** It was not seen in time: `missing` are the listeners, as `tcp://:80 (its fd 3)`; `reason` is a sentence. */
	| { type: 'child.unverified'; child: number; missing: string[]; reason?: string; lastOutput?: string[] }
	/** The wait of a place that a lost child has left empty is over. */
	| { type: 'respawn.due'; generation: number; index: number }
	/** No generation serves, and the wait for another one is over. */
	| { type: 'restart.due' }
	| { type: 'upgrade.verified' }
	| { type: 'upgrade.refused'; reason: string }
	/** It was sound, and yet could not take over. */
	| { type: 'upgrade.failed'; reason: string };

/** A happening that asks for something: each is answered by a decision. */
export type Request =
	| { type: 'signal.HUP' }
	| { type: 'signal.TERM' }
	| { type: 'signal.INT' }
	| { type: 'signal.QUIT' }
	| { type: 'signal.USR1' }
	| { type: 'signal.USR2' }
	| { type: 'rotate.requested' }
	/** `kill` is how long children may live then, in milliseconds; without it, as long as the plan says. */
	| { type: 'stop.requested'; kill?: number }
	| { type: 'upgrade.requested' };

/** What the statecharts decided: recorded before it is carried out. */
export type Decision =
	| { type: 'generation.started'; generation: number; trigger: Trigger; size: number }
	/** All of it is up and it serves; `replaced` are the generations that are told to leave for it. */
	| { type: 'generation.promoted'; generation: number; replaced: number[] }
	/** It never served as a whole; `serving` is the generation that goes on, null where there is none. */
	| {
			type: 'generation.failed';
			generation: number;
			serving: number | null;
			reason: string;
			code?: FailureCode | null;
	  }
	/** It is degraded, and goes on: nobody else serves. Of those it replaces nobody lived. */
	| { type: 'generation.degraded'; generation: number; replaced: number[]; reason: string; code?: FailureCode | null }
	/** Too many of its children have died, and none was ever up. */
	| { type: 'generation.exhausted'; generation: number; deaths: number; status: number }
	/** A child is about to be spawned, in this place of its generation: so one can be found whose `child.spawned` was lost. */
	| { type: 'child.spawning'; child: number; generation: number; index: number }
	/** Its deadline is later now: in milliseconds since boot. */
	| { type: 'deadline.moved'; child: number; deadline: number }
	/** It is ready by this. */
	| { type: 'child.verifying'; child: number; by: ReadySource }
	/** It was not ready in time, and is told to leave. */
	| { type: 'child.rejected'; child: number; reason: string; code?: FailureCode }
	/** It is up, since `clock`: milliseconds since boot. */
	| { type: 'child.ready'; child: number; clock?: number }
	/** About to be signalled: so no child is ever told to leave twice. */
	| { type: 'child.signalled'; child: number; signal: string; reason: SignalReason }
	/** It ended without having been told to leave; `status` is what a shell would call its status. */
	| { type: 'child.lost'; child: number; status: number }
	/** It has left others of its process group behind, which are not waited for any more. */
	| { type: 'child.abandoned'; child: number }
	/**
	 * A lost child's place is filled again after `millis`. `attempt` counts the deaths in that place, `wasUp` tells whether
	 * any child in it was ever up.
	 */
	| {
			type: 'respawn.scheduled';
			generation: number;
			index: number;
			attempt: number;
			wasUp: boolean;
			millis: number;
	  }
	/** A rotation will follow when the generation `behind` is up or has failed. */
	| { type: 'rotation.queued'; trigger: Trigger; behind: number }
	| { type: 'request.refused'; request: Request['type']; reason: 'stopping' | 'upgrading' }
	| { type: 'signal.forwarded'; signal: string }
	/** Every child is told to leave, by this signal, and may live for `kill` milliseconds then; 0 is for ever. */
	| { type: 'stop.begun'; request: Request['type']; signal: string; kill: number }
	/** A new start wants to serve: the stop of the supervisor before it is over. */
	| { type: 'stop.cancelled' }
	/** The serving generation is gone, and only older ones that leave are left. */
	| { type: 'service.lost' }
	/** While older ones leave and no generation serves: another one is started after `millis`, for the `attempt`th time. */
	| { type: 'restart.scheduled'; attempt: number; millis: number }
	| { type: 'upgrade.begun' };

/**
 * A fact as it leaves the door: `seq` counts from 1 without gaps, `at` is milliseconds since 1970. Facts that
 * a wait is counted from have a `clock` too: milliseconds since boot, on a clock that is never set.
 */
export type Fact = (ExternalEvent | Decision) & {
	seq: number;
	at: number;
	clock?: number;
	/** Of a decision: the number of the happening that it was made upon. Up to commit cd933d0 it was not recorded. */
	cause?: number;
};

export type ExternalFact = Extract<Fact, ExternalEvent>;

export type FactType = Fact['type'];

/** The fact of one type. */
export type FactOf<T extends FactType> = Extract<Fact, { type: T }>;

/** A wait is counted from these. */
const timed = [
	'child.spawned',
	'child.stopped',
	'child.announced',
	'child.delayed',
	'child.verified',
	'child.unverified',
	'timer.elapsed',
	'child.signalled',
	'child.exited',
	'child.spawnFailed',
	'respawn.scheduled',
	'restart.scheduled',
	'stop.begun',
] as const satisfies FactType[];

export type TimedType = (typeof timed)[number];

const isTimed = new Set<FactType>(timed);

export interface Stamp {
	seq: number;
	at: number;
	clock: () => number;
	/** The number of the happening that the charts live through; null where they wait for one. */
	cause: number | null;
}

/** Numbers and times what was admitted. */
export function stamped(what: ExternalEvent | Decision, { seq, at, clock, cause }: Stamp): Fact {
	return {
		seq,
		at,
		...what,
		...(isTimed.has(what.type) ? { clock: clock() } : {}),
		...(cause !== null && decisions.has(what.type) ? { cause } : {}),
	};
}

const decisions = new Set<string>([
	'generation.started',
	'generation.promoted',
	'generation.failed',
	'generation.degraded',
	'generation.exhausted',
	'child.spawning',
	'deadline.moved',
	'child.verifying',
	'child.ready',
	'child.rejected',
	'child.signalled',
	'child.lost',
	'child.abandoned',
	'respawn.scheduled',
	'rotation.queued',
	'request.refused',
	'signal.forwarded',
	'stop.begun',
	'stop.cancelled',
	'service.lost',
	'restart.scheduled',
	'upgrade.begun',
] satisfies Decision['type'][]);

/** Whether the statecharts said it themselves. */
export function isDecision(fact: Fact): fact is Extract<Fact, Decision> {
	return decisions.has(fact.type);
}
