/** All entries in order, and the states of all actors after any entry. */
import type { Fact } from '../machines/facts/facts.ts';
import { evolve } from '../machines/state/evolve.ts';
import type { SupervisorState } from '../machines/state/supervisorState.ts';
import { type Entry, entryOf } from './entry.ts';
import { FoldHistory } from './foldHistory.ts';
import { type Lives, newLives } from './lifespanFold.ts';

/** The current state of an actor's statechart. */
export interface Standing {
	state: string;
	/** The actor reached its final state, and does not exist in the next step. */
	isFinal: boolean;
}

export type Standings = ReadonlyMap<string, Standing>;

export function newTimeline(): Timeline {
	return new Timeline();
}

export class Timeline {
	readonly entries: Entry[] = [];
	readonly lives: Lives = newLives();
	/** All fact types that occur. */
	readonly types = new Set<string>();
	/** The index of the last entry with each fact number. */
	readonly #slots = new Map<number, number>();
	/** The indexes of the decisions that an external event caused, by the index of the event. */
	readonly #decided = new Map<number, number[]>();
	readonly #standings = new FoldHistory<Entry, Map<string, Standing>>(this.entries, {
		initial: () => new Map(),
		next: step,
		copyOf: (standings) => new Map(standings),
	});
	readonly #states = new FoldHistory<Entry, SupervisorState | null>(this.entries, {
		initial: () => null,
		next: stateAfter,
		copyOf: (supervisorState) => supervisorState,
	});
	/** The time of each entry in milliseconds since 1970. Never decreases, although the wall clock may be set back. */
	readonly #times: number[] = [];
	/** The time of the boot after each entry, in milliseconds since 1970, as far as it is known. */
	readonly #boots: number[] = [];

	append(entry: Entry): void {
		const index = this.entries.length;
		this.entries.push(entry);
		this.#slots.set(entry.fact.seq, index);
		this.types.add(entry.fact.type);
		this.#noteDecision(entry, index);
		this.#standings.advance();
		this.#states.advance();
		this.#times.push(Math.max(this.#times.at(-1) ?? entry.fact.at, entry.fact.at));
		this.#boots.push(bootOf(entry.fact) ?? this.#boots.at(-1) ?? 0);
		this.lives.add(entry, index, this.timeAt(index), this.#states.newest);
	}

	#noteDecision({ kind, upon }: Entry, index: number): void {
		const place = kind === 'decision' && upon !== null ? this.#slots.get(upon) : undefined;
		if (place !== undefined) this.#decided.set(place, [...this.decidedUpon(place), index]);
	}

	/** The state of each actor after an entry; empty before the first entry. */
	standingsAt(index: number): Standings {
		return this.#standings.at(index);
	}

	/** The supervisor's state after an entry: the fold of all facts up to it. */
	stateAt(index: number): SupervisorState | null {
		return this.#states.at(index);
	}

	/** The index of the last entry of a step. A step is an external event and the decisions that follow it. */
	endOfStep(index: number): number {
		let end = index;
		while (this.entries[end + 1]?.kind === 'decision') end += 1;
		return end;
	}

	/** The external event of the step that an entry belongs to. */
	stepOf(index: number): Entry | null {
		const entry = this.entries[index];
		if (entry?.kind !== 'decision') return entry ?? null;
		const place = entry.upon === null ? undefined : this.#slots.get(entry.upon);
		return place === undefined ? null : (this.entries[place] ?? null);
	}

	/** The indexes of the decisions that an external event caused. */
	decidedUpon(index: number): number[] {
		return this.#decided.get(index) ?? [];
	}

	/** The index of the last entry at or before a time; -1 if there is none. */
	indexAt(at: number): number {
		let [low, high] = [0, this.entries.length];
		while (low < high) {
			const middle = (low + high) >> 1;
			if (this.timeAt(middle) <= at) low = middle + 1;
			else high = middle;
		}
		return low - 1;
	}

	/** A timeline without the first entries: it begins with what they amount to. */
	without(count: number): Timeline {
		const next = newTimeline();
		const last = this.entries[count - 1];
		const state = this.stateAt(count - 1);
		if (last && state) {
			const checkpoint = { type: 'checkpoint', seq: last.fact.seq, at: last.fact.at, state, gap: false } as const;
			const moves = [...this.standingsAt(count - 1)].map(([actor, standing]) => ({ actor, ...standing, ways: [] }));
			next.append(entryOf(checkpoint, null, moves, { upon: null, difference: null }));
		}
		for (const entry of this.entries.slice(count)) next.append(entry);
		return next;
	}

	/** The time of an entry in milliseconds since 1970, not earlier than the time of the entry before. */
	timeAt(index: number): number {
		return this.#times[index] ?? 0;
	}

	/** A time in milliseconds since boot, as it is at an entry. @param at in milliseconds since 1970 */
	sinceBoot(index: number, at: number): number {
		return at - (this.#boots[index] ?? 0);
	}

	placeOf(seq: number): number | null {
		return this.#slots.get(seq) ?? null;
	}
}

/** The time of the boot as a fact tells it, in milliseconds since 1970; null if the fact does not. */
function bootOf(fact: Entry['fact']): number | null {
	if ('clock' in fact && fact.clock !== undefined) return fact.at - fact.clock;
	if (!('state' in fact)) return null;
	const { respawns, restart, bake, checks, children } = fact.state;
	const wait = [...respawns, restart, bake, checks.candidate, checks.serving].find(
		(each) => each != null && each.clock !== null,
	);
	if (wait?.clock != null) return wait.at - wait.clock;
	const child = children.find(({ clock, phase }) => clock !== null && (phase === 'serving' || phase === 'booting'));
	return child?.clock == null ? null : child.since - child.clock;
}

function step(standings: Map<string, Standing>, { kind, moves, isLife }: Entry): Map<string, Standing> {
	if (kind === 'decision') return standings;
	if (isLife) standings.clear();
	else for (const [actor, { isFinal }] of standings) if (isFinal) standings.delete(actor);
	for (const { actor, state, isFinal } of moves) standings.set(actor, { state, isFinal });
	// The upgrade actor is stopped with the supervisor. The trace has no move for that.
	if (standings.get('supervisor')?.isFinal) standings.delete('upgrade');
	return standings;
}

function stateAfter(supervisorState: SupervisorState | null, { fact }: Entry): SupervisorState | null {
	return fact.type === 'checkpoint' ? fact.state : evolve(supervisorState, fact as Fact);
}
