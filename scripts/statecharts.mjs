/** Writes docs/statecharts from the machines: a picture and a page for each. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(`${root}node_modules/.statecharts-`);
try {
	const outfile = `${scratch}/files.mjs`;
	const entryPoints = [`${root}src/diagram/chartFiles.ts`];
	await build({ entryPoints, outfile, bundle: true, format: 'esm', platform: 'node', external: ['elkjs'] });
	const { chartFiles } = await import(outfile);
	const files = await chartFiles(readFileSync(`${root}src/diagram/chart.css`, 'utf8'));
	mkdirSync(`${root}docs/statecharts`, { recursive: true });
	for (const [name, text] of Object.entries(files)) writeFileSync(`${root}docs/statecharts/${name}`, text);
} finally {
	rmSync(scratch, { recursive: true });
}
