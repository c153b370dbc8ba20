import { describe, expect, it } from 'vitest';
import type { GenerationLife } from '../../src/inspector/lifespans.ts';
import { fittingSpan, movedTo, pannedBy, zoomedBy } from '../../src/inspector/timeSpan.ts';

/** Generations that start one after the other, each with its result after `tookMs`. */
const generationsOf = (count: number, everyMs: number, tookMs: number): GenerationLife[] =>
	Array.from({ length: count }, (_, order) => ({
		generation: order + 1,
		asked: 'rotate',
		requestedAt: order * everyMs,
		started: { index: order * 10, at: order * everyMs },
		result: { index: order * 10 + 5, at: order * everyMs + tookMs, kind: 'promoted' },
		replaced: [],
		children: [],
	}));

describe('the span without zoom', () => {
	it('shows everything of a few generations, with an edge of 3 % on both sides', () => {
		const generations = generationsOf(3, 1000, 500);
		const span = fittingSpan({ generations, selected: null, now: 10_000, firstAt: 0, lastAt: 2500 });
		expect(span).toEqual({ from: -300, to: 10_300 });
	});

	it('begins at most 24 generations before the newest one', () => {
		const generations = generationsOf(100, 1000, 500);
		const { from } = fittingSpan({ generations, selected: null, now: 99_500, firstAt: 0, lastAt: 99_500 });
		expect(from).toBeCloseTo(75_000 - 24_500 * 0.03);
	});

	it('begins later where the last rotations would be too narrow to see', () => {
		const generations = generationsOf(100, 1000, 60);
		const { from } = fittingSpan({ generations, selected: null, now: 99_500, firstAt: 0, lastAt: 99_500 });
		expect(from).toBeCloseTo(96_000 - 3500 * 0.03);
	});

	it('ends twelve generations after the selected entry', () => {
		const generations = generationsOf(100, 1000, 500);
		const span = fittingSpan({ generations, selected: 305, now: 30_400, firstAt: 0, lastAt: 99_500 });
		expect(span).toEqual({ from: 10_000 - 990, to: 43_000 + 990 });
	});

	it('is long enough to be seen where nothing has happened yet', () => {
		const span = fittingSpan({ generations: [], selected: null, now: 0, firstAt: 0, lastAt: 0 });
		expect(span).toEqual({ from: -20, to: 120 });
	});
});

describe('a zoomed span', () => {
	const span = { from: 1000, to: 2000 };

	it('stays until the time shown has passed its end, and then moves ahead of it by 5 %', () => {
		expect(movedTo(2000, span)).toEqual(span);
		expect(movedTo(2100, span)).toEqual({ from: 1150, to: 2150 });
	});

	it('is zoomed around the time shown, or around the edge that is nearest to it', () => {
		expect(zoomedBy(0.5, span, 1500)).toEqual({ from: 1250, to: 1750 });
		expect(zoomedBy(2, span, 5000)).toEqual({ from: 0, to: 2000 });
	});

	it('is panned by a part of its length', () => {
		expect(pannedBy(-0.4, span)).toEqual({ from: 600, to: 1600 });
	});
});
