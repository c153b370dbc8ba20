/** What the control socket costs while nobody asks, and what asking costs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { openFifo } from './fifo.mjs';
import { folder, isQuick, median, programs, report, residentMemory, supervise, wait } from './support.mjs';

const control = join(folder, 'control');

/** Milliseconds that a command takes from its start to its end. */
async function timeCommand(...args) {
	const began = performance.now();
	const child = spawn(programs[0].path, [...args, `-control=${control}`], { stdio: 'ignore' });
	const [status] = await once(child, 'exit');
	if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}`);
	return performance.now() - began;
}

function ask(path, method = 'GET') {
	return new Promise((resolve, reject) => {
		const asked = request({ socketPath: control, path, method, agent: false }, (response) => {
			let text = '';
			response.setEncoding('utf8').on('data', (chunk) => {
				text += chunk;
			});
			response.on('end', () => resolve(JSON.parse(text)));
		});
		asked.on('error', reject).end();
	});
}

/** Start and memory with -control and nobody connected, beside the same without. */
async function benchSilent() {
	const turns = isQuick ? 3 : 60;
	const times = [[], []];
	const memory = [[], []];
	for (let turn = 0; turn < turns; turn += 1) {
		const order = turn % 2 === 0 ? [0, 1] : [1, 0];
		for (const index of order) {
			const fifo = openFifo();
			const flags = index === 0 ? [`-control=${control}`] : [];
			const began = performance.now();
			const supervisor = supervise(programs[0], `echo -n u >${fifo.path}; exec sleep 1000`, { flags });
			times[index].push((await fifo.reached(1)) - began);
			if (turn < 10) {
				await wait(isQuick ? 300 : 2000);
				memory[index].push(residentMemory(supervisor.pid));
			}
			supervisor.stop();
			await supervisor.ended;
			fifo.close();
		}
	}
	const note = (values) => `${(values[0] / values[1]).toFixed(3)} of one without`;
	const starts = times.map(median);
	const kibs = memory.map(median);
	report('control: exec to main() with -control, ms, median', [starts[0]], note(starts));
	report('control: resident with -control, KiB, median', [kibs[0]], note(kibs));
}

/** `socketmaster rotate` beside a kill -HUP of which somebody has to find out what became. */
async function benchRotate() {
	const rotations = isQuick ? 3 : 40;
	const flags = [`-control=${control}`];
	const supervisor = supervise(programs[0], 'exec sleep 1000', { flags });
	while (!existsSync(control)) await wait(5);
	await ask('/rotations/1?wait');
	const times = { hup: [], http: [], command: [] };
	let generation = 1;
	for (let turn = 0; turn < rotations; turn += 1) {
		generation += 1;
		let began = performance.now();
		supervisor.child.kill('SIGHUP');
		for (;;) {
			const found = await ask(`/rotations/${generation}?wait`);
			if (found.result === 'promoted') break;
		}
		times.hup.push(performance.now() - began);
		generation += 1;
		began = performance.now();
		const asked = await ask('/rotate', 'POST');
		await ask(`/rotations/${asked.generation}?wait`);
		times.http.push(performance.now() - began);
		generation += 1;
		times.command.push(await timeCommand('rotate'));
	}
	report('rotate: kill -HUP to the result, ms, median', [median(times.hup)]);
	report('rotate: POST /rotate to the result, ms, median', [median(times.http)]);
	report('rotate: the command, exec to exit, ms, median', [median(times.command)]);
	const many = isQuick ? 10 : 100;
	const began = performance.now();
	await Promise.all(Array.from({ length: many }, () => timeCommand('rotate')));
	const took = performance.now() - began;
	const last = (await ask('/rotations')).at(-1).generation;
	report(`rotate: ${many} commands at once, ms`, [took], `they shared ${last - generation} rotations`);
	supervisor.stop();
	await supervisor.ended;
}

/** A status of many children. */
async function benchStatus() {
	const children = isQuick ? 20 : 300;
	const fifo = openFifo();
	const flags = [`-control=${control}`, `-workers=${children}`];
	const supervisor = supervise(programs[0], `echo -n u >${fifo.path}; exec sleep 1000`, { flags });
	await fifo.reached(children);
	await wait(500);
	const times = [];
	for (let turn = 0; turn < (isQuick ? 3 : 20); turn += 1) {
		const began = performance.now();
		await ask('/status');
		times.push(performance.now() - began);
	}
	report(`status: GET /status with ${children} children, ms, median`, [median(times)]);
	report(`status: the command, exec to exit, ms`, [await timeCommand('status')]);
	supervisor.stop();
	await supervisor.ended;
	fifo.close();
}

export async function benchAsking() {
	await benchSilent();
	await benchRotate();
	await benchStatus();
}
