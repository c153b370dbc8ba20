/** What a child is started with, what it is told, and what it tells. */
import type { FactOf, FailureCode, Plan } from '../facts/facts.ts';

export interface ChildInput {
	child: number;
	generation: number;
	/** Its place in the generation, from 0 on. */
	index: number;
	plan: Plan;
	/** Another generation serves: this child must be verified before it counts as up. */
	isGated: boolean;
}

/** What the process actor is started with; it answers with happenings, through the door. */
export interface ProcessInput {
	child: number;
	generation: number;
	index: number;
	/** The pid of a process that runs already. */
	adopted?: number;
	/** That has left, and others that it has left behind have not. */
	isOrphaned?: boolean;
}

/** What the process actor is asked to do. */
export interface ProcessCommand {
	type: 'signal';
	signal: string;
}

/** A wait of `millis`, for ever when they are null, counted from `since` (milliseconds since boot; null is now). */
export type TimerInput = (
	| { timer: 'boot' | 'kill'; child: number }
	| { timer: 'respawn'; generation: number; index: number }
	| { timer: 'restart' }
) & { millis: number | null; since: number | null };

/** Which child's processes are looked at, and for what. */
export interface ListenerCheckInput {
	child: number;
	/**
	 * `readiness`: being seen makes it ready; `promotion`: it is ready, and must be seen before an older generation leaves;
	 * `notice`: it serves, and is named where it is not seen for a while; null: nothing is looked at.
	 */
	purpose: 'readiness' | 'promotion' | 'notice' | null;
	/** How long it is looked for, in milliseconds, from `since` (milliseconds since boot; null is now). */
	millis: number;
	since: number | null;
}

/** What a generation orders its children to do. */
export type ChildOrder =
	| { type: 'spawn' }
	/** It goes on after a restart of its supervisor: what was about to follow follows now. */
	| { type: 'resume' }
	| StopOrder
	| { type: 'forward'; signal: string }
	/** Too many generations drain: it is killed. */
	| { type: 'crowdOut' }
	/** It is not what it should be, and yet the best there is. */
	| { type: 'continue' };

export type StopOrder =
	/** Obeyed once: whoever was told to leave is not told again. `isDismissal`: its generation failed. */
	| { type: 'leave'; signal: string; reason: 'drain' | 'stop'; isDismissal?: true }
	/** Obeyed each time; `kill` is how long it may live then, in milliseconds. */
	| { type: 'stop'; signal: string; kill: number; isDismissal?: true };

/** What a child tells its generation while it lives. */
export type ChildNews =
	/** It is up since `upAt`, in milliseconds since boot. */
	| { type: 'childUp'; child: number; upAt: number }
	/** It was not seen to accept, or to hold its sockets. */
	| { type: 'childUnverified'; child: number; reason: string; code: FailureCode }
	/** It was not ready in time, and was told to leave. */
	| { type: 'childRejected'; child: number; reason: string; code: FailureCode };

/** What a child ends with. */
export interface ChildOutput {
	child: number;
	/** What a shell would call its status; null when it had been told to leave. */
	status: number | null;
	/** How it ended, or why it was no good. */
	reason: string;
	code: FailureCode;
	/** It may have ended for a signal that was passed on to it. */
	wasForwarded: boolean;
	/** When it was up, and when it ended: in milliseconds since boot. */
	upAt: number | null;
	endedAt: number;
	/** The number of the fact that it ended by. */
	seq: number;
}

export type ChildEvent = FactOf<
	| 'child.spawned'
	| 'child.spawnFailed'
	| 'child.stopped'
	| 'child.announced'
	| 'child.delayed'
	| 'child.verified'
	| 'child.unseen'
	| 'child.unverified'
	| 'child.exited'
	| 'group.gone'
	| 'timer.elapsed'
>;

export interface GenerationInput {
	generation: number;
	plan: Plan;
	/** The number of its first child; the others follow. */
	firstChild: number;
	/** Another generation serves: its children must be verified before they count as up. */
	isGated: boolean;
}

/** What the supervisor orders a generation to do. */
export type GenerationOrder =
	| Exclude<ChildOrder, { type: 'spawn' }>
	/** A place whose wait is over is to be filled by a child of this number. */
	| { type: 'fill'; index: number; child: number }
	/** Places whose wait was over may be asked for again. */
	| { type: 'refill' };

/** What a generation tells the supervisor while it lives. */
export type GenerationNews =
	/** All its children are up, the last one since `upAt` (milliseconds since boot). */
	| { type: 'generationUp'; generation: number; upAt: number }
	/**
	 * It is degraded: a child left unasked with this status (null where it lives), and others are left or follow; `isAlive`
	 * where one of it lives that was not told to leave.
	 */
	| {
			type: 'generationDegraded';
			generation: number;
			status: number | null;
			reason: string;
			code: FailureCode;
			isAlive: boolean;
	  }
	/** None of its children lives, and some are to be started again. */
	| { type: 'generationEmpty'; generation: number }
	/** A place is to be filled again; `isAlone` where the generation has no child left. */
	| { type: 'slotDue'; generation: number; index: number; isAlone: boolean };

/** What a generation ends with. */
export interface GenerationOutput {
	generation: number;
	/** Of its last child, if that left unasked. */
	status: number | null;
	/** How that ended. */
	reason: string;
	code: FailureCode;
	/** A signal had been passed on to it. */
	wasForwarded: boolean;
	/** Its last child was up for long. */
	wasHealthy: boolean;
	/** Too many of its children had died, and that was said. */
	isExhausted: boolean;
}
