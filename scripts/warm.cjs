/**
 * Runs the bundle once, in its usual way to its end, and keeps what V8 compiled for it.
 * Called by the build: node scripts/warm.cjs DIRECTORY
 */
const { readFileSync, writeFileSync } = require('node:fs');
const { Script } = require('node:vm');
const { join } = require('node:path');

const dist = join(__dirname, '../dist');
const file = join(dist, 'socketmaster.cjs');
const source = readFileSync(file, 'latin1');
const script = new Script(source, { filename: file });
process.argv = [
	process.execPath,
	file,
	`-listen=unix://${process.argv[2]}/warm.sock`,
	'-start=0',
	'-command=/bin/echo',
	'warm',
];
process.on('exit', () =>
	writeFileSync(join(dist, `socketmaster.${source.slice(2, 18)}.cache`), script.createCachedData()),
);
script.runInThisContext()(require, file);
