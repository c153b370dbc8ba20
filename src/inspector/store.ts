/** The state of the page: the timeline shown, and the moment selected in it. */
import { batch, computed, signal } from '@preact/signals';
import type { Source } from '../machines/facts/feed.ts';
import { type Branch, branchFrom, branchFromNothing } from './branch.ts';
import type { Entry } from './entry.ts';
import { newTimeline, type Timeline } from './timeline.ts';

export type Connection = 'loading' | 'live' | 'lost' | 'ended';

export const source = signal<Source | null>(null);
export const connection = signal<Connection>('loading');
/** Rises from 0 to 1 while the existing facts are read. */
export const progress = signal(0);
/** A sentence if no more facts will follow; else null. */
export const problem = signal<string | null>(null);

/** The timeline of a real supervisor. A timeline is no signal, so a change of `length` signals that it has grown. */
let real = newTimeline();
const length = signal(0);
/** The index of the selected entry; null follows the newest fact. */
const realMoment = signal<number | null>(null);

/** The simulation shown; null while the real timeline is shown. */
export const branch = signal<Branch | null>(null);
const branchLength = signal(0);
const branchMoment = signal<number | null>(null);

/** The zoomed span in milliseconds since 1970. With `isFollowed` it moves with the time shown. Null: no zoom. */
export const zoomed = signal<{ from: number; to: number; isFollowed: boolean } | null>(null);

/** The generation and the child that the reader has chosen; null lets the page choose. */
export const chosen = signal<{ generation: number | null; child: number | null }>({ generation: null, child: null });

/** The number of entries in the timeline shown. */
export const total = computed(() => (branch.value ? branchLength.value : length.value));

/** The timeline shown. A component that calls this is rendered again when the timeline grows. */
export function timeline(): Timeline {
	total.value;
	return branch.value?.timeline ?? real;
}

/** The index of the selected entry; -1 if there are no entries. */
export const index = computed(() => {
	const moment = branch.value ? branchMoment.value : realMoment.value;
	return moment === null ? total.value - 1 : Math.min(moment, total.value - 1);
});

/** Whether the selection follows the newest fact. */
export const isFollowing = computed(() => (branch.value ? branchMoment.value : realMoment.value) === null);

/** The browser's time in milliseconds since 1970. It is updated only while `isWatching()`. */
export const clock = signal(0);

/** The time of the selected entry, or the present while `isWatching()`. In milliseconds since 1970. */
export function timeShown(): number {
	const at = timeline().timeAt(index.value);
	return isWatching() ? Math.max(at, clock.value) : at;
}

/** Whether time passes on the page: a live supervisor is followed, and one of its children boots or drains. */
export function isWatching(): boolean {
	if (branch.value || !isFollowing.value || connection.value !== 'live' || !source.value?.isWritten) return false;
	return [...timeline().standingsAt(index.value)].some(
		([actor, { state, isFinal }]) => actor.startsWith('child.') && !isFinal && state !== 'alive.staying.serving',
	);
}

/** Selects an entry. The last entry, or null, follows the newest fact. */
export function goTo(place: number | null): void {
	const moment = place === null || place >= total.value - 1 ? null : Math.max(0, place);
	if (branch.value) branchMoment.value = moment;
	else realMoment.value = moment;
}

/** Moves the selection by a number of entries; a negative number moves back. */
export function go(steps: number): void {
	goTo(index.value + steps);
}

/** Begins a new real timeline. */
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

/** Interval at which the page is rendered while existing facts are read, in milliseconds. */
const pause = 300;

let isPausing = false;

/** Adds entries to the real timeline. */
export function append(entries: Entry[]): void {
	for (const entry of entries) real.append(entry);
	if (connection.value !== 'loading') show();
	else if (!isPausing) {
		isPausing = true;
		setTimeout(show, pause);
	}
}

/** Renders the entries added to the real timeline. */
export function show(): void {
	isPausing = false;
	length.value = real.entries.length;
}

/** Starts a simulation from the selected entry. */
export function imagineFromHere(): void {
	const place = index.value;
	if (place >= 0) showBranch(branchFrom(timeline(), place));
}

/** Starts a simulation with the start of a supervisor. */
export function imagineFromNothing(plan: Parameters<typeof branchFromNothing>[0]): void {
	showBranch(branchFromNothing(plan, Date.now()));
}

/** Sends an external event to the simulation. */
export function imagine(...[external, after]: Parameters<Branch['tell']>): void {
	branch.value?.tell(external, after);
	batch(() => {
		branchLength.value = branch.value?.timeline.entries.length ?? 0;
		branchMoment.value = null;
	});
}

/** Ends the simulation, and shows the real timeline again. */
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
