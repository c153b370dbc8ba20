/** The span of time that the timeline shows: which one fits, and what zooming and panning make of it. */
import type { GenerationLife } from './lifespans.ts';

/** In milliseconds since 1970. */
export interface TimeSpan {
	from: number;
	to: number;
}

/** Without zoom, up to this many generations before the selected one are shown. */
const usual = 24;

interface Shown {
	generations: GenerationLife[];
	/** The index of the selected entry; null follows the newest fact. */
	selected: number | null;
	/** The time shown, and the times of the first and the last entry. In milliseconds since 1970. */
	now: number;
	firstAt: number;
	lastAt: number;
}

/**
 * The span without zoom. It ends at the selected entry, or some generations later, and begins up to `usual`
 * generations earlier. It begins later if the last four rotations would become too narrow to see.
 */
export function fittingSpan({ generations: all, selected, now, firstAt, lastAt }: Shown): TimeSpan {
	const last = selected === null ? all.length - 1 : all.findLastIndex(({ started }) => started.index <= selected);
	const later = selected === null ? all.length : Math.min(all.length, last + 1 + usual / 2);
	const to = later < all.length ? (all[later]?.started.at ?? 0) : Math.max(now, lastAt);
	let first = Math.max(0, last);
	const recent = all.slice(Math.max(0, last - 3), last + 1);
	while (first > 0 && last - first < usual && isReadable(recent, all[first - 1]?.started.at ?? 0, to, now)) first -= 1;
	const from = first === 0 ? firstAt : (all[first]?.started.at ?? 0);
	const edge = Math.max(20, (to - from) * 0.03);
	return { from: from - edge, to: Math.max(to, from + 100) + edge };
}

/** Whether the longest of these rotations takes at least 1.5 % of the span: then it is wide enough to see. */
function isReadable(lives: GenerationLife[], from: number, to: number, now: number): boolean {
	const times = lives.map(({ started, result }) => (result?.at ?? now) - started.at);
	return Math.max(...times) >= (to - from) * 0.015;
}

/** The span, moved so that it contains the time shown, which may have passed its end. */
export function movedTo(now: number, { from, to }: TimeSpan): TimeSpan {
	if (now <= to) return { from, to };
	const by = now - to + (to - from) * 0.05;
	return { from: from + by, to: to + by };
}

/** The span, longer or shorter by a factor. The time shown, or the edge nearest to it, stays in its place. */
export function zoomedBy(factor: number, { from, to }: TimeSpan, now: number): TimeSpan {
	const middle = Math.min(to, Math.max(from, now));
	return { from: middle - (middle - from) * factor, to: middle + (to - middle) * factor };
}

/** The span, moved by a part of its length; a negative part moves it back. */
export function pannedBy(part: number, { from, to }: TimeSpan): TimeSpan {
	const by = (to - from) * part;
	return { from: from + by, to: to + by };
}
