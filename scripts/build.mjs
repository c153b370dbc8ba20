/**
 * Bundles src/cli/main.ts into dist/socketmaster.cjs, and lets V8 compile it ahead of time: the launcher
 * hands the code cache back, so that a start parses nothing. A cache made by another Node is ignored.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
// A build for tests throws where it is told to, and lies elsewhere: node scripts/build.mjs --faults DIRECTORY
const [flag, elsewhere] = process.argv.slice(2);
const hasFaults = flag === '--faults';
const dist = hasFaults ? elsewhere : `${root}dist`;
const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
const require = createRequire(import.meta.url);
const rxjs = require.resolve('rxjs').replace('dist/cjs', 'dist/esm');

/** Modules of Node that load much: each is loaded when a value of it is first used, and where none is, never. */
const heavy = [
	'http',
	'https',
	'net',
	'tls',
	'tty',
	'fs/promises',
	'timers/promises',
	'child_process',
	'crypto',
	'v8',
	'vm',
];
const lazyModules = {
	name: 'lazy modules of Node',
	setup({ onResolve, onLoad }) {
		const filter = new RegExp(`^node:(${heavy.join('|')})$`);
		onResolve({ filter }, ({ path, namespace }) =>
			namespace === 'lazy' ? { path, external: true } : { path, namespace: 'lazy' },
		);
		onLoad({ filter: /./, namespace: 'lazy' }, ({ path }) => {
			const getters = Object.keys(require(path)).map((name) => `get ${name}() { return load().${name}; }`);
			const load = `let loaded; const load = () => (loaded ??= require('${path}'));`;
			return { contents: `${load} module.exports = { ${getters.join(', ')} };` };
		});
	},
};

rmSync(dist, { recursive: true, force: true });
const common = {
	bundle: true,
	minify: true,
	platform: 'node',
	target: 'node20',
	format: 'cjs',
	// rxjs gives Node its CommonJS build, of which nothing can be left out.
	alias: { rxjs },
	mainFields: ['module', 'main'],
	external: ['koffi', 'pino'],
	define: {
		'import.meta.url': '__filename',
		SOCKETMASTER_VERSION: JSON.stringify(version),
		SOCKETMASTER_FAULTS: String(hasFaults),
	},
	legalComments: 'none',
};
const program = { ...common, plugins: [lazyModules] };
const { outputFiles } = await build({
	...program,
	entryPoints: [`${root}src/cli/main.ts`],
	banner: { js: '(function (require, __filename, earlySignals) {' },
	footer: { js: '})' },
	write: false,
});
// V8 takes a cache for right when the source is as long as it was: the bundle's own mark, which is part of
// the cache's name, keeps the two together.
const { contents } = outputFiles[0];
const mark = createHash('sha256').update(contents).digest('hex').slice(0, 16);
mkdirSync(dist, { recursive: true });
await build({ ...common, entryPoints: [`${root}src/cli/asUserMain.ts`], outfile: `${dist}/as-user.cjs` });
await build({ ...common, entryPoints: [`${root}src/effects/terminal/leave.ts`], outfile: `${dist}/leave.cjs` });
await build({ ...program, entryPoints: [`${root}src/cli/clientMain.ts`], outfile: `${dist}/ask.cjs` });
await build({ ...program, entryPoints: [`${root}src/cli/usageMain.ts`], outfile: `${dist}/usage.cjs` });
await build({ ...common, entryPoints: ['string-width'], outfile: `${dist}/cells.cjs` });
await build({ ...common, entryPoints: [`${root}src/child/adopt.ts`], outfile: `${dist}/adopt.cjs` });
if (!hasFaults) {
	await buildModules();
	await buildInspector();
}
writeFileSync(`${dist}/socketmaster.cjs`, `/*${mark}*/${Buffer.from(contents)}`);

/** What servers and their tests import, with types. */
async function buildModules() {
	await build({
		...common,
		format: 'esm',
		define: {},
		minify: false,
		entryPoints: [`${root}src/child/child.ts`, `${root}src/testing/testing.ts`],
		outdir: `${dist}/modules`,
	});
	const types = `${dist}/types`;
	const compiler = `${root}node_modules/typescript/bin/tsc`;
	execFileSync(process.execPath, [compiler, '-p', `${root}src/testing/tsconfig.json`, '--outDir', types]);
	// No type of the modules comes from these, which have types of xstate.
	for (const name of ['machines/charts', 'machines/simulation', 'testing/simulation.d.ts'])
		rmSync(`${types}/${name}`, { recursive: true });
}

/** A program and a page of their own, so that a supervisor has nothing of them. */
async function buildInspector() {
	const page = `${root}src/inspector`;
	const preact = (name) => fileURLToPath(import.meta.resolve(`preact/${name}`));
	await build({ ...common, entryPoints: [`${root}src/cli/inspectMain.ts`], outfile: `${dist}/inspect.cjs` });
	await build({
		bundle: true,
		minify: true,
		splitting: true,
		platform: 'browser',
		target: 'es2022',
		format: 'esm',
		conditions: ['production'],
		jsx: 'automatic',
		jsxImportSource: 'preact',
		// The virtual list is written for React.
		alias: { react: preact('compat'), 'react-dom': preact('compat') },
		loader: { '.svg': 'text' },
		define: {
			SOCKETMASTER_VERSION: JSON.stringify(version),
			SOCKETMASTER_BUILD: JSON.stringify(mark),
		},
		entryPoints: [`${page}/page.tsx`, `${page}/worker.ts`, `${page}/page.css`],
		outdir: `${dist}/inspector`,
		legalComments: 'eof',
	});
	copyFileSync(`${page}/index.html`, `${dist}/inspector/index.html`);
	// The icon of the page has the colour of the service's health.
	const icon = readFileSync(`${page}/icon.svg`, 'utf8');
	const colours = { good: '#2c8a45', warn: '#b9790f', bad: '#c4302b', off: '#6c7985', 'what-if': '#6a3fb5' };
	for (const [tone, colour] of Object.entries(colours))
		writeFileSync(`${dist}/inspector/icon-${tone}.svg`, icon.replace('#2f78c4', colour));
}

const directory = mkdtempSync(join(tmpdir(), 'socketmaster-build-'));
try {
	execFileSync(process.execPath, [`${root}scripts/warm.cjs`, dist, directory], {
		stdio: ['ignore', 'ignore', 'ignore'],
	});
} catch {
	// Where nothing can be listened on or run there is no cache, and a start takes a little longer.
} finally {
	rmSync(directory, { recursive: true });
}
