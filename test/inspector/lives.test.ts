import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { phaseAt, verdictAt } from '../../src/inspector/lives.ts';
import { evolve, type Roster } from '../../src/machines/roster.ts';
import { draining, rotating, simulate } from '../support/simulation.ts';
import { choices, factsOf, storyOf } from './history.ts';

describe('lives', () => {
	it('say of every child at every fact the phase that the roster says', () => {
		fc.assert(
			fc.property(choices, fc.integer({ min: 1, max: 3 }), (happened, size) => {
				const facts = factsOf(happened, size);
				const { children } = storyOf(facts).lives;
				let roster: Roster | null = null;
				facts.forEach((fact, place) => {
					roster = evolve(roster, fact);
					const phases = [...children.values()].map((life) => [life.child, phaseAt(life, place)] as const);
					const living = phases.filter(([, phase]) => phase !== null && phase !== 'gone');
					expect(living).toEqual(roster?.children.map(({ child, phase }) => [child, phase]));
				});
			}),
			{ numRuns: 150 },
		);
	});

	it('never draw two children that live at the same time in the same lane', () => {
		fc.assert(
			fc.property(choices, (happened) => {
				const lives = [...storyOf(factsOf(happened)).lives.children.values()];
				for (const one of lives) {
					for (const other of lives) {
						if (one === other || one.lane !== other.lane) continue;
						const [first, second] = one.child < other.child ? [one, other] : [other, one];
						expect(first.end?.index ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(second.segments[0]?.index ?? 0);
					}
				}
			}),
			{ numRuns: 100 },
		);
	});

	it('tell the verdict of a rotation only from when it was known', () => {
		const { history } = rotating().wait(3000).up(2);
		const { lives } = storyOf(history);
		const second = lives.generations.get(2);
		const promoted = history.findIndex((fact) => fact.type === 'generation.promoted' && fact.generation === 2);
		expect(second && verdictAt(second, promoted - 1)).toBe('pending');
		expect(second && verdictAt(second, promoted)).toBe('serving');
		expect(second && verdictAt(second, 0)).toBeNull();
		expect((second?.verdict?.at ?? 0) - (second?.askedAt ?? 0)).toBe(3000);
		expect(second?.replaced).toEqual([1]);
	});

	it('count a rotation that had to wait its turn from when it was asked for', () => {
		const { history } = rotating().wait(100).signal('HUP').wait(900).up(2).wait(50).spawned(3).wait(3000).up(3);
		const third = storyOf(history).lives.generations.get(3);
		expect((third?.verdict?.at ?? 0) - (third?.askedAt ?? 0)).toBe(100 - 100 + 900 + 50 + 3000);
	});

	it('tell how a child ended, and whether it was told to', () => {
		const { children } = storyOf(draining().exited(1, 0).exited(2, 3).history).lives;
		expect(children.get(1)?.end).toMatchObject({ how: 'status 0', wasTold: true });
		expect(children.get(2)?.end).toMatchObject({ how: 'status 3', wasTold: false });
	});

	it('mark a generation that a stop came before as stopped', () => {
		const { history } = simulate().start().spawned(1).signal('TERM');
		const first = storyOf(history).lives.generations.get(1);
		expect(first?.verdict?.kind).toBe('stopped');
	});
});
