/**
 * What a start, a command, a rotation, the log and the memory cost, each as a ratio to something that costs the same on every
 * machine, measured beside it. `--quick` compares the ratios with bench/written.json, and fails where one is 1.3 times worse.
 * Usage: npm run bench -- ratios; after a change that is meant: npm run bench -- ratios --write
 */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeHistory } from '../test/support/history.mjs';
import { openFifo } from './fifo.mjs';
import { timeHups, timeRotations, timeStarts } from './process.mjs';
import {
	env,
	folder,
	isQuick,
	median,
	privateMemory,
	programs,
	quantile,
	reapedCpu,
	root,
	start,
	supervise,
	wait,
} from './support.mjs';

const [ours] = programs;
const file = join(root, 'bench/written.json');

/** How much worse than written down fails, and how often a machine that is busy is asked again. */
const [margin, attempts] = [1.3, 4];

/** Milliseconds that a program takes to its end: the quickest fifth, as others of the machine only add to it. */
function timesInTurn(turns, commands) {
	const times = commands.map(() => []);
	for (let turn = 0; turn < turns; turn += 1)
		for (const [index, [command, ...args]] of commands.entries()) {
			const began = performance.now();
			spawnSync(command, args, { env, stdio: 'ignore' });
			times[index].push(performance.now() - began);
		}
	return times.map((each) => quantile(each, 0.2));
}

const bareNode = [process.execPath, '-e', '0'];

async function startRatio() {
	const { results, bare } = await timeStarts(isQuick ? 10 : 40);
	return quantile(results[0], 0.2) / quantile(bare, 0.2);
}

async function commandRatios() {
	const control = join(folder, 'control');
	const supervisor = supervise(ours, 'exec sleep 1000', { flags: [`-control=${control}`] });
	while (!existsSync(control)) await wait(5);
	await wait(500);
	const [bare, versionTook, helpTook, statusTook] = timesInTurn(isQuick ? 10 : 40, [
		bareNode,
		[ours.path, '-version'],
		[ours.path, '-h'],
		[ours.path, 'status', `-control=${control}`],
	]);
	supervisor.stop();
	await supervisor.ended;
	return { '-version': versionTook / bare, '-h': helpTook / bare, status: statusTook / bare };
}

/** The same shell, started by the smallest Node program that does so on SIGHUP. */
const smallest = `
process.on('SIGHUP', () => require('node:child_process').spawn('/bin/sh', ['-c', process.argv[1]], { stdio: 'inherit' }));
require('node:child_process').spawn('/bin/sh', ['-c', process.argv[1]], { stdio: 'inherit' });
process.on('SIGTERM', () => process.exit());
setInterval(() => {}, 1e8);`;

async function rotationRatio() {
	const rotations = isQuick ? 30 : 100;
	const own = await timeRotations(ours, rotations, { pause: 50 });
	const fifo = openFifo();
	const node = start(process.execPath, ['-e', smallest, `echo -n u >${fifo.path}`]);
	await fifo.reached(1);
	await wait(300);
	const bare = await timeHups(node, fifo, rotations, 50);
	node.stop();
	await node.ended;
	fifo.close();
	return median(own) / median(bare);
}

/** CPU of the log beside that of sed, which puts the same before each line. */
function logRatio() {
	const lines = join(folder, 'lines');
	const block = Array.from({ length: 10_000 }, (_, line) => String(line).padStart(99, '.')).join('\n');
	writeFileSync(lines, `${block}\n`.repeat(50));
	const cpuOf = (command, args) => {
		const log = openSync(join(folder, 'log'), 'w');
		const before = reapedCpu();
		spawnSync(command, args, { env, stdio: ['ignore', log, log] });
		closeSync(log);
		return reapedCpu() - before;
	};
	const run = (script) => cpuOf(ours.path, [...quiet, '-command=/bin/sh', '--', '-c', script]);
	const [own, sed] = [[], []];
	for (let turn = 0; turn < 3; turn += 1) {
		own.push(run(`cat ${lines}`) - run('cat /dev/null'));
		sed.push(
			cpuOf('/bin/sh', ['-c', `cat ${lines} | sed 's/^/socketmaster[12345] 2026\\/01\\/01 00:00:00 [12346] /'`]),
		);
	}
	return Math.min(...own) / Math.min(...sed);
}

