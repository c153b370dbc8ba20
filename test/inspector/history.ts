/** Random lives of a supervisor, as the page gets them. */
import * as fc from 'fast-check';
import type { Entry } from '../../src/inspector/entry.ts';
import { newReplayer } from '../../src/inspector/replayer.ts';
import { newStory, type Story } from '../../src/inspector/story.ts';
import type { Fact } from '../../src/machines/facts.ts';
import { modelWorld } from '../support/model.ts';
import { plan } from '../support/simulation.ts';

/** The facts of a supervisor to whom something that may happen happened so many times. */
export function factsOf(choices: number[], size = 1, kill = 1000): Fact[] {
	const world = modelWorld({ ...plan, size, kill }, () => (choices[0] ?? 1) % 7 !== 0);
	for (const choice of choices) {
		const possible = world.possibilities();
		if (world.actor.getSnapshot().status === 'active') possible[choice % possible.length]?.();
	}
	return world.history;
}

export const choices = fc.array(fc.nat(1000), { minLength: 1, maxLength: 60 });

/** The page's story of facts. */
export function storyOf(facts: Fact[]): Story {
	const story = newStory();
	const replay = newReplayer();
	for (const fact of facts) story.append(replay(fact));
	return story;
}

export const typesOf = (entries: Entry[]) => entries.map(({ fact }) => fact.type);
