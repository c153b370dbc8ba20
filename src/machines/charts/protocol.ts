/** Inputs, orders, reports and outputs of the statecharts of generations and children, and of their actors. */
import type { FactOf, FailureCode, Plan } from '../facts/facts.ts';

export interface ChildInput {
	child: number;
	generation: number;
	/** The number of its slot in the generation, from 0. */
	index: number;
	plan: Plan;
	/** Another generation serves: the child must pass the listener check before it is up. */
	isGated: boolean;
}

/** The input of the process actor. The actor sends external events through the dispatcher. */
export interface ProcessInput {
	child: number;
	generation: number;
	index: number;
	/** The pid of a process that runs already. */
	adopted?: number;
	/** The leader has exited, and surviving processes are left. */
	isOrphaned?: boolean;
}

export interface ProcessCommand {
	type: 'signal';
	signal: string;
}

/**
 * A wait of `millis` milliseconds, counted from `since` (milliseconds since boot; null means now). If `millis` is null,
 * the timer never elapses.
 */
export type TimerInput = (
	| { timer: 'boot' | 'kill'; child: number }
	| { timer: 'respawn'; generation: number; index: number }
	| { timer: 'restart' }
	| { timer: 'bake' }
) & { millis: number | null; since: number | null };

export interface ListenerCheckInput {
	child: number;
	/**
	 * `readiness`: the check makes the child ready. `promotion`: a ready child must pass the check before an older
	 * generation is stopped. `notice`: the child serves, and a warning is logged if it does not accept after a while.
	 * Null: no check runs.
	 */
	purpose: 'readiness' | 'promotion' | 'notice' | null;
	/** The time limit in milliseconds, counted from `since` (milliseconds since boot; null means now). */
	millis: number;
	since: number | null;
}

/**
 * `promotion`: the candidate must pass before it bakes or is promoted. `bake`: the candidate is checked every second
 * while it bakes. `degraded`: the serving generation is checked until it passes. Null: no check runs.
 */
export interface HealthCheckInput {
	generation: number;
	purpose: 'promotion' | 'bake' | 'degraded' | null;
	/** The time limit in milliseconds, counted from `since` (milliseconds since boot; null means now); 0 means none. */
	millis: number;
	since: number | null;
}

/** An order of a generation to a child. */
export type ChildOrder =
	| { type: 'spawn' }
	/** After a recovery of the supervisor: the child takes the step that was pending. */
	| { type: 'resume' }
	| StopOrder
	| { type: 'forward'; signal: string }
	/** Too many generations drain: the child is killed. */
	| { type: 'crowdOut' }
	/** No other generation serves: the child needs no listener check any more, and its generation no bake. */
	| { type: 'continue' };

export type StopOrder =
	/** A stopping child ignores it. `isDismissal`: the child's generation failed. */
	| { type: 'leave'; signal: string; reason: 'drain' | 'stop'; isDismissal?: true }
	/**
	 * A stopping child is signalled again. `kill` is the kill timeout in milliseconds (0: no limit); null: it does not
	 * change.
	 */
	| { type: 'stop'; signal: string; kill: number | null; isDismissal?: true };

/** A report of a child to its generation. */
export type ChildNews =
	/** The child is up since `upAt`, in milliseconds since boot. */
	| { type: 'childUp'; child: number; upAt: number }
	/** The listener check did not see the child accept on (-verify=hold: hold) every listener. */
	| { type: 'childUnverified'; child: number; reason: string; code: FailureCode }
	/** The child was not ready before its deadline, and is stopping. */
	| { type: 'childRejected'; child: number; reason: string; code: FailureCode };

/** The output of a child's statechart. */
export interface ChildOutput {
	child: number;
	/** The exit status of a lost child, as a shell shows it; 1 of a rejected child; null of any other stopped child. */
	status: number | null;
	/** How the child exited, or why it was rejected. */
	reason: string;
	code: FailureCode;
	/** A signal was passed on to the child, which may be the cause of its exit. */
	wasForwarded: boolean;
	/** When the child was up (null if it never was), and when it ended, in milliseconds since boot. */
	upAt: number | null;
	endedAt: number;
	/** The number of the fact that ended the child. */
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
	| 'child.watched'
	| 'child.hung'
	| 'child.exited'
	| 'group.gone'
	| 'timer.elapsed'
>;

export interface GenerationInput {
	generation: number;
	plan: Plan;
	/** The number of its first child. Its further children have the next numbers. */
	firstChild: number;
	/** Another generation serves: each child must pass the listener check before it is up. */
	isGated: boolean;
	/** Another generation serves: the generation bakes beside it before it is promoted. */
	isBaked: boolean;
}

/** An order of the supervisor to a generation. */
export type GenerationOrder =
	| Exclude<ChildOrder, { type: 'spawn' }>
	/** A child of this number fills a slot that is due. */
	| { type: 'fill'; index: number; child: number }
	/** The generation asks again for children in its due slots. */
	| { type: 'refill' };

/** A report of a generation to the supervisor. */
export type GenerationNews =
	/** All children are up, the last one since `upAt` (milliseconds since boot). */
	| { type: 'generationUp'; generation: number; upAt: number }
	/**
	 * The generation is degraded: a child was lost, was rejected, or failed the listener check. `status` is the exit
	 * status of a lost child, 1 of a rejected child, null of a child that failed the check. `isAlive`: at least one child
	 * lives that is not rejected.
	 */
	| {
			type: 'generationDegraded';
			generation: number;
			status: number | null;
			reason: string;
			code: FailureCode;
			isAlive: boolean;
	  }
	/** No child lives, and vacant slots are to be filled again. */
	| { type: 'generationEmpty'; generation: number }
	/** A slot is to be filled again. `isAlone`: the generation has no child left. */
	| { type: 'slotDue'; generation: number; index: number; isAlone: boolean };

/** The output of a generation's statechart. */
export interface GenerationOutput {
	generation: number;
	/** The exit status of its last child if that was lost, 1 if it was rejected; else null. */
	status: number | null;
	/** How its last child exited or, if that was stopped, why the generation was degraded before. */
	reason: string;
	code: FailureCode;
	/** A signal was passed on to its last child. */
	wasForwarded: boolean;
	/** Its last child was up for long enough to be healthy. */
	wasHealthy: boolean;
	/** Too many of its children were lost. The decision `generation.exhausted` has been recorded. */
	isExhausted: boolean;
}
