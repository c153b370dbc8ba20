/** The machines as the page knows them: their charts, and how their states are named and coloured. */
import { type Chart, chartOf, type Tone } from '../diagram/chart.ts';
import { childMachine } from '../machines/charts/child.ts';
import { generationMachine } from '../machines/charts/generation.ts';
import { upgradeMachine } from '../machines/charts/selfUpgrade.ts';
import { supervisorMachine } from '../machines/charts/supervisor.ts';

/** By the names of the machines. */
export const charts: ReadonlyMap<string, Chart> = new Map(
	[supervisorMachine, generationMachine, childMachine, upgradeMachine].map((machine) => [machine.id, chartOf(machine)]),
);

const tones = new Map<string, Tone>(
	[...charts.values()].flatMap(({ states }) =>
		states.filter(({ states }) => states.length === 0).map(({ key, tone }): [string, Tone] => [key, tone]),
	),
);

/** The colour of a state or phase, the same as in the charts; its name always stands beside it. */
export function toneOf(state: string): Tone {
	return tones.get(state) ?? 'resting';
}

/** `generation 2` of `generation.2` */
export function nameOf(actor: string): string {
	return actor.replace('.', ' ');
}

/** `alive › staying › booting` */
export function stateText(state: string): string {
	return state.split('.').join(' › ');
}
