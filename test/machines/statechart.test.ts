import { readFileSync } from 'node:fs';
import { instance } from '@viz-js/viz';
import { describe, expect, it } from 'vitest';
import { childMachine } from '../../src/machines/child.ts';
import { describeEvent } from '../../src/machines/descriptions.ts';
import { generationMachine } from '../../src/machines/generation.ts';
import { toDot } from '../../src/machines/statechart.ts';
import { supervisorMachine } from '../../src/machines/supervisor.ts';
import { upgradeMachine } from '../../src/machines/upgrade.ts';

const machines = [supervisorMachine, generationMachine, childMachine, upgradeMachine];

interface Node {
	key: string;
	description?: string;
	states: Record<string, Node>;
}

const statesOf = (state: Node): Node[] => Object.values(state.states).flatMap((inner) => [inner, ...statesOf(inner)]);

describe('docs/statecharts', () => {
	it.each(machines)('shows the $id as it is (npm run statecharts draws it anew)', async (machine) => {
		const viz = await instance();
		const drawn = readFileSync(new URL(`../../docs/statecharts/${machine.id}.svg`, import.meta.url), 'utf8');
		expect(drawn).toBe(viz.renderString(toDot(machine), { format: 'svg' }));
	});

	it.each(machines)('leaves out no state of the $id, and each says in a sentence what it is', (machine) => {
		const dot = toDot(machine);
		for (const { key, description } of statesOf(machine.root as unknown as Node)) {
			expect(dot).toMatch(new RegExp(`label="${key}\\b`));
			expect(description).toMatch(/^[A-Z].*[.?]$/);
		}
	});

	it('shows what is decided, invoked and asked on the way', () => {
		const dot = toDot(childMachine);
		expect(dot).toContain('invokes process');
		expect(dot).toContain('timer.elapsed [isBootTimer] / decide ready, tellUp');
		expect(toDot(supervisorMachine)).toContain(
			'generationUp [isCandidateBesideServing] / decide replacing, dismissServing, promote',
		);
	});
});

describe('events', () => {
	it.each(machines)('of the $id have a sentence each', (machine) => {
		for (const event of machine.events) expect(describeEvent(event)).toMatch(/^[A-Z].*\.$/);
	});
});
