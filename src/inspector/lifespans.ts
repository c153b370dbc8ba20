/** The lifespans of generations and children, with all phases, and what is known of them after an entry. */
import type { SignalReason, Trigger } from '../machines/facts/facts.ts';
import type { HealthState } from '../machines/state/health.ts';
import type { Rotation } from '../machines/state/rotations.ts';
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
	/** The number of its slot in the generation, from 0. */
	slot: number;
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
	/** When another generation replaced it; null until then. */
	replacedAt: Instant | null;
	/** Children that it should have. */
	size: number;
	/** What status and rotate report of its rotation; null until it has a result. */
	record: Rotation | null;
	children: ChildLife[];
}

export interface SupervisorMark extends Instant {
	label: string;
}

/**
 * How the service is from this moment on. `unknown`: no supervisor lived, so nobody recorded anything. Its index is that
 * of the first entry that tells of it.
 */
export interface ServiceSegment extends Instant {
	state: HealthState | 'unknown';
}

/** The first entry of a supervisor. `how` is null for the first one that is known. */
export interface Beginning extends Instant {
	how: 'started' | 'recovered' | 'upgraded' | 'checkpoint' | null;
	/** The time without a supervisor before it, in milliseconds. */
	gap: number;
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

/** When the last of its children ended; null while one lives, or if it never had any. */
export function endOfGeneration({ children }: GenerationLife): Instant | null {
	const ends = children.map(({ end }) => end);
	if (ends.length === 0 || ends.includes(null)) return null;
	return (ends as Instant[]).reduce((one, other) => (one.at > other.at ? one : other));
}

/** Since when none of its children serves, as known after an entry; null while one serves, or if none ever did. In milliseconds since 1970. */
export function servedUntil(life: GenerationLife, index: number): number | null {
	const steps = stepsOf(life, index);
	const last = steps.findLastIndex(({ serving }) => serving > 0);
	return last < 0 || last === steps.length - 1 ? null : (steps[last + 1]?.at ?? null);
}

/** A step of the number of children that boot, serve and leave. */
export interface Step {
	at: number;
	coming: number;
	serving: number;
	leaving: number;
}

/** How many children of a generation boot, serve and leave, from each time on. @param index only what is known after this entry */
export function stepsOf({ children }: GenerationLife, index: number): Step[] {
	const changes: { at: number; kind: keyof Omit<Step, 'at'>; by: 1 | -1 }[] = [];
	for (const { segments, end } of children) {
		segments.forEach((segment, order) => {
			if (segment.index > index) return;
			const kind = kindOf(segment.phase);
			changes.push({ at: segment.at, kind, by: 1 });
			const next = segments[order + 1] ?? end;
			if (next && next.index <= index) changes.push({ at: next.at, kind, by: -1 });
		});
	}
	changes.sort((one, other) => one.at - other.at);
	const steps: Step[] = [];
	let now: Step = { at: 0, coming: 0, serving: 0, leaving: 0 };
	for (const { at, kind, by } of changes) {
		now = { ...now, at, [kind]: now[kind] + by };
		if (steps.at(-1)?.at === at) steps[steps.length - 1] = now;
		else steps.push(now);
	}
	return steps;
}

export function kindOf(phase: Phase): 'coming' | 'serving' | 'leaving' {
	if (phase === 'serving') return 'serving';
	return phase === 'draining' || phase === 'killing' || phase === 'orphaned' ? 'leaving' : 'coming';
}
