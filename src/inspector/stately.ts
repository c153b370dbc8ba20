/** Sends the session to the Stately Inspector, which opens in its own window. */
import { createBrowserInspector } from '@statelyai/inspect';
import { createActor } from 'xstate';
import { deliver, inertWorld, type Supervisor, supervisorIn } from '../machines/charts/world.ts';
import type { ExternalFact, Fact } from '../machines/facts/facts.ts';
import { beginningBefore } from './branch.ts';
import type { Checkpoint } from './entry.ts';
import type { Timeline } from './timeline.ts';

/** About this many facts before the selected one are sent. */
const most = 400;

/**
 * Opens the Stately Inspector, and replays the facts up to the selected entry. The window requests the events when it
 * is ready.
 */
export function handToStately(timeline: Timeline, index: number): void {
	const inspector = createBrowserInspector({ maxDeferredEvents: 20_000 });
	// Begin between two steps: the supervisor's state does not record a step in progress.
	const begin = beginningBefore(timeline, Math.max(0, index - most)) + (index > most ? 1 : 0);
	let supervisor = newLife();
	const before = begin > 0 ? timeline.stateAt(begin - 1) : null;
	if (before)
		deliver(supervisor, { type: 'supervisor.recovered', seq: 0, at: 0, pid: 0, by: 'upgrade', state: before });
	timeline.entries.slice(begin, index + 1).forEach(({ fact: whole, kind, isLife }, order) => {
		const fact = withoutPrivate(whole);
		if (kind === 'decision') return;
		if (isLife && (order > 0 || before)) {
			supervisor.stop();
			supervisor = newLife();
		}
		if (fact.type === 'checkpoint') {
			const { seq, at, state } = fact;
			deliver(supervisor, { type: 'supervisor.recovered', seq, at, pid: 0, by: 'upgrade', state });
		} else deliver(supervisor, fact as Fact as ExternalFact);
	});

	function newLife(): Supervisor {
		const world = inertWorld(
			() => {},
			() => {},
		);
		return createActor(supervisorIn(world), { id: 'supervisor', inspect: inspector.inspect }).start();
	}
}

/** A fact without what a child printed and where its program lies. */
function withoutPrivate(fact: Fact | Checkpoint): Fact | Checkpoint {
	const { lastOutput: _, program: __, directory: ___, hint: ____, ...rest } = fact as Fact & Record<string, unknown>;
	return rest as Fact;
}
