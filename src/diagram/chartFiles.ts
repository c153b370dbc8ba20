/** The files of docs/statecharts, generated from the machines. */

import { childMachine } from '../machines/charts/child.ts';
import { generationMachine } from '../machines/charts/generation.ts';
import { upgradeMachine } from '../machines/charts/selfUpgrade.ts';
import { supervisorMachine } from '../machines/charts/supervisor.ts';
import { type Chart, chartOf } from './chart.ts';
import { pageOf } from './chartPage.ts';
import { drawChart } from './drawing.ts';

export const charts: Chart[] = [supervisorMachine, generationMachine, childMachine, upgradeMachine].map(chartOf);

/**
 * Generates an SVG and a Markdown page for each machine.
 * @param style the style sheet of the SVGs
 * @returns contents by file name
 */
export async function chartFiles(style: string): Promise<Record<string, string>> {
	const files: Record<string, string> = {};
	files['overview.svg'] = await drawChart(overviewOf(charts[0] as Chart), style, 'RIGHT');
	for (const chart of charts) {
		files[`${chart.id}.svg`] = await drawChart(chart, style);
		files[`${chart.id}.md`] = pageOf(chart);
	}
	return files;
}

/** The supervisor in six states: what an operator meets. */
const met = ['starting', 'running', 'rotating', 'draining', 'stopping'];

/** Each transition of the overview: from, to, what happens. */
export const overviewWays = [
	['starting', 'running', 'first is up'],
	['running', 'rotating', 'SIGHUP, rotate'],
	['rotating', 'running', 'new one failed'],
	['rotating', 'draining', 'new one is up'],
	['draining', 'running', 'old one exited'],
	['running', 'stopping', 'SIGTERM, stop'],
	['stopping', 'stopped', 'last exited'],
] as const;

/** A small chart for the guide, of the supervisor's own states. */
function overviewOf({ states: all }: Chart): Chart {
	const root = all.find(({ id }) => id === '');
	const states = [...met.map((key) => `alive.${key}`), 'stopped'].flatMap(
		(id) => all.find((state) => state.id === id) ?? [],
	);
	if (!root) throw new Error('the chart has no root');
	return {
		id: 'overview',
		description: 'The states of a supervisor that an operator meets.',
		states: [{ ...root, initial: 'starting' }, ...states.map((state) => ({ ...state, id: state.key, parent: '' }))],
		ways: overviewWays.map(([from, to, event]) => ({
			id: `${from}|${event}|0`,
			from,
			to,
			event: event as string,
			guard: null,
			actions: [],
			description: null,
		})),
	};
}
