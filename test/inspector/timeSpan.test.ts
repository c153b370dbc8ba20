import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GenerationLife } from '../../src/inspector/lifespans.ts';
import { containing, pannedBy, ticksOf, usualSpan, wholeSpan, zoomedBy } from '../../src/inspector/timeSpan.ts';

const begunAt = (at: number) => ({ started: { index: 0, at } }) as GenerationLife;

describe('the span that the page chooses', () => {
	it('of a live supervisor ends now, and shows at most a quarter of an hour', () => {
		const hour = 3_600_000;
		expect(usualSpan({ generations: [begunAt(0)], first: 0, last: hour, isLive: true }).to).toBe(hour);
		const { from, to } = usualSpan({ generations: [begunAt(0)], first: 0, last: hour, isLive: true });
		expect(Math.round((to - from) / 60_000)).toBe(15);
	});

	it('of an ended one shows the last 24 generations', () => {
		const generations = Array.from({ length: 100 }, (_, order) => begunAt(order * 1000));
		const { from, to } = usualSpan({ generations, first: 0, last: 100_000, isLive: false });
		expect(from).toBeLessThan(76_000);
		expect(from).toBeGreaterThan(75_000);
		expect(to).toBeGreaterThan(100_000);
	});
});

describe('zooming and panning', () => {
	const span = { from: 1000, to: 2000 };

	it('keep the time under the pointer in its place', () => {
		fc.assert(
			fc.property(fc.double({ min: 0.3, max: 4, noNaN: true }), fc.integer({ min: 1000, max: 2000 }), (factor, at) => {
				const { from, to } = zoomedBy(factor, span, at, 10_000);
				expect((at - from) / (to - from)).toBeCloseTo((at - 1000) / 1000, 5);
			}),
		);
	});

	it('end where there is nothing more to be seen', () => {
		expect(zoomedBy(0.001, span, 1500, 10_000)).toEqual(span);
	});

	it('end where the whole history is a quarter of what is shown', () => {
		expect(zoomedBy(11, span, 1500, 10_000)).toEqual(span);
	});

	it('never rescale for a selected moment, and move only if it would be outside', () => {
		expect(containing(1500, span)).toEqual(span);
		expect(containing(5000, span)).toEqual({ from: 4500, to: 5500 });
		expect(pannedBy(10, span)).toEqual({ from: 1010, to: 2010 });
		expect(wholeSpan(0, 100_000)).toEqual({ from: -2000, to: 102_000 });
	});
});

describe('the ticks of the axis', () => {
	it('are round times, and no more than have room', () => {
		fc.assert(
			fc.property(fc.integer({ min: 200, max: 90 * 86_400_000 }), fc.integer({ min: 2, max: 20 }), (length, most) => {
				const from = Date.UTC(2026, 10, 1);
				const ticks = ticksOf({ from, to: from + length }, most);
				expect(ticks.length).toBeLessThanOrEqual(most + 1);
				for (const tick of ticks) expect(tick).toBeGreaterThanOrEqual(from);
			}),
		);
		expect(ticksOf({ from: 500, to: 5200 }, 6)).toEqual([1000, 2000, 3000, 4000, 5000]);
	});
});
