/** Draws docs/statecharts/*.svg from the machines. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { instance } from '@viz-js/viz';
import { build } from 'esbuild';

const { outputFiles } = await build({
	stdin: {
		contents: `
			export { childMachine } from './src/machines/child.ts';
			export { generationMachine } from './src/machines/generation.ts';
			export { supervisorMachine } from './src/machines/supervisor.ts';
			export { upgradeMachine } from './src/machines/upgrade.ts';
			export { toDot } from './src/machines/statechart.ts';`,
		resolveDir: new URL('..', import.meta.url).pathname,
	},
	bundle: true,
	format: 'esm',
	platform: 'node',
	write: false,
});
const source = Buffer.from(outputFiles[0].contents).toString('base64');
const { childMachine, generationMachine, supervisorMachine, toDot, upgradeMachine } = await import(
	`data:text/javascript;base64,${source}`
);

const viz = await instance();
const folder = new URL('../docs/statecharts/', import.meta.url);
mkdirSync(folder, { recursive: true });
for (const machine of [supervisorMachine, generationMachine, childMachine, upgradeMachine]) {
	const svg = viz.renderString(toDot(machine), { format: 'svg' });
	writeFileSync(new URL(`${machine.id}.svg`, folder), svg);
}
