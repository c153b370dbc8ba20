/** The files of docs/statecharts, as they follow from the machines. */
import { type Chart, chartOf } from '../../src/machines/chart.ts';
import { childMachine } from '../../src/machines/child.ts';
import { generationMachine } from '../../src/machines/generation.ts';
import { supervisorMachine } from '../../src/machines/supervisor.ts';
import { upgradeMachine } from '../../src/machines/upgrade.ts';
import { drawChart } from './drawing.ts';
import { pageOf } from './page.ts';

export const charts: Chart[] = [supervisorMachine, generationMachine, childMachine, upgradeMachine].map(chartOf);

/** A picture and a page for each machine, by the file's name. @param style the pictures' style sheet */
export async function chartFiles(style: string): Promise<Record<string, string>> {
	const files: Record<string, string> = {};
	for (const chart of charts) {
		files[`${chart.id}.svg`] = await drawChart(chart, style);
		files[`${chart.id}.md`] = pageOf(chart);
	}
	return files;
}
