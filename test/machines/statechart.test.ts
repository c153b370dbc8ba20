import { readFileSync } from 'node:fs';
import { instance } from '@viz-js/viz';
import { describe, expect, it } from 'vitest';
import { childMachine } from '../../src/machines/child.ts';
import { toDot } from '../../src/machines/statechart.ts';
import { supervisorMachine } from '../../src/machines/supervisor.ts';
import { upgradeMachine } from '../../src/machines/upgrade.ts';

describe('docs/statecharts', () => {
	it.each([supervisorMachine, childMachine, upgradeMachine])(
		'shows the $id as it is (npm run statecharts draws it anew)',
		async (machine) => {
			const viz = await instance();
			const drawn = readFileSync(new URL(`../../docs/statecharts/${machine.id}.svg`, import.meta.url), 'utf8');
			expect(drawn).toBe(viz.renderString(toDot(machine), { format: 'svg' }));
		},
	);

	it.each([supervisorMachine, childMachine, upgradeMachine])('leaves out no state of the $id', (machine) => {
		const dot = toDot(machine);
		for (const state of Object.keys(machine.root.states)) expect(dot).toContain(`\t"${state}"`);
	});
});
