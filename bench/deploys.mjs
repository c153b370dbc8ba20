/** What a deploy costs: from a child's word to the old one's signal, with another user's child, with many workers. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { openFifo } from './fifo.mjs';
import { timeRotations } from './process.mjs';
import {
	folder,
	isQuick,
	median,
	programs,
	quantile,
	report,
	residentMemory,
	root,
	start,
	supervise,
	wait,
} from './support.mjs';

/** Says when it says READY=1, and when it is told to leave: nanoseconds of CLOCK_MONOTONIC. */
const sender = `#!/usr/bin/python3
import os, signal, socket, threading, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, signal.SIGTERM})
threading.Thread(target=socket.socket(fileno=3).accept, daemon=True).start()
speaker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
said = time.monotonic_ns()
speaker.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])
print('said', said, flush=True)
signal.sigwait({signal.SIGHUP, signal.SIGTERM})
print('told', time.monotonic_ns(), flush=True)
`;

/** READY=1 to the moment when the old child has its signal. */
export async function benchReady() {
	const rotations = isQuick ? 5 : 100;
	const path = join(folder, 'speaker.py');
	writeFileSync(path, sender, { mode: 0o755 });
	const args = ['-listen=tcp4://127.0.0.1:0', '-ready=notify', '-start=60000', `-command=${path}`];
	const supervisor = start(join(root, 'bin/socketmaster'), args, { log: 'pipe' });
	const times = [];
	const words = createInterface({ input: supervisor.child.stderr })[Symbol.asyncIterator]();
	const next = async (pattern) => {
		for (;;) {
			const { value, done } = await words.next();
			if (done) throw new Error('it ended');
			const found = value.match(pattern);
			if (found) return found;
		}
	};
	await next(/Generation 1 is up/);
	for (let count = 0; count < rotations; count += 1) {
		supervisor.child.kill('SIGHUP');
		const stamps = {};
		while (!stamps.said || !stamps.told) {
			const [, word, stamp] = await next(/(said|told) (\d+)$/);
			stamps[word] = Number(stamp);
		}
		times.push((stamps.told - stamps.said) / 1e6);
		await wait(20);
	}
	supervisor.stop();
	for await (const _ of words);
	await supervisor.ended;
	report('ready: READY=1 to the old child’s signal, ms, median', [median(times)]);
	report('ready: READY=1 to the old child’s signal, ms, p95', [quantile(times, 0.95)]);
}

/** SIGHUP to main() of another user's child. */
export async function benchUser() {
	if (process.getuid() !== 0) return report('user: takes root', []);
	const rotations = isQuick ? 3 : 50;
	chmodSync(folder, 0o755);
	const results = [];
	for (const program of programs) {
		results.push(await timeRotations(program, rotations, { flags: ['-user=nobody'], pause: 50 }));
	}
	report('user: SIGHUP to main() with -user, ms, median', results.map(median));
}

/** SIGHUP to main() of the last of 64 workers, and what they cost the supervisor. */
export async function benchWorkers() {
	const [workers, rotations] = isQuick ? [8, 2] : [64, 20];
	const memory = [];
	const later = [];
	const times = [];
	for (const count of [1, workers]) {
		const fifo = openFifo();
		const flags = [`-workers=${count}`];
		const supervisor = supervise(programs[0], `echo -n u >${fifo.path}; exec sleep 1000`, { flags });
		await fifo.reached(count);
		await wait(1000);
		memory.push(residentMemory(supervisor.pid));
		for (let rotation = 1; rotation <= rotations; rotation += 1) {
			const began = performance.now();
			supervisor.child.kill('SIGHUP');
			const last = await fifo.reached(count * (rotation + 1));
			if (count > 1) times.push(last - began);
			await wait(200);
		}
		later.push(residentMemory(supervisor.pid));
		supervisor.stop();
		await supervisor.ended;
		fifo.close();
	}
	report(`workers: SIGHUP to main() of the last of ${workers}, ms, median`, [median(times)]);
	const each = (figures) => [(figures[1] - figures[0]) / (workers - 1)];
	report(`workers: more memory for each of ${workers}, KiB`, each(memory));
	report(`workers: the same after ${rotations} rotations, KiB`, each(later));
}
