import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Standings } from '../../src/inspector/timeline.ts';
import { isDecision } from '../../src/machines/facts/stamp.ts';
import { createReplay } from '../../src/machines/simulation/replay.ts';
import { evolve } from '../../src/machines/state/evolve.ts';
import type { SupervisorState } from '../../src/machines/state/supervisorState.ts';
import { rotating, running } from '../support/simulation.ts';
import { choices, factsOf, storyOf } from './history.ts';

/** In the words of `describeState`. */
function words(standings: Standings): string {
	const leaf = (actor: string) => standings.get(actor)?.state.split('.').at(-1) ?? '';
	const children = [...standings.keys()]
		.filter((actor) => actor.startsWith('child.') && !standings.get(actor)?.isFinal)
		.map((actor) => Number(actor.slice('child.'.length)))
		.sort((one, other) => one - other);
	const upgrade = leaf('upgrade');
	return [
		leaf('supervisor'),
		...children.map((child) => `${child}:${leaf(`child.${child}`)}`),
		...(upgrade === 'idle' || upgrade === '' ? [] : [`upgrade:${upgrade}`]),
	].join(' ');
}

describe('a story', () => {
	it('knows at each fact where every chart stood, as the charts themselves say', () => {
		fc.assert(
			fc.property(choices, fc.integer({ min: 1, max: 3 }), (happened, size) => {
				const facts = factsOf(happened, size);
				const timeline = storyOf(facts);
				const replay = createReplay();
				facts.forEach((fact, place) => {
					const { after } = replay.tell(fact);
					expect(words(timeline.standingsAt(place))).toBe(after);
				});
			}),
			{ numRuns: 150 },
		);
	});

	it('knows at each fact what all facts up to it amount to, also far behind the newest', () => {
		const simulation = running();
		for (let child = 2; child < 80; child += 1)
			simulation
				.signal('HUP')
				.spawned(child)
				.up(child)
				.exited(child - 1);
		const facts = simulation.history;
		expect(facts.length).toBeGreaterThan(600);
		const timeline = storyOf(facts);
		let supervisorState: SupervisorState | null = null;
		facts.forEach((fact, place) => {
			supervisorState = evolve(supervisorState, fact);
			expect(timeline.stateAt(place)).toEqual(supervisorState);
		});
	});

	it('knows of each decision what it was made upon, and of each happening what was decided', () => {
		fc.assert(
			fc.property(choices, fc.integer({ min: 1, max: 3 }), (happened, size) => {
				const facts = factsOf(happened, size);
				const timeline = storyOf(facts);
				const decided = facts.flatMap((_, place) =>
					timeline.entries[place]?.kind === 'external' ? timeline.decidedUpon(place) : [],
				);
				expect(decided.sort((one, other) => one - other)).toEqual(
					facts.flatMap((fact, place) => (isDecision(fact) ? [place] : [])),
				);
			}),
			{ numRuns: 100 },
		);
	});

	it('goes to the last fact that is not after a time', () => {
		const timeline = storyOf(rotating().wait(500).up(2).history);
		const first = timeline.entries[0]?.fact.at ?? 0;
		expect(timeline.indexAt(first - 1)).toBe(-1);
		expect(timeline.indexAt(first + 499)).toBe(timeline.entries.findLastIndex(({ fact }) => fact.at === first));
		expect(timeline.indexAt(first + 500)).toBe(timeline.entries.length - 1);
	});

	it('tells which ways each chart took', () => {
		const { history } = rotating().up(2);
		const timeline = storyOf(history);
		const place = history.findIndex((fact) => fact.type === 'child.verified' && fact.child === 2);
		expect(timeline.entries[place]?.moves).toEqual([
			{
				actor: 'child.2',
				state: 'alive.staying.serving',
				isFinal: false,
				ways: ['alive.staying.verifying|child.verified|0'],
			},
			{
				actor: 'generation.2',
				state: 'alive.serving',
				isFinal: false,
				ways: ['alive|childUp|0', 'alive.starting||1'],
			},
			{
				actor: 'supervisor',
				state: 'alive.draining',
				isFinal: false,
				ways: ['alive.rotating|generationUp|2', 'alive.settling||3'],
			},
			{ actor: 'generation.1', state: 'alive.leaving', isFinal: false, ways: ['alive|leave|1'] },
			{ actor: 'child.1', state: 'alive.leaving.draining', isFinal: false, ways: ['alive.staying|leave|1'] },
		]);
	});

	it('names the fact on which the charts decide otherwise', () => {
		const { history } = rotating();
		const wrong = history.map((fact) => (fact.type === 'child.ready' ? { ...fact, child: 9 } : fact));
		const timeline = storyOf(wrong);
		expect(timeline.entries.flatMap(({ difference }) => difference ?? [])[0]).toMatch(/^fact \d+ is .*"child":9/);
	});
});
