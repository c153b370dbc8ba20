/** The lifespans of generations and children, with all phases, and what is known of them after an entry. */
import type { SignalReason, Trigger } from '../machines/facts/facts.ts';
import type { Phase } from '../machines/state/supervisorState.ts';

/** A moment: the index of its entry, and its time. */
export interface Instant {
	index: number;
	/** Milliseconds since 1970. Never decreases from entry to entry. */
	at: number;
}

export interface Segment extends Instant {
	phase: Phase;
}

export interface ChildLife {
	child: number;
	generation: number;
	/** The pid, and the moment when it became known; null until then. */
	pid: (Instant & { pid: number }) | null;
	segments: Segment[];
	signals: (Instant & { signal: string; reason: SignalReason })[];
	end: (Instant & { how: string; wasTold: boolean }) | null;
	/** The row in which the child is drawn. Children that are alive at the same time have different rows. */
	lane: number;
}

/**
 * The result of a rotation. Two values apply if no fact records the result: `left`, the generation drains; `unknown`,
 * the generation is gone, and may have served.
 */
export type Result = 'promoted' | 'failed' | 'stopped' | 'left' | 'unknown';

export interface GenerationLife {
	generation: number;
	/** What triggered the start; null if the generation started before the first known fact. */
	asked: Trigger | null;
	/** When the rotation was requested, in milliseconds since 1970. */
	requestedAt: number;
	started: Instant;
	result: (Instant & { kind: Result }) | null;
	/** The generations that were stopped for it. */
	replaced: GenerationLife[];
	children: ChildLife[];
}

export interface SupervisorMark extends Instant {
	label: string;
}

export interface SupervisorSegment extends Instant {
	state: string;
}

/** The phase of a child after an entry; null before its spawn. */
export function phaseAt({ segments, end }: ChildLife, index: number): Phase | 'gone' | null {
	if (end && end.index <= index) return 'gone';
	return segments.findLast((segment) => segment.index <= index)?.phase ?? null;
}

/** The name of a child after an entry: its pid if that is known, else its number. */
export function nameAt({ child, pid }: ChildLife, index: number): string {
	return pid && pid.index <= index ? `${pid.pid}` : `child ${child}`;
}

/** The result of a generation as known after an entry; null before its start. */
export function resultAt({ started, result }: GenerationLife, index: number): Result | 'pending' | null {
	if (started.index > index) return null;
	return result && result.index <= index ? result.kind : 'pending';
}
