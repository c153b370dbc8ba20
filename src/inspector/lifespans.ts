/** Who lived when: generations and children with all their phases, as a timeline and a table of rotations show them. A fold over facts. */
import type { Fact, SignalReason, Trigger } from '../machines/facts/facts.ts';
import type { Phase, SupervisorState } from '../machines/state/supervisorState.ts';
import type { Entry } from './entry.ts';

/** A moment: its place among the entries, and its time. */
export interface Instant {
	index: number;
	/** Milliseconds since 1970, never less than before. */
	at: number;
}

export interface Segment extends Instant {
	phase: Phase;
}

export interface ChildLife {
	child: number;
	generation: number;
	/** Since when its pid is known. */
	pid: (Instant & { pid: number }) | null;
	segments: Segment[];
	signals: (Instant & { signal: string; reason: SignalReason })[];
	end: (Instant & { how: string; wasTold: boolean }) | null;
	/** Beside whom it is drawn: no two that live at the same time have the same. */
	lane: number;
}

/** `left` is one that leaves, `unknown` one that is gone, of which it is not known whether they served. */
export type Result = 'promoted' | 'failed' | 'stopped' | 'left' | 'unknown';

export interface GenerationLife {
	generation: number;
	/** Null where it was there before what is known. */
	asked: Trigger | null;
	/** When it was asked for. */
	requestedAt: number;
	started: Instant;
	result: (Instant & { kind: Result }) | null;
	/** The generations that were told to leave for it. */
	replaced: GenerationLife[];
	children: ChildLife[];
}

export interface SupervisorMark extends Instant {
	label: string;
}

export interface SupervisorSegment extends Instant {
	state: string;
}

