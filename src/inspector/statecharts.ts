/** The statecharts that the page shows, and the names and colours of their states. */
import { type Chart, chartOf, type Tone } from '../diagram/chart.ts';
import { childMachine } from '../machines/charts/child.ts';
import { generationMachine } from '../machines/charts/generation.ts';
import { upgradeMachine } from '../machines/charts/selfUpgrade.ts';
import { supervisorMachine } from '../machines/charts/supervisor.ts';

/** The charts by the name of their state machine. */
export const charts: ReadonlyMap<string, Chart> = new Map(
	[supervisorMachine, generationMachine, childMachine, upgradeMachine].map((machine) => [machine.id, chartOf(machine)]),
);

const tones = new Map<string, Tone>(
	[...charts.values()].flatMap(({ states }) =>
		states.filter(({ states }) => states.length === 0).map(({ key, tone }): [string, Tone] => [key, tone]),
	),
);

/** The colour of a state or phase, as in the charts. The page always shows the name too. */
export function toneOf(state: string): Tone {
	return tones.get(state) ?? 'resting';
}

/** `generation 2` for `generation.2`. */
export function nameOf(actor: string): string {
	return actor.replace('.', ' ');
}

/** `alive › staying › booting` for `alive.staying.booting`. */
export function stateText(state: string): string {
	return state.split('.').join(' › ');
}
