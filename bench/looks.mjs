/** What the look at candidates costs the supervisor's event loop, with many workers on a machine with many processes. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { folder, isQuick, programs, report, start, wait } from './support.mjs';

/** Accepts, as small as can be. */
const acceptor = 'exec perl -e \'open S, "+<&=3"; $SIG{HUP} = sub { exit }; accept C, S while 1\'';

const monitor = fileURLToPath(new URL('./loopDelay.cjs', import.meta.url));

/** The longest wait of the event loop from the last spawn of a rotation to its end. */
export async function benchLooks() {
	const [workers, others, rotations] = isQuick ? [8, 100, 1] : [64, 3000, 5];
	const crowd = spawn('sh', ['-c', `for i in $(seq ${others}); do sleep 600 & done; echo ready; wait`], {
		stdio: ['ignore', 'pipe', 'ignore'],
		detached: true,
	});
	await new Promise((resolve) => crowd.stdout.once('data', resolve));
	const results = [];
	for (const program of programs) results.push(await longestWait(program, workers, rotations));
	process.kill(-crowd.pid, 'SIGTERM');
	report(`looks: longest wait of the loop, ${workers} workers, ${others} processes, ms`, results);
}

async function longestWait({ path }, workers, rotations) {
	const file = join(folder, 'loop-delay');
	writeFileSync(file, '');
	const args = [
		'-listen=tcp://127.0.0.1:0',
		'-start=1500',
		`-workers=${workers}`,
		'-command=/bin/sh',
		'--',
		'-c',
		acceptor,
	];
	// The supervisor itself obeys no NODE_OPTIONS: its program is run by a Node that has the monitor.
	const words = [`--require=${monitor}`, path, ...args];
	const supervisor = start(process.execPath, words, { log: 'pipe', LOOP_DELAY_FILE: file });
	const lines = createInterface({ input: supervisor.child.stderr });
	const seen = (pattern) =>
		new Promise((resolve) => {
			lines.on('line', function look(line) {
				if (!pattern.test(line)) return;
				lines.off('line', look);
				resolve(Date.now());
			});
		});
	await seen(/Generation 1 is up/);
	let longest = 0;
	for (let generation = 2; generation <= rotations + 1; generation += 1) {
		await wait(1000);
		const up = seen(new RegExp(`Generation ${generation} is up`));
		supervisor.child.kill('SIGHUP');
		// What the spawns cost is told by others: they are over after a second.
		const from = Date.now() + 1000;
		const to = await up;
		await wait(100);
		for (const line of readFileSync(file, 'utf8').split('\n')) {
			const [at, delay] = line.split(',').map(Number);
			// The line of the promotion, and the signals of all old workers, come after the looks.
			if (at >= from && at <= to) longest = Math.max(longest, delay);
		}
	}
	supervisor.stop();
	await supervisor.ended;
	return longest;
}
