/**
 * The lifespans of generations and children, with all phases, for the timeline and the list of rotations. A fold over
 * entries.
 */
import type { Fact, SignalReason, Trigger } from '../machines/facts/facts.ts';
import type { Phase, SupervisorState } from '../machines/state/supervisorState.ts';
import type { Entry } from './entry.ts';

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

/**
 * Collects the lifespans. A newly started supervisor numbers generations and children from 1 again, so a number can
 * occur several times.
 */
export function newLives() {
	const generations: GenerationLife[] = [];
	const children: ChildLife[] = [];
	const marks: SupervisorMark[] = [];
	const states: SupervisorSegment[] = [];
	/** The generations and children of the current supervisor, by number. */
	let ownGenerations = new Map<number, GenerationLife>();
	let ownChildren = new Map<number, ChildLife>();
	const lanes: ChildLife[] = [];
	let requestedAt: number | null = null;
	let queuedAt: number | null = null;

	/**
	 * Adds the next entry.
	 * @param at its time in milliseconds since 1970, not earlier than that of the entry before
	 * @param supervisorState the fold of all facts up to and including this one
	 */
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
				mark(requestLabel(fact.type), now);
				break;
			case 'signal.TERM':
			case 'signal.INT':
			case 'signal.QUIT':
			case 'signal.USR1':
			case 'signal.USR2':
			case 'stop.requested':
			case 'upgrade.requested':
				mark(requestLabel(fact.type), now);
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
			// The move of a statechart shows the result at once. The decision is recorded in a later fact.
			if (state === 'alive.serving') decide(ownGenerations.get(Number(number)), 'promoted', now);
			if (state === 'over') decide(ownGenerations.get(Number(number)), 'failed', now);
		}
	}

	/** Ends all lifespans of the previous supervisor. */
	function beginAnew(now: Instant) {
		for (const life of ownChildren.values()) end(life, 'gone meanwhile', now);
		for (const life of ownGenerations.values()) decide(life, 'failed', now);
		ownGenerations = new Map();
		ownChildren = new Map();
		[requestedAt, queuedAt] = [null, null];
	}

	/** Takes the phase of a child from the supervisor's state: the fold decides whether a signal changes the phase. */
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

	/**
	 * Continues from a recorded state. Facts before it may be missing.
	 * @param gone the result of generations that are gone and have no result yet
	 */
	function goOn(supervisorState: SupervisorState, now: Instant, gone: Result) {
		const present = new Set(supervisorState.children.map(({ child }) => child));
		for (const life of ownChildren.values()) if (!present.has(life.child)) end(life, 'gone meanwhile', now);
		for (const own of supervisorState.children) {
			const known = ownChildren.get(own.child);
			// With another pid it is a child of another supervisor, which numbered its children from 1 again.
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

	/** Sets the result of a generation. A result is never changed. */
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

	/** The latest generation with that number that started up to an entry; null if there is none. */
	function generationAt(number: number, index: number): GenerationLife | null {
		return generations.findLast(({ generation, started }) => generation === number && started.index <= index) ?? null;
	}

	/** The latest child with that number that was spawned up to an entry; null if there is none. */
	function childAt(number: number, index: number): ChildLife | null {
		return children.findLast(({ child, segments }) => child === number && (segments[0]?.index ?? 0) <= index) ?? null;
	}

	return { add, generations, children, marks, states, generationAt, childAt };
}

function requestLabel(type: string): string {
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
