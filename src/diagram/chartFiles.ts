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
	for (const chart of charts) {
		files[`${chart.id}.svg`] = await drawChart(chart, style);
		files[`${chart.id}.md`] = pageOf(chart);
	}
	return files;
}
