/** What the benchmarks share: programs to measure, processes to look at, figures to print. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
export const isQuick = process.argv.includes('--quick');

/** The programs to compare: ours and, by PEER=/path, another with the same flags. */
export const programs = [
	{ name: 'socketmaster', path: join(root, 'bin/socketmaster') },
	...(process.env.PEER ? [{ name: 'peer', path: process.env.PEER }] : []),
];

/** A Node that reads extra certificates at each start would be measured instead of ours. */
export const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;

export const folder = mkdtempSync(join(tmpdir(), 'socketmaster-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** What was started ends with the benchmark, also where that is told to end. */
const running = new Set();
process.on('exit', () => {
	for (const child of running) child.kill('SIGTERM');
});
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => process.exit(1));

/** Starts a program; with `log`, an open fd, its log goes there. */
export function start(command, args, { log = 'ignore', ...more } = {}) {
	const child = spawn(command, args, { stdio: ['ignore', 'ignore', log], env: { ...env, ...more } });
	running.add(child);
	const ended = once(child, 'exit').finally(() => running.delete(child));
	return { child, pid: child.pid, ended, stop: () => child.kill('SIGTERM') };
}

/** Starts the supervisor on a free port with a shell script as its child. */
export function supervise({ path }, script, { flags = [], ...options } = {}) {
	const args = ['-listen=tcp://127.0.0.1:0', '-start=0', ...flags, '-command=/bin/sh', '--', '-c', script];
	return start(path, args, options);
}

/** The end of a shell script: a server that accepts, the smallest that is everywhere. */
export const accepts = `exec perl -e 'open S, "+<&=3"; accept C, S while 1'`;

export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function median(numbers) {
	return quantile(numbers, 0.5);
}

export function quantile(numbers, share) {
	const sorted = [...numbers].sort((a, b) => a - b);
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** Resident memory in KiB. */
export function residentMemory(pid) {
	return memory(pid, 'VmRSS');
}

/** What no other process shares of it, in KiB. */
export function privateMemory(pid) {
	return memory(pid, 'RssAnon');
}

function memory(pid, name) {
	return Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(new RegExp(`${name}:\\s+(\\d+)`))[1]);
}

export function threads(pid) {
	return readdirSync(`/proc/${pid}/task`).length;
}

/** Times any thread of a process was put on or taken off a processor. */
export function contextSwitches(pid) {
	const tasks = readdirSync(`/proc/${pid}/task`).map((task) =>
		readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'),
	);
	return tasks
		.flatMap((status) => [...status.matchAll(/ctxt_switches:\s+(\d+)/g)])
		.reduce((sum, [, n]) => sum + Number(n), 0);
}

/** Seconds of processor time of all children this process has reaped, and of theirs. */
export function reapedCpu() {
	const stat = readFileSync('/proc/self/stat', 'utf8');
	const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
	return (Number(fields[13]) + Number(fields[14])) / 100;
}

/** Prints one figure, and where there is a peer its figure and the ratio. */
export function report(measure, values, note = '') {
	const [ours, peer] = values;
	const ratio = peer === undefined ? '' : (ours / peer).toFixed(2);
	const show = (value) => (value === undefined ? '' : value >= 100 ? value.toFixed(0) : value.toPrecision(3));
	const row = [measure.padEnd(58), show(ours).padStart(10), show(peer).padStart(10), ratio.padStart(7), `  ${note}`];
	console.log(row.join('').trimEnd());
}

export function head() {
	console.log(
		[
			'measure'.padEnd(58),
			'ours'.padStart(10),
			(programs[1] ? 'peer' : '').padStart(10),
			(programs[1] ? 'ratio' : '').padStart(7),
		]
			.join('')
			.trimEnd(),
	);
}
