/** A fold over entries that collects the lifespans of generations and children, for the timeline and the rotations. */
import type { Fact, Trigger } from '../machines/facts/facts.ts';
import { evolveRotations } from '../machines/state/evolveRotations.ts';
import { healthOf } from '../machines/state/health.ts';
import { finishedBetween, noRotations } from '../machines/state/rotations.ts';
import type { ChildState, SupervisorState } from '../machines/state/supervisorState.ts';
import type { Entry } from './entry.ts';
import { howItBegan, howItEnded, isSameChild, markOf, resultIn } from './lifespanRules.ts';
import type {
	Beginning,
	ChildLife,
	GenerationLife,
	Instant,
	Result,
	ServiceSegment,
	SupervisorMark,
} from './lifespans.ts';

export function newLives(): Lives {
	return new Lives();
}

/**
 * Collects the lifespans. A newly started supervisor numbers generations and children from 1 again, so a number can
 * occur several times.
 */
export class Lives {
	readonly generations: GenerationLife[] = [];
	readonly children: ChildLife[] = [];
	readonly marks: SupervisorMark[] = [];
	/** Each change of the service's health. */
	readonly service: ServiceSegment[] = [];
	/** The starts, recoveries, upgrades and checkpoints. */
	readonly beginnings: Beginning[] = [];
	/** The generations and children of the current supervisor, by number. */
	#ownGenerations = new Map<number, GenerationLife>();
	#ownChildren = new Map<number, ChildLife>();
	#rotations = noRotations;
	#before: SupervisorState | null = null;
	#lastAt = 0;
	#requestedAt: number | null = null;
	#queuedAt: number | null = null;

