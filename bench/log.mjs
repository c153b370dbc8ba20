/** How fast the log is: 1,000,000 lines of 100 bytes from one child, and from eight at once. */
import { closeSync, createReadStream, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openFifo } from './fifo.mjs';
import { folder, isQuick, median, programs, reapedCpu, report, start, supervise } from './support.mjs';

const lines = isQuick ? 80_000 : 1_000_000;
const turns = isQuick ? 1 : 5;

export async function benchLog() {
	const all = writeLines('all', lines);
	const eighth = writeLines('eighth', lines / 8);
	for (const [name, measure] of [
		['one child', (program, log) => fromOne(program, all, log)],
		['eight children', (program, log) => fromEight(program, eighth, log)],
	]) {
		const results = programs.map(() => []);
		for (let turn = 0; turn < turns; turn += 1) {
			for (const [index, program] of programs.entries()) results[index].push(await once(program, measure));
		}
		const rates = results.map((each) => median(each.map(({ seconds }) => lines / seconds / 1e6)));
		const cpu = results.map((each) => median(each.map(({ cpu }) => (cpu / lines) * 1e6)));
		const lost = results.map((each) => Math.max(...each.map((run) => lines - run.count)));
		report(`log, ${name}: million lines a second`, rates, `lost: ${lost.join(', ')}`);
		report(`log, ${name}: microseconds of CPU a line, child included`, cpu);
	}
	await inherited(all);
	const toNull = [];
	for (let turn = 0; turn < turns; turn += 1) {
		const began = performance.now();
		await start('/bin/sh', ['-c', `cat ${all} | cat >/dev/null`]).ended;
		toNull.push(lines / ((performance.now() - began) / 1000) / 1e6);
	}
	report('log, for comparison: cat | cat, million lines a second', [median(toNull)]);
}

/** With -output=inherit the supervisor reads no line: more lines may cost no more than `cat` itself spends on them. */
async function inherited(all) {
	const none = writeLines('none', 1);
	const cpuOf = async (command, args) => {
		const before = reapedCpu();
		await start(command, args).ended;
		return reapedCpu() - before;
	};
	const ofLines = async (command, args) => {
		const costs = [];
		for (let turn = 0; turn < turns; turn += 1)
			costs.push((await cpuOf(command, [...args, all])) - (await cpuOf(command, [...args, none])));
		return (median(costs) / lines) * 1e6;
	};
	const [ours] = programs;
	const flags = ['-listen=tcp://127.0.0.1:0', '-start=0', '-output=inherit', '-command=/bin/cat', '--'];
	report('log, -output=inherit: microseconds of CPU a line, and of cat alone', [
		await ofLines(ours.path, flags),
		await ofLines('/bin/cat', []),
	]);
}

function writeLines(name, count) {
	const path = join(folder, name);
	const fd = openSync(path, 'w');
	for (let line = 1; line <= count; line += 10_000) {
		const block = Array.from({ length: Math.min(10_000, count - line + 1) }, (_, index) =>
			String(line + index).padStart(99, '.'),
		);
		writeFileSync(fd, `${block.join('\n')}\n`);
	}
	closeSync(fd);
	return path;
}

async function once(program, measure) {
	const path = join(folder, 'log');
	const log = openSync(path, 'w');
	const cpu = reapedCpu();
	const seconds = await measure(program, log);
	const spent = reapedCpu() - cpu;
	closeSync(log);
	return { seconds, cpu: spent, count: await countLines(path) };
}

async function fromOne(program, path, log) {
	const began = performance.now();
	await start(program.path, ['-listen=tcp://127.0.0.1:0', '-start=0', '-command=/bin/cat', '--', path], { log }).ended;
	return (performance.now() - began) / 1000;
}

/** Eight generations, seven of them told to leave and deaf to it, that begin to print at one sign. */
async function fromEight(program, path, log) {
	const [up, go] = [openFifo(), openFifo()];
	// Where the one that serves ends before the others a ninth is started: it prints nothing.
	const script = `test "\${SOCKETMASTER_CHILD:-0}" -le 8 || exit 0; trap "" HUP; echo -n u >${up.path}; read x <${go.path}; cat ${path}`;
	const supervisor = supervise(program, script, { log });
	for (let count = 1; count <= 8; count += 1) {
		await up.reached(count);
		if (count < 8) supervisor.child.kill('SIGHUP');
	}
	// Whoever reads already is told of its end, and whoever comes later finds a line.
	go.close();
	const sign = openSync(go.path, 'r+');
	const began = performance.now();
	writeFileSync(sign, '\n'.repeat(8));
	await supervisor.ended;
	closeSync(sign);
	up.close();
	return (performance.now() - began) / 1000;
}

async function countLines(path) {
	let count = 0;
	let rest = '';
	for await (const chunk of createReadStream(path, { encoding: 'latin1', highWaterMark: 1 << 20 })) {
		const parts = (rest + chunk).split('\n');
		rest = parts.pop();
		count += parts.filter((line) => line.includes('] ...')).length;
	}
	return count;
}
