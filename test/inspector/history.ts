/** Random lives of a supervisor, as the page gets them. */
import * as fc from 'fast-check';
import { newReplayer } from '../../src/inspector/replayer.ts';
import { newTimeline, type Timeline } from '../../src/inspector/timeline.ts';
import { upgradeStateOf } from '../../src/machines/charts/world.ts';
import type { Fact } from '../../src/machines/facts/facts.ts';
import { nextEvents } from '../../src/machines/simulation/nextEvents.ts';
import { simulator } from '../../src/machines/simulation/simulator.ts';
import { plan } from '../support/simulation.ts';

/**
 * The facts of a supervisor to whom something that may happen happened so many times: children are born late or never, are
 * stopped, leave workers; it is upgraded, killed, and started again.
 */
export function factsOf(choices: number[], size = 1): Fact[] {
	const facts: Fact[] = [];
	const world = simulator({ seq: 0, at: 1_000_000, told: (fact) => facts.push(fact) });
	world.tell({ type: 'supervisor.started', pid: 1, plan: { ...plan, size, kill: 1000 } });
	for (const choice of choices) {
		const state = world.supervisorState();
		const { value } = world.supervisor().getSnapshot();
		if (!state || value === 'stopped') break;
		const upgrade = upgradeStateOf(world.supervisor());
		const events = nextEvents(state, upgrade, new Set());
		const next = events[choice % events.length];
		if (!next) break;
		world.wait(next.after);
		world.tell(next.external);
	}
	return facts;
}

export const choices = fc.array(fc.nat(1000), { minLength: 1, maxLength: 60 });

/** The page's story of facts. */
export function storyOf(facts: Parameters<ReturnType<typeof newReplayer>>[0][]): Timeline {
	const timeline = newTimeline();
	const replay = newReplayer();
	for (const fact of facts) timeline.append(replay(fact));
	return timeline;
}
