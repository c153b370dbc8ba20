/** A child as the supervisor tracks it: direct, and running. */
import { initialState, type TrackedChild } from '../../src/effects/children/trackedChildren.ts';

export const trackedChild = (change: Partial<TrackedChild> = {}): TrackedChild => ({
	...initialState(),
	child: 1,
	pid: 100,
	pidfd: null,
	isOwn: true,
	output: null,
	wasKilled: false,
	...change,
});
