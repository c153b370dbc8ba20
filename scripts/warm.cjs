/**
 * Runs the bundle once, through a rotation to its end, and keeps what V8 compiled for it.
 * Called by the build: node scripts/warm.cjs DIST DIRECTORY
 */
const { readFileSync, writeFileSync } = require('node:fs');
const { Script } = require('node:vm');
const { join } = require('node:path');

const [dist, scratch] = process.argv.slice(2);
const file = join(dist, 'socketmaster.cjs');
const source = readFileSync(file, 'latin1');
const script = new Script(source, { filename: file });
process.argv = [
	process.execPath,
	file,
	`-listen=unix://${scratch}/warm.sock`,
	`-journal=${scratch}/journal`,
	'-start=0',
	'-signal=TERM',
	'-command=/bin/sh',
	'--',
	'-c',
	'case $SOCKETMASTER_CHILD in 1) sleep 0.1; kill -HUP $PPID; exec sleep 9;; *) sleep 0.1; echo warm;; esac',
];
process.on('exit', () =>
	writeFileSync(join(dist, `socketmaster.${source.slice(2, 18)}.cache`), script.createCachedData()),
);
script.runInThisContext()(require, file);
