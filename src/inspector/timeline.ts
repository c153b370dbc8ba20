/** All entries in order, and the states of all actors after any entry. */
import type { Fact } from '../machines/facts/facts.ts';
import { evolve } from '../machines/state/evolve.ts';
import type { SupervisorState } from '../machines/state/supervisorState.ts';
import type { Entry } from './entry.ts';
import { newLives } from './lifespans.ts';

/** The current state of an actor's statechart. */
export interface Standing {
	state: string;
	/** The actor reached its final state, and does not exist in the next step. */
	isFinal: boolean;
}

export type Standings = ReadonlyMap<string, Standing>;

/** Every 256th entry has a snapshot of the states, so a jump folds at most 255 entries. */
const distance = 256;

interface Kept {
	standings: Standings;
	supervisorState: SupervisorState | null;
}

export type Timeline = ReturnType<typeof newTimeline>;

export function newTimeline() {
	const entries: Entry[] = [];
	const kept: Kept[] = [];
	const lives = newLives();
	/** The index of the last entry with each fact number. */
	const slots = new Map<number, number>();
	/** The indexes of the decisions that an external event caused, by the index of the event. */
	const decided = new Map<number, number[]>();
	/** All fact types that occur. */
	const types = new Set<string>();
	let standings = new Map<string, Standing>();
	let supervisorState: SupervisorState | null = null;
	/** The time of each entry in milliseconds since 1970. Never decreases, although the wall clock may be set back. */
	const times: number[] = [];

	function append(entry: Entry) {
		const index = entries.length;
		entries.push(entry);
		slots.set(entry.fact.seq, index);
		types.add(entry.fact.type);
		noteDecision(entry, index);
		standings = step(standings, entry);
		supervisorState = stateAfter(supervisorState, entry);
		times.push(Math.max(times.at(-1) ?? entry.fact.at, entry.fact.at));
		lives.add(entry, index, times[index] ?? 0, supervisorState);
		if (index % distance === 0) kept.push({ standings: new Map(standings), supervisorState });
	}

	function noteDecision({ kind, upon }: Entry, index: number) {
		const place = kind === 'decision' && upon !== null ? slots.get(upon) : undefined;
		if (place !== undefined) decided.set(place, [...(decided.get(place) ?? []), index]);
	}

	/** The state of each actor after an entry; empty before the first entry. */
	function standingsAt(index: number): Standings {
		if (index < 0) return new Map();
		if (index === entries.length - 1) return standings;
		return fold(index, new Map(keptBefore(index).standings), step);
	}

	/** The supervisor's state after an entry: the fold of all facts up to it. */
	function stateAt(index: number): SupervisorState | null {
		if (index < 0) return null;
		return index === entries.length - 1 ? supervisorState : fold(index, keptBefore(index).supervisorState, stateAfter);
	}

	function keptBefore(index: number): Kept {
		return kept[Math.floor(index / distance)] as Kept;
	}

	function fold<T>(index: number, from: T, next: (before: T, entry: Entry) => T): T {
		let value = from;
		for (let at = Math.floor(index / distance) * distance + 1; at <= index; at += 1) {
			value = next(value, entries[at] as Entry);
		}
		return value;
	}

	/** The index of the last entry of a step. A step is an external event and the decisions that follow it. */
	function endOfStep(index: number): number {
		let end = index;
		while (entries[end + 1]?.kind === 'decision') end += 1;
		return end;
	}

	/** The external event of the step that an entry belongs to. */
	function stepOf(index: number): Entry | null {
		const entry = entries[index];
		if (entry?.kind !== 'decision') return entry ?? null;
		const place = entry.upon === null ? undefined : slots.get(entry.upon);
		return place === undefined ? null : (entries[place] ?? null);
	}

	/** The indexes of the decisions that an external event caused. */
	function decidedUpon(index: number): number[] {
		return decided.get(index) ?? [];
	}

	/** The index of the last entry at or before a time; -1 if there is none. */
	function indexAt(at: number): number {
		let [low, high] = [0, entries.length];
		while (low < high) {
			const middle = (low + high) >> 1;
			if ((times[middle] ?? 0) <= at) low = middle + 1;
			else high = middle;
		}
		return low - 1;
	}

	return {
		entries,
		lives,
		append,
		standingsAt,
		stateAt,
		endOfStep,
		stepOf,
		decidedUpon,
		types,
		indexAt,
		/** The time of an entry in milliseconds since 1970, not earlier than the time of the entry before. */
		timeAt: (index: number) => times[index] ?? 0,
		placeOf: (seq: number) => slots.get(seq) ?? null,
	};
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
