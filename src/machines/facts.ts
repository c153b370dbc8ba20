/**
 * Facts: what happened, in the past tense, as plain JSON. Happenings come from outside and are all that the
 * statecharts ever learn of the world; decisions are what the statecharts made of them.
 */
import type { Roster } from './roster.ts';

/** What the operator asked for, as far as the statecharts need to know it. */
export interface Plan {
	/** Milliseconds a new child must stay alive before it counts as up, or that it has to say so. */
	start: number;
	/** What makes a child up: its own word or the wait, whichever is first; or its word alone. */
	ready: 'wait' | 'notify';
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
}

/** As it is without any flag. */
export const usualPlan: Plan = {
	start: 3000,
	ready: 'wait',
	kill: 0,
	drain: 'HUP',
	stop: null,
	size: 1,
	respawn: -1,
};

/** How a child is known to be up: by sd_notify, by einhorn's ack, or as it has lived for long enough. */
export type Word = 'notify' | 'ack' | 'wait';

/** Who asked for a generation. */
export type Asker = 'start' | 'SIGHUP' | 'rotate';

/** Why a child got a signal: its successor is up; the supervisor was told to stop; passed on; out of time. */
export type SignalReason = 'drain' | 'stop' | 'forward' | 'kill';

/** What comes from outside. */
export type Happening =
	| { type: 'supervisor.started'; pid: number; plan: Plan }
	/** The facts before this one were folded into a roster: after an upgrade, a crash or a compaction. */
	| { type: 'supervisor.recovered'; pid: number; by: 'start' | 'upgrade'; roster: Roster }
	| Request
	/**
	 * `startTime` is field 22 of /proc/PID/stat, clock ticks since boot: with it a pid is unique. `pipe` is
	 * the inode of the pipe that the child prints to.
	 */
	| { type: 'child.spawned'; child: number; pid: number; startTime: number; pipe: number }
	| { type: 'child.spawnFailed'; child: number; reason: string }
	/**
	 * `code` and `signal` are both null for an adopted stranger, whose parent alone learns its status. `left` are
	 * others of its process group that live on. `lastWords` are the last lines that it has printed, here as below: of a
	 * generation that has no verdict yet.
	 */
	| {
			type: 'child.exited';
			child: number;
			pid: number;
			code: number | null;
			signal: string | null;
			status: number;
			left: number[];
			lastWords?: string[];
	  }
	/** The others of a process group whose leader had left are gone too. */
	| { type: 'group.gone'; child: number }
	/** Its wait was over, and it was found stopped (SIGSTOP, SIGTTIN): it is not up. */
	| { type: 'child.stopped'; child: number; pid: number; lastWords?: string[] }
	| { type: 'timer.elapsed'; child: number; timer: 'boot' | 'kill'; lastWords?: string[] }
	/** It says that it is up. */
	| { type: 'child.announced'; child: number; by: Exclude<Word, 'wait'> }
	/** It says that it needs so many milliseconds more, from now. */
	| { type: 'child.delayed'; child: number; millis: number }
	/** It, or a process descended from it, was seen to hold every listening socket; or that can't be seen. */
	| { type: 'child.proved'; child: number; isSeen: boolean }
	/** What none of them holds, as `tcp://:80 (its fd 3)`. */
	| { type: 'child.unproved'; child: number; missing: string[]; lastWords?: string[] }
	/** The wait of a place that a lost child has left empty is over. */
	| { type: 'respawn.due'; generation: number; index: number }
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
	| { type: 'generation.started'; generation: number; asked: Asker; size: number }
	/** All of it is up and it serves; `replaced` are the generations that are told to leave for it. */
	| { type: 'generation.promoted'; generation: number; replaced: number[] }
	/** It never served as a whole; `serving` is the generation that goes on, null where there is none. */
	| { type: 'generation.givenUp'; generation: number; serving: number | null; reason: string }
	/** It is not whole, and goes on: nobody else serves. Of those it replaces nobody lived. */
	| { type: 'generation.kept'; generation: number; replaced: number[]; reason: string }
	/** Too many of its children have died, and none was ever up. */
	| { type: 'generation.exhausted'; generation: number; deaths: number; status: number }
	/** A child is about to be spawned, in this place of its generation: so one can be found whose `child.spawned` was lost. */
	| { type: 'child.spawning'; child: number; generation: number; index: number }
	/** Its deadline is later now: in milliseconds since boot. */
	| { type: 'deadline.moved'; child: number; deadline: number }
	/** It is to be up by this; does it hold the sockets? */
	| { type: 'child.proving'; child: number; by: Word }
	/** It has not said in time that it is up, and is told to leave. */
	| { type: 'child.rejected'; child: number; reason: string }
	/** It is up. */
	| { type: 'child.ready'; child: number }
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
	/** A rotation will follow when the generation `behind` is up or given up. */
	| { type: 'rotation.queued'; asked: Asker; behind: number }
	| { type: 'request.refused'; request: Request['type']; reason: 'stopping' | 'upgrading' }
	| { type: 'signal.forwarded'; signal: string }
	/** Every child is told to leave, by this signal, and may live for `kill` milliseconds then; 0 is for ever. */
	| { type: 'stop.begun'; request: Request['type']; signal: string; kill: number }
	/** A new start wants to serve: the stop of the supervisor before it is over. */
	| { type: 'stop.undone' }
	/** The serving generation is gone, and only older ones that leave are left. */
	| { type: 'service.lost' }
	| { type: 'upgrade.begun' };

/**
 * A fact as it leaves the door: `seq` counts from 1 without gaps, `at` is milliseconds since 1970. Facts that
 * a wait is counted from have a `clock` too: milliseconds since boot, on a clock that is never set.
 */
export type Fact = (Happening | Decision) & { seq: number; at: number; clock?: number };

export type HappeningFact = Extract<Fact, Happening>;

export type FactType = Fact['type'];

/** The fact of one type. */
export type FactOf<T extends FactType> = Extract<Fact, { type: T }>;

const isTimed = new Set<FactType>([
	'child.spawned',
	'child.stopped',
	'child.delayed',
	'child.proved',
	'child.unproved',
	'child.signalled',
	'child.exited',
	'child.spawnFailed',
	'respawn.scheduled',
	'stop.begun',
]);

/** Numbers and times what was admitted. */
export function stamped(what: Happening | Decision, seq: number, at: number, clock: () => number): Fact {
	return isTimed.has(what.type) ? { seq, at, ...what, clock: clock() } : { seq, at, ...what };
}

const decisions = new Set<string>([
	'generation.started',
	'generation.promoted',
	'generation.givenUp',
	'generation.kept',
	'generation.exhausted',
	'child.spawning',
	'deadline.moved',
	'child.proving',
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
	'stop.undone',
	'service.lost',
	'upgrade.begun',
] satisfies Decision['type'][]);

/** Whether the statecharts said it themselves. */
export function isDecision(fact: Fact): fact is Extract<Fact, Decision> {
	return decisions.has(fact.type);
}
