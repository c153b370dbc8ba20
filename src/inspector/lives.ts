/** Who lived when: generations and children with all their phases, as a timeline and a table of rotations show them. A fold over facts. */
import type { Asker, Fact, SignalReason } from '../machines/facts.ts';
import type { Phase, Roster } from '../machines/roster.ts';
import type { Entry } from './entry.ts';

/** A moment: its place among the entries, and its time. */
export interface Instant {
	index: number;
	at: number;
}

export interface Segment extends Instant {
	phase: Phase;
}

export interface ChildLife {
	child: number;
	generation: number;
	pid: number | null;
	segments: Segment[];
	signals: (Instant & { signal: string; reason: SignalReason })[];
	end: (Instant & { how: string; wasTold: boolean }) | null;
	/** Beside whom it is drawn: no two that live at the same time have the same. */
	lane: number;
}

export interface GenerationLife {
	generation: number;
	asked: Asker;
	/** Null where it was there before what is known. */
	askedAt: number | null;
	started: Instant;
	verdict: (Instant & { kind: 'serving' | 'givenUp' | 'stopped' }) | null;
	/** The generations that were told to leave for it. */
	replaced: number[];
	children: ChildLife[];
}

export interface SupervisorMark extends Instant {
	label: string;
}

export interface SupervisorSegment extends Instant {
	state: string;
}

/** The lives so far, and what adds to them. */
export function newLives() {
	const generations = new Map<number, GenerationLife>();
	const children = new Map<number, ChildLife>();
	const marks: SupervisorMark[] = [];
	const states: SupervisorSegment[] = [];
	const lanes: (ChildLife | null)[] = [];
	let askedAt: number | null = null;
	let queuedAt: number | null = null;

	/** @param roster what all facts up to this one amount to */
	function add({ fact, moves }: Entry, index: number, roster: Roster | null) {
		const now = { index, at: fact.at };
		for (const { actor, state } of moves) {
			if (actor === 'supervisor' && states.at(-1)?.state !== state) states.push({ ...now, state });
		}
		switch (fact.type) {
			case 'checkpoint':
			case 'supervisor.recovered':
				goOn(fact.roster, now);
				if (fact.type === 'supervisor.recovered')
					marks.push({ ...now, label: fact.by === 'upgrade' ? 'upgraded' : 'recovered' });
				break;
			case 'supervisor.started':
				marks.push({ ...now, label: 'start' });
				askedAt = fact.at;
				break;
			case 'signal.HUP':
			case 'rotate.requested':
				askedAt = fact.at;
				mark(fact.type, now);
				break;
			case 'signal.TERM':
			case 'signal.INT':
			case 'signal.QUIT':
			case 'signal.USR1':
			case 'signal.USR2':
			case 'stop.requested':
				mark(fact.type, now);
				break;
			case 'rotation.queued':
				queuedAt ??= askedAt;
				break;
			case 'generation.started':
				generations.set(fact.generation, {
					generation: fact.generation,
					asked: fact.asked,
					askedAt: queuedAt ?? askedAt ?? fact.at,
					started: now,
					verdict: null,
					replaced: [],
					children: [],
				});
				queuedAt = null;
				break;
			case 'generation.promoted': {
				const life = generations.get(fact.generation);
				if (!life) break;
				life.verdict = { ...now, kind: 'serving' };
				life.replaced = fact.replaced;
				break;
			}
			case 'generation.givenUp':
				decideOn(fact.generation, 'givenUp', now);
				break;
			case 'stop.begun':
				for (const { generation, verdict } of generations.values()) if (!verdict) decideOn(generation, 'stopped', now);
				break;
			case 'child.signalled':
				children.get(fact.child)?.signals.push({ ...now, signal: fact.signal, reason: fact.reason });
				break;
		}
		if ('child' in fact) follow(fact, roster, now);
	}

	/** A child's phase is what the roster says: whether a signal changes it is decided there. */
	function follow(fact: Fact & { child: number }, roster: Roster | null, now: Instant) {
		const own = roster?.children.find(({ child }) => child === fact.child);
		const life = children.get(fact.child);
		if (own && !life) begin(own.child, own.generation, own.pid, own.phase, now);
		else if (own && life) {
			life.pid = own.pid;
			if (life.segments.at(-1)?.phase !== own.phase) life.segments.push({ ...now, phase: own.phase });
		} else if (life) end(life, howItEnded(fact), now);
	}

	function mark(type: string, now: Instant) {
		marks.push({ ...now, label: type.replace('signal.', '').replace('.requested', '') });
	}

	function decideOn(generation: number, kind: 'givenUp' | 'stopped', now: Instant) {
		const life = generations.get(generation);
		if (life) life.verdict = { ...now, kind };
	}

	/** What is known of those that live already, and of nothing before. */
	function goOn(roster: Roster, now: Instant) {
		for (const { child, generation, pid, phase, since } of roster.children) {
			if (children.has(child)) continue;
			const at = Math.min(since, now.at);
			if (!generations.has(generation)) {
				const isUp = generation !== roster.candidate;
				generations.set(generation, {
					generation,
					asked: generation === roster.lastGeneration ? roster.asked : 'start',
					askedAt: null,
					started: { ...now, at },
					verdict: isUp ? { ...now, at, kind: 'serving' } : null,
					replaced: [],
					children: [],
				});
			}
			begin(child, generation, pid, phase, { ...now, at });
		}
		const present = new Set(roster.children.map(({ child }) => child));
		for (const life of children.values()) {
			if (!present.has(life.child)) end(life, 'gone meanwhile', now);
		}
	}

	function begin(child: number, generation: number, pid: number | null, phase: Phase, now: Instant) {
		let lane = lanes.findIndex((other) => other === null || (other.end !== null && other.end.at <= now.at));
		if (lane < 0) lane = lanes.length;
		const life: ChildLife = { child, generation, pid, segments: [{ ...now, phase }], signals: [], end: null, lane };
		lanes[lane] = life;
		children.set(child, life);
		generations.get(generation)?.children.push(life);
	}

	function end(life: ChildLife, how: string, now: Instant) {
		if (life.end) return;
		const wasTold = life.segments.some(({ phase }) => phase === 'draining' || phase === 'killing');
		life.end = { ...now, how, wasTold };
	}

	return { add, generations, children, marks, states, laneCount: () => lanes.length };
}

function howItEnded(fact: Fact): string {
	switch (fact.type) {
		case 'child.exited':
			if (fact.signal !== null) return `signal: ${fact.signal}`;
			return fact.code === null ? 'status unknown' : `status ${fact.code}`;
		case 'child.spawnFailed':
			return 'not spawned';
		case 'child.abandoned':
			return 'its group left alone';
		default:
			return 'with its group';
	}
}

export type Lives = ReturnType<typeof newLives>;

/** How a child stands at a moment; null when it was not there yet. */
export function phaseAt({ segments, end }: ChildLife, index: number): Phase | 'gone' | null {
	if (end && end.index <= index) return 'gone';
	return segments.findLast((segment) => segment.index <= index)?.phase ?? null;
}

/** The verdict on a generation, as far as it was known at a moment; null when it was not there yet. */
export function verdictAt({ started, verdict }: GenerationLife, index: number) {
	if (started.index > index) return null;
	return verdict && verdict.index <= index ? verdict.kind : 'pending';
}