	/**
	 * Adds the next entry.
	 * @param at its time in milliseconds since 1970, not earlier than that of the entry before
	 * @param supervisorState the fold of all facts up to and including this one
	 */
	add({ fact, moves }: Entry, index: number, at: number, supervisorState: SupervisorState | null): void {
		const now = { index, at };
		const label = markOf(fact);
		if (label !== null) this.marks.push({ ...now, label });
		this.#begin(fact, now);
		this.#apply(fact, now);
		if ('child' in fact) this.#follow(fact, supervisorState, now);
		for (const move of moves) this.#move(move, now);
		this.#settle(fact, now);
		const state = supervisorState === null ? 'starting' : healthOf(supervisorState).state;
		if (this.service.at(-1)?.state !== state) this.service.push({ ...now, state });
		[this.#before, this.#lastAt] = [supervisorState, at];
	}

	/** Notes the first fact of a supervisor, and the time without one before it. */
	#begin(fact: Entry['fact'], now: Instant): void {
		const how = howItBegan(fact);
		if (how === null) return;
		const isGap = this.beginnings.length > 0 && (how === 'started' || how === 'recovered');
		if (isGap) this.service.push({ ...now, at: this.#lastAt, state: 'unknown' });
		const gap = isGap ? now.at - this.#lastAt : 0;
		this.beginnings.push({ ...now, how: this.beginnings.length === 0 ? null : how, gap });
	}

	/** Keeps what is reported of each rotation that has its result now. */
	#settle(fact: Entry['fact'], now: Instant): void {
		const before = this.#rotations;
		this.#rotations = fact.type === 'checkpoint' ? noRotations : evolveRotations(before, fact, this.#before);
		for (const record of finishedBetween(before, this.#rotations)) {
			const life = this.#ownGenerations.get(record.generation);
			if (!life) continue;
			life.record = record;
			if (record.result !== 'pending') decide(life, record.result, now);
		}
	}

	/** The latest generation with that number that started up to an entry; null if there is none. */
	generationAt(number: number, index: number): GenerationLife | null {
		return (
			this.generations.findLast(({ generation, started }) => generation === number && started.index <= index) ?? null
		);
	}

	/** The latest child with that number that was spawned up to an entry; null if there is none. */
	childAt(number: number, index: number): ChildLife | null {
		return (
			this.children.findLast(({ child, segments }) => child === number && (segments[0]?.index ?? 0) <= index) ?? null
		);
	}

	#apply(fact: Entry['fact'], now: Instant): void {
		switch (fact.type) {
			case 'checkpoint':
			case 'supervisor.recovered':
				this.#goOn(fact.state, now, fact.type === 'checkpoint' ? 'unknown' : 'failed');
				break;
			case 'supervisor.started':
				this.#beginAnew(now);
				break;
			case 'signal.HUP':
			case 'rotate.requested':
				this.#requestedAt = now.at;
				break;
			case 'rotation.queued':
				this.#queuedAt ??= this.#requestedAt;
				break;
			case 'generation.started':
				this.#addGeneration(
					fact.generation,
					fact.trigger,
					now,
					this.#queuedAt ?? this.#requestedAt ?? now.at,
					fact.size,
				);
				[this.#queuedAt, this.#requestedAt] = [null, null];
				break;
			case 'generation.promoted': {
				const life = this.#ownGenerations.get(fact.generation);
				if (life) life.replaced = fact.replaced.flatMap((number) => this.#ownGenerations.get(number) ?? []);
				for (const old of life?.replaced ?? []) old.replacedAt ??= now;
				break;
			}
			case 'generation.failed':
				decide(this.#ownGenerations.get(fact.generation), 'failed', now);
				break;
			case 'stop.begun':
				for (const life of this.#ownGenerations.values()) decide(life, 'stopped', now);
				break;
			case 'child.signalled':
				this.#ownChildren.get(fact.child)?.signals.push({ ...now, signal: fact.signal, reason: fact.reason });
				break;
		}
	}

	#move({ actor, state }: Entry['moves'][number], now: Instant): void {
		const [kind, number] = actor.split('.');
		if (kind !== 'generation') return;
		// The move of a statechart shows the result at once. The decision is recorded in a later fact.
		if (state === 'alive.serving') decide(this.#ownGenerations.get(Number(number)), 'promoted', now);
		if (state === 'over') decide(this.#ownGenerations.get(Number(number)), 'failed', now);
	}

	/** Ends all lifespans of the previous supervisor. */
	#beginAnew(now: Instant): void {
		for (const life of this.#ownChildren.values()) end(life, 'gone meanwhile', now);
		for (const life of this.#ownGenerations.values()) decide(life, 'failed', now);
		this.#ownGenerations = new Map();
		this.#ownChildren = new Map();
		[this.#requestedAt, this.#queuedAt] = [null, null];
	}

	/** Takes the phase of a child from the supervisor's state: the fold decides whether a signal changes the phase. */
	#follow(fact: Fact & { child: number }, supervisorState: SupervisorState | null, now: Instant): void {
		const own = supervisorState?.children.find(({ child }) => child === fact.child);
		const life = this.#ownChildren.get(fact.child);
		if (own && !life) this.#addChild(own, now);
		else if (own && life) update(life, own, now);
		else if (life) end(life, howItEnded(fact), now);
	}

	/**
	 * Continues from a recorded state. Facts before it may be missing.
	 * @param gone the result of generations that are gone and have no result yet
	 */
	#goOn(supervisorState: SupervisorState, now: Instant, gone: Result): void {
		const present = new Set(supervisorState.children.map(({ child }) => child));
		for (const life of this.#ownChildren.values()) if (!present.has(life.child)) end(life, 'gone meanwhile', now);
		for (const own of supervisorState.children) {
			const known = this.#ownChildren.get(own.child);
			if (known && isSameChild(known, own)) {
				update(known, own, now);
				continue;
			}
			if (known) {
				end(known, 'gone meanwhile', now);
				this.#ownGenerations.delete(own.generation);
			}
			const before = { ...now, at: Math.min(own.since, now.at) };
			if (!this.#ownGenerations.has(own.generation))
				this.#addGeneration(own.generation, null, before, before.at, supervisorState.plan.size);
			this.#addChild(own, before);
		}
		for (const life of this.#ownGenerations.values()) {
			const result = resultIn(supervisorState, life, gone);
			// A generation that serves was promoted when its last child was up.
			const up = supervisorState.children.filter(
				(each) => each.generation === life.generation && each.phase === 'serving',
			);
			const at =
				result === 'promoted' && up.length > 0 ? Math.min(now.at, Math.max(...up.map(({ since }) => since))) : now.at;
			if (result !== null) decide(life, result, { ...now, at });
		}
	}

	#addGeneration(generation: number, asked: Trigger | null, started: Instant, requestedAt: number, size: number): void {
		const empty = { result: null, replaced: [], replacedAt: null, record: null, children: [] };
		const life = { generation, asked, requestedAt, started, size, ...empty };
		this.generations.push(life);
		this.#ownGenerations.set(generation, life);
	}

	#addChild({ child, generation, pid, phase, index: slot }: ChildState, now: Instant): void {
		const life: ChildLife = {
			child,
			generation,
			pid: pid === null ? null : { ...now, pid },
			segments: [{ ...now, phase }],
			signals: [],
			end: null,
			slot,
		};
		this.children.push(life);
		this.#ownChildren.set(child, life);
		this.#ownGenerations.get(generation)?.children.push(life);
	}
}

function update(life: ChildLife, { pid, phase }: ChildState, now: Instant): void {
	if (pid !== null && !life.pid) life.pid = { ...now, pid };
	if (life.segments.at(-1)?.phase !== phase) life.segments.push({ ...now, phase });
}

function end(life: ChildLife, how: string, now: Instant): void {
	if (life.end) return;
	const wasTold = life.segments.some(({ phase }) => phase === 'draining' || phase === 'killing');
	life.end = { ...now, how, wasTold };
}

/** Sets the result of a generation. A result is never changed. */
function decide(life: GenerationLife | undefined, kind: Result, now: Instant): void {
	if (life) life.result ??= { ...now, kind };
}
