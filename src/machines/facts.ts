/**
 * The vocabulary. A fact is something that happened, in the past tense, as plain JSON; it is what
 * the journal holds and all that the statecharts ever learn of the world.
 */
import type { Roster } from './roster.ts';

/** What the operator asked for, as far as the statecharts need to know it. */
export interface Plan {
	/** Milliseconds a new child must stay alive before it counts as up. */
	start: number;
	/** Milliseconds a child may live after it was told to leave; 0 is for ever. */
	kill: number;
	/** The signal that tells an old child to leave, without its SIG. */
	drain: string;
	/** Children in a generation. */
	size: number;
}

/** Why a child got a signal: its successor is up; the supervisor was told to stop; passed on; out of time. */
export type SignalReason = 'drain' | 'stop' | 'forward' | 'kill';

/** A fact before the door has numbered and timed it. */
export type Happening =
	| { type: 'supervisor.started'; pid: number; plan: Plan }
	/** The facts before this one were folded into a roster: after an upgrade, a crash or a compaction. */
	| { type: 'supervisor.recovered'; pid: number; roster: Roster }
	| { type: 'signal.HUP' }
	| { type: 'signal.TERM' }
	| { type: 'signal.INT' }
	| { type: 'signal.QUIT' }
	| { type: 'signal.USR1' }
	| { type: 'signal.USR2' }
	| { type: 'rotate.requested' }
	| { type: 'stop.requested' }
	/** About to be spawned: recorded first, so that a child can be found whose `child.spawned` was lost. */
	| { type: 'child.spawning'; child: number; generation: number }
	/**
	 * `startTime` is field 22 of /proc/PID/stat, clock ticks since boot: with it a pid is unique. `pipe` is
	 * the inode of the pipe that the child prints to.
	 */
	| { type: 'child.spawned'; child: number; pid: number; startTime: number; pipe: number }
	| { type: 'child.spawnFailed'; child: number; reason: string }
	/** About to be signalled: recorded first, so that no child is ever signalled twice. */
	| { type: 'child.signalled'; child: number; signal: string; reason: SignalReason }
	/** `code` and `signal` are both null for an adopted stranger, whose parent alone learns its status. */
	| { type: 'child.exited'; child: number; pid: number; code: number | null; signal: string | null; status: number }
	| { type: 'timer.elapsed'; child: number; timer: 'boot' | 'kill' }
	| { type: 'upgrade.verified' }
	| { type: 'upgrade.refused'; reason: string };

/** A fact as it leaves the door: `seq` counts from 1 without gaps, `at` is milliseconds since 1970. */
export type Fact = Happening & { seq: number; at: number };

export type FactType = Happening['type'];

/** The fact of one type. */
export type FactOf<T extends FactType> = Extract<Fact, { type: T }>;

/** A sentence for the operator, decided by a statechart. */
export interface Report {
	level: 'info' | 'warn' | 'error';
	text: string;
}
