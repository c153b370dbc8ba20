/**
 * What several supervisors cost beside each other: exec to the child's main(), memory with one child, and CPU while idle.
 * Server::Starter is Debian's, pm2 is npm's, in a folder of its own; PEER names the original.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openFifo } from '../fifo.mjs';
import {
	contextSwitches,
	env,
	folder,
	isQuick,
	median,
	privateMemory,
	residentMemory,
	root,
	start,
	wait,
} from '../support.mjs';
import { installPm2 } from './pm2.mjs';

/** A folder of its own: who writes beside a socket wakes its supervisor. */
const place = join(folder, 'own');
mkdirSync(place);
const port = 18_900 + (process.pid % 500);

/** Each starts a program that tells of its main() and rests. @returns the pid of what stays, and how it is stopped */
const supervisors = {
	socketmaster: (program) => direct(join(root, 'bin/socketmaster'), ['-listen=tcp://127.0.0.1:0', '-start=0'], program),
	'socketmaster, -journal -control': (program) =>
		direct(
			join(root, 'bin/socketmaster'),
			['-listen=tcp://127.0.0.1:0', '-start=0', `-journal=${place}/journal`, `-control=${place}/control`],
			program,
		),
	...(process.env.PEER && {
		'the original': (program) => direct(process.env.PEER, ['-listen=tcp://127.0.0.1:0', '-start=0'], program),
	}),
	...(existsSync('/usr/bin/start_server') && {
		'Server::Starter': (program) => child('start_server', [`--port=127.0.0.1:${port}`, '--', program]),
	}),
	pm2: startPm2,
};

function direct(command, flags, program) {
	return child(command, [...flags, `-command=${program}`]);
}

function child(command, args) {
	const running = start(command, args);
	return {
		pid: () => running.pid,
		stop: () => {
			running.stop();
			return running.ended;
		},
	};
}

function startPm2(program) {
	const pm2 = installPm2();
	const own = { ...env, PM2_HOME: join(folder, 'pm2') };
	spawn(pm2, ['start', program, '--interpreter=none'], { env: own, stdio: 'ignore' });
	return {
		pid: () => Number(readFileSync(join(own.PM2_HOME, 'pm2.pid'), 'utf8')),
		stop: async () => void spawnSync(pm2, ['kill'], { env: own, stdio: 'ignore' }),
	};
}

/** Nanoseconds that all threads of a process have run. */
function runTime(pid) {
	return readdirSync(`/proc/${pid}/task`).reduce(
		(sum, task) => sum + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]),
		0,
	);
}

export async function benchCost() {
	const [turns, rest, span] = isQuick ? [1, 500, 1000] : [11, 15_000, 60_000];
	const fifo = openFifo();
	const program = join(folder, 'rests');
	writeFileSync(program, `#!/bin/sh\nprintf u >${fifo.path}\nexec sleep 100000\n`, { mode: 0o755 });
	installPm2();
	let mains = 0;
	console.log(
		'                                  start ms   RSS MB  private MB  CPU ms in an hour  switches in an hour',
	);
	for (const [name, begin] of Object.entries(supervisors)) {
		const starts = [];
		for (let turn = 0; turn < turns; turn += 1) {
			mains += 1;
			const began = performance.now();
			const running = begin(program);
			starts.push((await fifo.reached(mains)) - began);
			await wait(300);
			await running.stop();
		}
		mains += 1;
		const running = begin(program);
		await fifo.reached(mains);
		await wait(rest);
		const [resident, own] = [residentMemory, privateMemory].map((of) => of(running.pid()) / 1024);
		const [ran, switched] = [runTime(running.pid()), contextSwitches(running.pid())];
		await wait(span);
		const hour = 3_600_000 / span;
		const cpu = ((runTime(running.pid()) - ran) / 1e6) * hour;
		const switches = (contextSwitches(running.pid()) - switched) * hour;
		await running.stop();
		const row = [median(starts).toFixed(0), resident.toFixed(1), own.toFixed(1), cpu.toFixed(0), switches.toFixed(0)];
		const widths = [9, 9, 12, 19, 21];
		console.log(name.padEnd(33) + row.map((value, index) => value.padStart(widths[index])).join(''));
	}
	fifo.close();
}