const quiet = ['-listen=tcp://127.0.0.1:0', '-start=0'];

/** Private memory, beside that of a Node that does nothing. */
async function memoryRatios() {
	const node = start(process.execPath, ['-e', 'setInterval(() => {}, 1e8)']);
	const rest = isQuick ? 3000 : 20_000;
	const crowd = isQuick ? 60 : 300;
	const found = {};
	for (const [name, trap] of [
		['draining', 'trap "" HUP; '],
		['rotated', ''],
	]) {
		const fifo = openFifo();
		const supervisor = supervise(ours, `${trap}echo -n u >${fifo.path}; exec sleep 1000`);
		await fifo.reached(1);
		await wait(rest);
		const alone = privateMemory(supervisor.pid);
		for (let count = 2; count <= crowd + 1; count += 1) {
			supervisor.child.kill('SIGHUP');
			await fifo.reached(count);
		}
		await wait(4000);
		found[name] = { alone, after: privateMemory(supervisor.pid) };
		supervisor.child.kill('SIGTERM');
		await supervisor.ended;
		fifo.close();
	}
	const bare = privateMemory(node.pid);
	node.stop();
	await node.ended;
	return {
		'private memory, one child': found.draining.alone / bare,
		[`private memory, ${crowd} rotations later`]: found.rotated.after / bare,
		[`private memory, ${crowd} draining children`]: found.draining.after / bare,
	};
}

/** A fact's way through the statecharts beside JSON.parse() of its line. */
function replayRatio() {
	const journal = join(folder, 'history');
	writeHistory(journal, isQuick ? 4000 : 40_000);
	const parse = `
const lines = require('node:fs').readFileSync(process.argv[1], 'utf8').trim().split('\\n');
for (let turn = 0; turn < 50; turn += 1) for (const line of lines) JSON.parse(line);`;
	const [own, bare, none] = timesInTurn(3, [
		[ours.path, 'replay', journal],
		[process.execPath, '-e', parse, journal],
		bareNode,
	]);
	return (own - none) / ((bare - none) / 50);
}

const measures = [
	async () => ({ start: await startRatio() }),
	commandRatios,
	async () => ({ rotation: await rotationRatio() }),
	async () => ({ 'log, CPU of a line': logRatio() }),
	memoryRatios,
	async () => ({ 'replay, a fact': replayRatio() }),
];

/** @returns the names of those that are worse than written down */
export async function benchRatios() {
	const written = JSON.parse(readFileSync(file, 'utf8'));
	const key = isQuick ? 'quick' : 'full';
	const known = written[key] ?? {};
	const found = {};
	console.log('measure                                       ratio  written');
	for (const measure of measures) {
		for (let attempt = 1; attempt <= attempts; attempt += 1) {
			const ratios = await measure();
			for (const [name, ratio] of Object.entries(ratios)) found[name] = Math.min(found[name] ?? Infinity, ratio);
			if (Object.keys(ratios).every((name) => !isWorse(found[name], known[name]))) break;
		}
	}
	for (const [name, ratio] of Object.entries(found))
		console.log(`${name.padEnd(44)}${ratio.toFixed(2).padStart(7)}${(known[name]?.toFixed(2) ?? '-').padStart(9)}`);
	if (process.argv.includes('--write')) {
		const rounded = Object.fromEntries(Object.entries(found).map(([name, ratio]) => [name, Number(ratio.toFixed(2))]));
		writeFileSync(file, `${JSON.stringify({ ...written, [key]: rounded }, null, '\t')}\n`);
		return [];
	}
	const worse = Object.keys(found).filter((name) => isWorse(found[name], known[name]));
	const missing = Object.keys(known).filter((name) => !(name in found));
	return [...worse, ...missing];
}

/** A ratio that is not written down yet can't be worse. */
function isWorse(ratio, known) {
	return known !== undefined && !(ratio <= known * margin);
}
