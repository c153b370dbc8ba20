/** The state of the page: the timeline shown, the moment in it, and what is selected. */
import { batch, computed, signal } from '@preact/signals';
import type { Source } from '../machines/facts/feed.ts';
import { type Branch, branchFrom, branchFromNothing } from './branch.ts';
import type { Entry } from './entry.ts';
import { newTimeline, type Timeline } from './timeline.ts';
import type { TimeSpan } from './timeSpan.ts';

export type Connection = 'loading' | 'live' | 'lost' | 'ended';

export const source = signal<Source | null>(null);
export const connection = signal<Connection>('loading');
/** Rises from 0 to 1 while the existing facts are read. */
export const progress = signal(0);
/** A sentence if no more facts will follow; else null. */
export const problem = signal<string | null>(null);
/** Rises when entries are dropped or a timeline begins: indexes of entries mean others then. */
export const onDrop = signal(0);

/** Facts that were dropped, as the page keeps `most`. */
export const dropped = signal(0);

/** The timeline of a real supervisor. A timeline is no signal, so a change of `length` signals that it has grown. */
let real = newTimeline();
const length = signal(0);
/** The index of the selected entry; null follows the newest fact. */
const realMoment = signal<number | null>(null);

/** The simulation shown; null while the real timeline is shown. */
export const branch = signal<Branch | null>(null);
const branchLength = signal(0);
const branchMoment = signal<number | null>(null);

/** The time that the timeline shows; null lets the page choose. */
export const view = signal<TimeSpan | null>(null);

/** The generation and the child that the reader has selected; null lets the page choose. */
export const chosen = signal<{ generation: number | null; child: number | null }>({ generation: null, child: null });

/** The text of the filter of the events. */
export const filterText = signal('');

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

/**
 * The index of the last entry of the selected step: what is shown of the service is after all decisions of an event. -1 if there
 * are no entries.
 */
export const settled = computed(() => timeline().endOfStep(index.value));

/** Whether the selection follows the newest fact. */
export const isFollowing = computed(() => (branch.value ? branchMoment.value : realMoment.value) === null);

/** The browser's time in milliseconds since 1970. It is updated only while `isLive()`. */
export const clock = signal(Date.now());

/** Whether the newest fact of a supervisor that lives is shown: then time passes on the page. */
export const isLive = computed(
	() => !branch.value && isFollowing.value && connection.value === 'live' && source.value?.isWritten === true,
);

/** Whether the newest fact is shown, and the supervisor that wrote it does not live. */
export const isGone = computed(
	() =>
		!branch.value &&
		isFollowing.value &&
		source.value !== null &&
		!source.value.isImagined &&
		!source.value.isWritten &&
		connection.value !== 'loading',
);

/** The time of the selected entry, or the present if `isLive()`. In milliseconds since 1970. */
export function timeShown(): number {
	const at = timeline().timeAt(index.value);
	return isLive.value ? Math.max(at, clock.value) : at;
}

/** The time that `ago` counts to: of a supervisor that is gone, the reader's own. */
export function present(): number {
	return isGone.value ? Math.max(clock.value, timeShown()) : timeShown();
}

/**
 * The last time of the history: the present of a supervisor that lives, else that of its last entry. While a moment is
 * selected it stands still. In milliseconds since 1970.
 */
export function endOfHistory(): number {
	const last = timeline().timeAt(total.value - 1);
	const isWritten = !branch.value && source.value?.isWritten === true && connection.value !== 'loading';
	if (!isWritten) return last;
	return isFollowing.value ? Math.max(last, clock.value) : clock.value;
}

/** The first time of the history. A snapshot tells of generations that began before it. In milliseconds since 1970. */
export function startOfHistory(): number {
	const { lives } = timeline();
	return Math.min(timeline().timeAt(0), ...lives.generations.slice(0, 50).map(({ started }) => started.at));
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
export function begin(next: Source, missing: number): void {
	batch(() => {
		real = newTimeline();
		source.value = next;
		length.value = 0;
		dropped.value = missing;
		connection.value = 'loading';
		realMoment.value = null;
		branch.value = null;
		chosen.value = { generation: null, child: null };
		view.value = null;
		onDrop.value += 1;
	});
}

/** With more facts than `most`, the oldest are dropped, so that `kept` remain. */
const most = 200_000;
const kept = 150_000;

/** Interval at which the page is rendered while existing facts are read, in milliseconds. */
const pause = 300;

let isPausing = false;

/** Adds entries to the real timeline. They are rendered with the next frame. */
export function append(entries: Entry[]): void {
	for (const entry of entries) real.append(entry);
	if (isPausing) return;
	isPausing = true;
	if (connection.value === 'loading') setTimeout(show, pause);
	else requestAnimationFrame(show);
}

/** Renders the entries added to the real timeline. */
export function show(): void {
	isPausing = false;
	batch(() => {
		if (real.entries.length > most) drop(real.entries.length - kept);
		length.value = real.entries.length;
	});
}

function drop(count: number) {
	const isAgain = dropped.value > 0 ? 1 : 0;
	real = real.without(count);
	dropped.value += count - isAgain;
	onDrop.value += 1;
	if (realMoment.value !== null) realMoment.value = Math.max(0, realMoment.value - count + 1);
}

/** Starts a simulation from the selected entry. */
export function imagineFromHere(): void {
	const place = index.value;
	if (place >= 0) showBranch(branchFrom(timeline(), place));
}

/** Starts a simulation with the start of a supervisor. */
export function imagineFromNothing(plan: Parameters<typeof branchFromNothing>[0]): void {
	const begun = branchFromNothing(plan, Date.now());
	begun.settle();
	showBranch(begun);
}

/** A step of the simulation. */
export function step(act: (branch: Branch) => void): void {
	if (!branch.value) return;
	act(branch.value);
	batch(() => {
		branchLength.value = branch.value?.timeline.entries.length ?? 0;
		branchMoment.value = null;
	});
}

/** Takes the last step of the simulation back. */
export function undo(): void {
	const before = branch.value?.undone();
	if (before) showBranch(before);
}

/** Ends the simulation, and shows the real timeline again. */
export function stopImagining(): void {
	batch(() => {
		branch.value = null;
		view.value = null;
		onDrop.value += 1;
	});
}

function showBranch(next: Branch) {
	batch(() => {
		branch.value = next;
		branchLength.value = next.timeline.entries.length;
		branchMoment.value = null;
		chosen.value = { generation: null, child: null };
		view.value = null;
		onDrop.value += 1;
	});
}
