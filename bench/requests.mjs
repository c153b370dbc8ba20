/** What clients see: a server alone, under the supervisor, and under it while it is rotated. */
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { isQuick, median, programs, report, root, start, wait } from './support.mjs';

const server = join(root, 'test/fixtures/server.mjs');
const span = isQuick ? 1000 : 10_000;
const turns = isQuick ? 1 : 3;

export async function benchRequests() {
	const alone = [];
	const steady = programs.map(() => []);
	const rotated = programs.map(() => []);
	for (let turn = 0; turn < turns; turn += 1) {
		alone.push(await measure((port) => start(server, [], { PORT: String(port) })));
		for (const [index, { path }] of programs.entries()) {
			const under = (port) => start(path, [`-listen=tcp://127.0.0.1:${port}`, '-start=300', `-command=${server}`]);
			steady[index].push(await measure(under));
			rotated[index].push(await measure(under, 500));
		}
	}
	const rate = (runs) => median(runs.map(({ requests }) => requests / (span / 1000)));
	const p99 = (runs) => median(runs.map((run) => run.p99));
	const failures = (runs) => runs.reduce((sum, run) => sum + run.failures.length, 0);
	report('requests: a second, the server alone', [rate(alone)]);
	report(
		'requests: a second, supervised',
		steady.map(rate),
		`ours is ${(rate(steady[0]) / rate(alone)).toFixed(2)} times that alone`,
	);
	report('requests: a second, rotated every 0.5 s', rotated.map(rate));
	report('requests: p99, ms, the server alone', [p99(alone)]);
	report('requests: p99, ms, supervised', steady.map(p99));
	report('requests: p99, ms, rotated every 0.5 s', rotated.map(p99));
	report(
		'requests: failures, supervised and rotated',
		[...steady.keys()].map((index) => failures(steady[index]) + failures(rotated[index])),
	);
}

async function measure(begin, every = 0) {
	const port = await freePort();
	const { child, ended } = begin(port);
	await untilServed(port);
	const load = spawn(process.execPath, [join(root, 'test/fixtures/load.mjs'), `127.0.0.1:${port}`, '8'], {
		stdio: ['pipe', 'pipe', 'inherit'],
	});
	const lines = createInterface({ input: load.stdout })[Symbol.asyncIterator]();
	await lines.next();
	const rotation = every > 0 ? setInterval(() => child.kill('SIGHUP'), every) : undefined;
	await wait(span);
	clearInterval(rotation);
	load.stdin.end();
	const { value } = await lines.next();
	child.kill('SIGTERM');
	await ended;
	return JSON.parse(value);
}

async function freePort() {
	const probe = createServer();
	await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve));
	const { port } = probe.address();
	await new Promise((resolve) => probe.close(resolve));
	return port;
}

async function untilServed(port) {
	for (;;) {
		try {
			await (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })).text();
			return;
		} catch {
			await wait(20);
		}
	}
}
