import { describe, expect, it } from 'vitest';
import { RateLimit } from '../../../src/effects/children/rateLimit.ts';

describe('a rate limit', () => {
	it('is reached by the last event that it permits', () => {
		const limit = new RateLimit(2);
		limit.begin(5000);
		limit.add();
		expect(limit.isReached()).toBe(false);
		limit.add();
		expect(limit.isReached()).toBe(true);
	});

	it('counts on within a second of the clock', () => {
		const limit = new RateLimit(1);
		limit.begin(5000);
		limit.add();
		limit.begin(5999);
		expect(limit.isReached()).toBe(true);
	});

	it('starts at zero in the next second of the clock', () => {
		const limit = new RateLimit(1);
		limit.begin(5999);
		limit.add();
		limit.begin(6000);
		expect(limit.isReached()).toBe(false);
	});
});