/** The lives so far, and what adds to them. A supervisor that begins anew counts from 1 again. */
export function newLives() {
	const generations: GenerationLife[] = [];
	const children: ChildLife[] = [];
	const marks: SupervisorMark[] = [];
	const states: SupervisorSegment[] = [];
	/** Of the supervisor that lives, by their numbers. */
	let ownGenerations = new Map<number, GenerationLife>();
	let ownChildren = new Map<number, ChildLife>();
	const lanes: ChildLife[] = [];
	let requestedAt: number | null = null;
	let queuedAt: number | null = null;

	/** @param at its time, never less than before. @param supervisorState what all facts up to this one amount to */
	function add({ fact, moves }: Entry, index: number, at: number, supervisorState: SupervisorState | null) {
		const now = { index, at };
		switch (fact.type) {
			case 'checkpoint':
			case 'supervisor.recovered':
				goOn(fact.state, now, fact.type === 'checkpoint' ? 'unknown' : 'failed');
				if (fact.type === 'checkpoint') mark(fact.gap ? 'facts are missing' : 'checkpoint', now);
				else mark(fact.by === 'upgrade' ? 'upgraded' : 'recovered', now);
				break;
			case 'supervisor.started':
				beginAnew(now);
				mark('start', now);
				break;
			case 'signal.HUP':
			case 'rotate.requested':
				requestedAt = at;
				mark(readySourceOf(fact.type), now);
				break;
			case 'signal.TERM':
			case 'signal.INT':
			case 'signal.QUIT':
			case 'signal.USR1':
			case 'signal.USR2':
			case 'stop.requested':
			case 'upgrade.requested':
				mark(readySourceOf(fact.type), now);
				break;
			case 'rotation.queued':
				queuedAt ??= requestedAt;
				break;
			case 'generation.started':
				addGeneration(fact.generation, fact.trigger, now, queuedAt ?? requestedAt ?? at);
				[queuedAt, requestedAt] = [null, null];
				break;
			case 'generation.promoted': {
				const life = ownGenerations.get(fact.generation);
				if (life) life.replaced = fact.replaced.flatMap((number) => ownGenerations.get(number) ?? []);
				break;
			}
			case 'generation.failed':
				decide(ownGenerations.get(fact.generation), 'failed', now);
				break;
			case 'stop.begun':
				for (const life of ownGenerations.values()) decide(life, 'stopped', now);
				break;
			case 'child.signalled':
				ownChildren.get(fact.child)?.signals.push({ ...now, signal: fact.signal, reason: fact.reason });
				break;
		}
		if ('child' in fact) follow(fact, supervisorState, now);
		for (const { actor, state } of moves) {
			if (actor === 'supervisor' && states.at(-1)?.state !== state) states.push({ ...now, state });
			const [kind, number] = actor.split('.');
			if (kind !== 'generation') continue;
			// What the charts came to is known at once; that it is decided so stands in the facts that follow.
			if (state === 'alive.serving') decide(ownGenerations.get(Number(number)), 'promoted', now);
			if (state === 'over') decide(ownGenerations.get(Number(number)), 'failed', now);
		}
	}

	/** Nobody of the supervisor before is left. */
	function beginAnew(now: Instant) {
		for (const life of ownChildren.values()) end(life, 'gone meanwhile', now);
		for (const life of ownGenerations.values()) decide(life, 'failed', now);
		ownGenerations = new Map();
		ownChildren = new Map();
		[requestedAt, queuedAt] = [null, null];
	}

	/** A child's phase is what the supervisorState says: whether a signal changes it is decided there. */
	function follow(fact: Fact & { child: number }, supervisorState: SupervisorState | null, now: Instant) {
		const own = supervisorState?.children.find(({ child }) => child === fact.child);
		const life = ownChildren.get(fact.child);
		if (own && !life) addChild(own, now);
		else if (own && life) update(life, own, now);
		else if (life) end(life, howItEnded(fact), now);
	}

	function update(life: ChildLife, { pid, phase }: SupervisorState['children'][number], now: Instant) {
		if (pid !== null && !life.pid) life.pid = { ...now, pid };
		if (life.segments.at(-1)?.phase !== phase) life.segments.push({ ...now, phase });
	}

	/** What a supervisorState says of those that live; facts before it may be missing. */
	/** @param gone what is to be said of generations that are not there any more and never were known to serve */
	function goOn(supervisorState: SupervisorState, now: Instant, gone: Result) {
		const present = new Set(supervisorState.children.map(({ child }) => child));
		for (const life of ownChildren.values()) if (!present.has(life.child)) end(life, 'gone meanwhile', now);
		for (const own of supervisorState.children) {
			const known = ownChildren.get(own.child);
			// A supervisor that began anew counts from 1 again.
			const isSame = known && (!known.pid || own.pid === null || known.pid.pid === own.pid);
			if (known && !isSame) {
				end(known, 'gone meanwhile', now);
				ownGenerations.delete(own.generation);
			}
			if (known && isSame) update(known, own, now);
			else {
				const before = { ...now, at: Math.min(own.since, now.at) };
				if (!ownGenerations.has(own.generation)) addGeneration(own.generation, null, before, before.at);
				addChild(own, before);
			}
		}
		for (const life of ownGenerations.values()) {
			const isThere =
				life.children.some(({ child }) => present.has(child)) ||
				supervisorState.respawns.some(({ generation }) => generation === life.generation);
			if (life.generation === supervisorState.serving && supervisorState.isComplete && isThere)
				decide(life, 'promoted', now);
			else if (!isThere) decide(life, gone, now);
			else if (life.generation !== supervisorState.candidate && life.generation !== supervisorState.serving)
				decide(life, 'left', now);
		}
	}

	function mark(label: string, now: Instant) {
		marks.push({ ...now, label });
	}

	/** The first result stands. */
	function decide(life: GenerationLife | undefined, kind: Result, now: Instant) {
		if (life) life.result ??= { ...now, kind };
	}

	function addGeneration(generation: number, asked: Trigger | null, started: Instant, requestedAt: number) {
		const life = { generation, asked, requestedAt, started, result: null, replaced: [], children: [] };
		generations.push(life);
		ownGenerations.set(generation, life);
	}

	function addChild({ child, generation, pid, phase }: SupervisorState['children'][number], now: Instant) {
		let lane = lanes.findIndex(({ end }) => end !== null && end.at <= now.at);
		if (lane < 0) lane = lanes.length;
		const life: ChildLife = {
			child,
			generation,
			pid: pid === null ? null : { ...now, pid },
			segments: [{ ...now, phase }],
			signals: [],
			end: null,
			lane,
		};
		lanes[lane] = life;
		children.push(life);
		ownChildren.set(child, life);
		ownGenerations.get(generation)?.children.push(life);
	}

	function end(life: ChildLife, how: string, now: Instant) {
		if (life.end) return;
		const wasTold = life.segments.some(({ phase }) => phase === 'draining' || phase === 'killing');
		life.end = { ...now, how, wasTold };
	}

	/** The generation of that number that was there last at a moment. */
	function generationAt(number: number, index: number): GenerationLife | null {
		return generations.findLast(({ generation, started }) => generation === number && started.index <= index) ?? null;
	}

	/** The child of that number that was there last at a moment. */
	function childAt(number: number, index: number): ChildLife | null {
		return children.findLast(({ child, segments }) => child === number && (segments[0]?.index ?? 0) <= index) ?? null;
	}

	return { add, generations, children, marks, states, generationAt, childAt };
}

function readySourceOf(type: string): string {
	return type.replace('signal.', '').replace('.requested', '');
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

/** How a child stands at a moment; null when it was not there yet. */
export function phaseAt({ segments, end }: ChildLife, index: number): Phase | 'gone' | null {
	if (end && end.index <= index) return 'gone';
	return segments.findLast((segment) => segment.index <= index)?.phase ?? null;
}

/** A child by its pid, where that is known at a moment. */
export function nameAt({ child, pid }: ChildLife, index: number): string {
	return pid && pid.index <= index ? `${pid.pid}` : `child ${child}`;
}

/** The result on a generation, as far as it was known at a moment; null when it was not there yet. */
export function resultAt({ started, result }: GenerationLife, index: number): Result | 'pending' | null {
	if (started.index > index) return null;
	return result && result.index <= index ? result.kind : 'pending';
}
