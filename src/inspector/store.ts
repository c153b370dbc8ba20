/** What the page shows: one story, at one moment of it. */
import { batch, computed, signal } from '@preact/signals';
import type { Source } from '../machines/facts/feed.ts';
import { type Branch, branchFrom, branchFromNothing } from './branch.ts';
import type { Entry } from './entry.ts';
import { newTimeline, type Timeline } from './timeline.ts';

export type Connection = 'loading' | 'live' | 'lost' | 'ended';

export const source = signal<Source | null>(null);
export const connection = signal<Connection>('loading');
/** From 0 to 1, while what is there already is read. */
export const progress = signal(0);
/** Why nothing follows. */
export const problem = signal<string | null>(null);

/** The story of a real supervisor; `length` tells that it has grown. */
let real = newTimeline();
const length = signal(0);
/** Null follows the newest fact. */
const realMoment = signal<number | null>(null);

/** What is imagined, if anything is. */
export const branch = signal<Branch | null>(null);
const branchLength = signal(0);
const branchMoment = signal<number | null>(null);

/** What the timeline was zoomed to, and whether it goes on with the time that is shown; null is what fits. */
export const zoomed = signal<{ from: number; to: number; isFollowed: boolean } | null>(null);

/** Which generation and child are looked at; null is the one that matters most. */
export const chosen = signal<{ generation: number | null; child: number | null }>({ generation: null, child: null });

/** How many facts the story has. */
export const total = computed(() => (branch.value ? branchLength.value : length.value));

/** The story shown; whoever asks in a component is drawn again when it grows. */
export function timeline(): Timeline {
	total.value;
	return branch.value?.timeline ?? real;
}

/** The place of the moment among the entries; -1 before the first. */
export const index = computed(() => {
	const moment = branch.value ? branchMoment.value : realMoment.value;
	return moment === null ? total.value - 1 : Math.min(moment, total.value - 1);
});

/** Whether the newest fact is shown, and followed. */
export const isFollowing = computed(() => (branch.value ? branchMoment.value : realMoment.value) === null);

/** The clock of the reader, while something is under way and followed. */
export const clock = signal(0);

/** The time that is shown: of the moment, or now. */
export function timeShown(): number {
	const at = timeline().timeAt(index.value);
	return isWatching() ? Math.max(at, clock.value) : at;
}

/** A supervisor lives, is followed, and somebody boots or leaves: time passes. */
export function isWatching(): boolean {
	if (branch.value || !isFollowing.value || connection.value !== 'live' || !source.value?.isWritten) return false;
	return [...timeline().standingsAt(index.value)].some(
		([actor, { state, isFinal }]) => actor.startsWith('child.') && !isFinal && state !== 'alive.staying.serving',
	);
}

/** Goes to a moment; the last one is followed as the story grows. */
export function goTo(place: number | null): void {
	const moment = place === null || place >= total.value - 1 ? null : Math.max(0, place);
	if (branch.value) branchMoment.value = moment;
	else realMoment.value = moment;
}

/** Goes so many facts on, or back. */
export function go(steps: number): void {
	goTo(index.value + steps);
}

/** A real story begins. */
export function begin(next: Source): void {
	batch(() => {
		real = newTimeline();
		source.value = next;
		length.value = 0;
		realMoment.value = null;
		branch.value = null;
		chosen.value = { generation: null, child: null };
		zoomed.value = null;
	});
}

/** So long a page that reads what is there already is not drawn again, in milliseconds. */
const pause = 300;

let isPausing = false;

/** It goes on. */
export function append(entries: Entry[]): void {
	for (const entry of entries) real.append(entry);
	if (connection.value !== 'loading') show();
	else if (!isPausing) {
		isPausing = true;
		setTimeout(show, pause);
	}
}

/** Shows what the real story has grown to. */
export function show(): void {
	isPausing = false;
	length.value = real.entries.length;
}

/** Imagines what follows the moment shown. */
export function imagineFromHere(): void {
	const place = index.value;
	if (place >= 0) showBranch(branchFrom(timeline(), place));
}

/** Imagines a supervisor from its start on. */
export function imagineFromNothing(plan: Parameters<typeof branchFromNothing>[0]): void {
	showBranch(branchFromNothing(plan, Date.now()));
}

/** Something happens in what is imagined. */
export function imagine(...[external, after]: Parameters<Branch['tell']>): void {
	branch.value?.tell(external, after);
	batch(() => {
		branchLength.value = branch.value?.timeline.entries.length ?? 0;
		branchMoment.value = null;
	});
}

/** Back to what is real. */
export function stopImagining(): void {
	batch(() => {
		branch.value = null;
		zoomed.value = null;
	});
}

function showBranch(next: Branch) {
	batch(() => {
		branch.value = next;
		branchLength.value = next.timeline.entries.length;
		branchMoment.value = null;
		chosen.value = { generation: null, child: null };
		zoomed.value = null;
	});
}
