/** How fast children come up, and what the supervisor costs while it does nothing. */
import { openFifo } from './fifo.mjs';
import {
	accepts,
	contextSwitches,
	isQuick,
	median,
	programs,
	quantile,
	report,
	residentMemory,
	start,
	supervise,
	threads,
	wait,
} from './support.mjs';

/** SIGHUP to the new child's main(), in milliseconds, so many times. */
export async function timeRotations(program, rotations, { flags = [], pause = 100 } = {}) {
	const fifo = openFifo();
	const supervisor = supervise(program, `echo -n u >${fifo.path}; ${accepts}`, { flags });
	await fifo.reached(1);
	await wait(300);
	const times = await timeHups(supervisor, fifo, rotations, pause);
	supervisor.stop();
	await supervisor.ended;
	fifo.close();
	return times;
}

/** SIGHUP to the main() of what a program that has started one child then starts, in milliseconds, so many times. */
export async function timeHups({ child }, fifo, turns, pause) {
	const times = [];
	for (let count = 2; count <= turns + 1; count += 1) {
		const began = performance.now();
		child.kill('SIGHUP');
		times.push((await fifo.reached(count)) - began);
		await wait(pause);
	}
	return times;
}

/** SIGHUP to the new child's main(). */
export async function benchRotation() {
	const rotations = isQuick ? 5 : 100;
	const results = [];
	for (const program of programs) results.push(await timeRotations(program, rotations));
	report('rotation: SIGHUP to main(), ms, median', results.map(median));
	report(
		'rotation: SIGHUP to main(), ms, p95',
		results.map((times) => quantile(times, 0.95)),
	);
}

/** exec to the child's main() of each program, and to the end of a Node that does nothing, in turn, in milliseconds. */
export async function timeStarts(turns) {
	const results = programs.map(() => []);
	const bare = [];
	const fifo = openFifo();
	let count = 0;
	for (let turn = 0; turn < turns; turn += 1) {
		let began = performance.now();
		await start(process.execPath, ['-e', '0']).ended;
		bare.push(performance.now() - began);
		for (const [index, program] of programs.entries()) {
			began = performance.now();
			const supervisor = supervise(program, `echo -n u >${fifo.path}`);
			count += 1;
			results[index].push((await fifo.reached(count)) - began);
			await supervisor.ended;
		}
	}
	fifo.close();
	return { results, bare };
}

export async function benchStart() {
	const { results, bare } = await timeStarts(isQuick ? 3 : 30);
	report('start: exec to main(), ms, median', results.map(median));
	report(
		'start: node -e 0, ms, median',
		[median(bare)],
		`ours is ${(median(results[0]) / median(bare)).toFixed(2)} times that`,
	);
}

/** Resident memory with one child, and with 300 that drain. */
export async function benchMemory() {
	const [rest, crowd] = isQuick ? [1000, 10] : [60_000, 300];
	const node = start(process.execPath, ['-e', 'setInterval(() => {}, 1e8)']);
	const own = [];
	const perChild = [];
	const moreThreads = [];
	for (const program of programs) {
		const fifo = openFifo();
		const supervisor = supervise(program, `trap "" HUP; echo -n u >${fifo.path}; ${accepts}`);
		await fifo.reached(1);
		await wait(rest);
		own.push(residentMemory(supervisor.pid));
		const before = threads(supervisor.pid);
		for (let count = 2; count <= crowd + 1; count += 1) {
			supervisor.child.kill('SIGHUP');
			await fifo.reached(count);
		}
		await wait(1000);
		perChild.push((residentMemory(supervisor.pid) - own.at(-1)) / crowd);
		moreThreads.push(threads(supervisor.pid) - before);
		supervisor.stop();
		await supervisor.ended;
		fifo.close();
	}
	const bare = residentMemory(node.pid);
	node.stop();
	report(`memory: resident after ${rest / 1000} s, KiB`, own);
	report('memory: an idle node, KiB', [bare], `ours is ${(own[0] / bare).toFixed(2)} times that`);
	report(
		`memory: more for each of ${crowd} draining children, KiB`,
		perChild,
		`threads more: ${moreThreads.join(', ')}`,
	);
}

export async function benchIdle() {
	const span = isQuick ? 1000 : 30_000;
	const results = [];
	for (const program of programs) {
		const fifo = openFifo();
		const supervisor = supervise(program, `echo -n u >${fifo.path}; ${accepts}`);
		await fifo.reached(1);
		await wait(isQuick ? 500 : 10_000);
		const before = contextSwitches(supervisor.pid);
		await wait(span);
		results.push(contextSwitches(supervisor.pid) - before);
		supervisor.stop();
		await supervisor.ended;
		fifo.close();
	}
	report(`idle: context switches in ${span / 1000} s`, results);
}
