/** The span of time that the timeline shows: which one the page chooses, and what zooming and panning make of it. */
import type { GenerationLife } from './lifespans.ts';

/** In milliseconds since 1970. */
export interface TimeSpan {
	from: number;
	to: number;
}

/** What of a live supervisor is shown without zoom, in milliseconds, if it is at least as old. */
const recent = 15 * 60_000;
/** The shortest span, in milliseconds. */
const shortest = 200;
/** The page shows at most this many generations by itself. */
const usual = 24;

interface Shown {
	generations: GenerationLife[];
	/** The first time, and the last one: the present of a live supervisor. In milliseconds since 1970. */
	first: number;
	last: number;
	isLive: boolean;
}

/** The span that the page chooses. It does not depend on the selected moment. */
export function usualSpan({ generations, first, last, isLive }: Shown): TimeSpan {
	const begin = generations.at(-usual)?.started.at ?? first;
	const from = isLive ? Math.max(first, last - recent, begin) : Math.max(first, begin);
	const length = Math.max(last - from, 1000);
	// The right edge of a live supervisor is now.
	return { from: from - length * 0.02, to: isLive ? last : from + length * 1.03 };
}

export function wholeSpan(first: number, last: number): TimeSpan {
	const length = Math.max(last - first, 1000);
	return { from: first - length * 0.02, to: first + length * 1.02 };
}

/** The span, longer or shorter by a factor; a time stays in its place. @param most the longest span, in milliseconds */
export function zoomedBy(factor: number, { from, to }: TimeSpan, at: number, most: number): TimeSpan {
	const [before, after] = [(at - from) * factor, (to - at) * factor];
	const length = before + after;
	return length < shortest || (factor > 1 && length > most) ? { from, to } : { from: at - before, to: at + after };
}

/** The span, moved by a time. */
export function pannedBy(by: number, { from, to }: TimeSpan): TimeSpan {
	return { from: from + by, to: to + by };
}

/** The span, moved if a time would be outside it. */
export function containing(at: number, span: TimeSpan): TimeSpan {
	const { from, to } = span;
	return from <= at && at <= to ? span : pannedBy(at - from - (to - from) * 0.5, span);
}

const seconds = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const tickSteps = [...seconds, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800].map((each) => each * 1000);

/** The times of the axis. @param most the number of ticks that have room */
export function ticksOf({ from, to }: TimeSpan, most: number): number[] {
	const step = tickSteps.find((each) => (to - from) / each <= most) ?? (to - from) / most;
	// Days begin at midnight of the reader's time zone.
	const zone = new Date(from).getTimezoneOffset() * 60_000;
	const begin = Math.ceil((from - zone) / step) * step + zone;
	return Array.from({ length: Math.floor((to - begin) / step) + 1 }, (_, order) => begin + order * step);
}
