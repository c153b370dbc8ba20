/** -adopt: servers in Node that only know a port or a path take the listeners of the supervisor. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, get, type IncomingMessage, request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { get as getHttps } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { command } from '../support/asking.ts';
import { load } from '../support/load.ts';
import { environment, fixture, freePort, kill, root, run, scratch } from '../support/program.ts';

interface AdoptedOptions {
	flags?: string[];
	targets?: (string | number)[];
	listen?: string[];
}

/** A supervisor of test/fixtures/portServer.mjs, on one free port if nothing else is said. */
async function adopted(mode: string, { flags = [], targets, listen }: AdoptedOptions = {}) {
	const port = await freePort();
	const control = join(scratch(), 'control');
	const program = run([
		...(listen ?? [`tcp://127.0.0.1:${port}`]).map((uri) => `-listen=${uri}`),
		'-adopt',
		'-ready=notify',
		'-start=20000',
		`-control=${control}`,
		`-command=${fixture('portServer.mjs')}`,
		...flags,
		'--',
		mode,
		...(targets ?? [port]).map(String),
	]);
	await program.logged(/^Generation 1 is up/);
	const rotate = async () => (await command(['rotate', `-control=${control}`]).done).status;
	return { program, port, rotate };
}

const text = async (response: IncomingMessage): Promise<string> => {
	let all = '';
	for await (const part of response) all += part;
	return all;
};
const answerOf = async (request: ReturnType<typeof get>) => {
	const [response] = (await once(request, 'response')) as [IncomingMessage];
	return { headers: response.headers, pid: Number.parseInt(await text(response), 10) };
};

describe('a server that only knows its port', () => {
	it.each(['http', 'two', 'cluster', 'cluster-again', 'cluster-fork', 'cluster-shared', 'threads', 'probe'])(
		'(%s) loses no request in 10 rotations',
		async (mode) => {
			const own = await adopted(mode);
			const finish = await load(`127.0.0.1:${own.port}`);
			for (let count = 0; count < 10; count += 1) expect(await own.rotate()).toBe(0);
			const { failures, pids, requests } = await finish();
			expect(failures).toEqual([]);
			expect(requests).toBeGreaterThan(100);
			expect(pids.length).toBeGreaterThanOrEqual(10);
			await own.program.logged(/^\d+ exit status 0$/, 10);
		},
	);

	it.each<[string, (port: number) => Promise<number>]>([
		['https', async (port) => (await answerOf(getHttps({ port, rejectUnauthorized: false, agent: false }))).pid],
		[
			'http2',
			async (port) => {
				const session = connectHttp2(`https://localhost:${port}`, { rejectUnauthorized: false });
				const stream = session.request({ ':path': '/' });
				let all = '';
				for await (const part of stream) all += part;
				session.close();
				return Number.parseInt(all, 10);
			},
		],
		[
			'net',
			async (port) => {
				let all = '';
				for await (const part of connect(port)) all += part;
				return Number.parseInt(all, 10);
			},
		],
	])('(%s) answers, and is replaced', async (mode, ask) => {
		const port = await freePort();
		const own = await adopted(mode, { listen: [`tcp://:${port}`], targets: [port] });
		const first = await ask(port);
		expect(await own.rotate()).toBe(0);
		expect(await ask(port)).not.toBe(first);
		await own.program.logged(new RegExp(`^${first} exit status 0$`));
	});

	it('takes several listeners, each by its port or path, and is ready with the last', async () => {
		const [one, two] = [await freePort(), await freePort()];
		const path = join(scratch(), 'app.sock');
		const own = await adopted('http', {
			listen: [`tcp://:${one}`, `unix://${path}`, `tcp4://127.0.0.1:${two}`],
			targets: [path, two, one],
		});
		const pids = [
			await answerOf(get({ socketPath: path, agent: false })),
			await answerOf(get({ host: '127.0.0.1', port: one, agent: false })),
			await answerOf(get({ host: '127.0.0.1', port: two, agent: false })),
		].map(({ pid }) => pid);
		expect(new Set(pids).size).toBe(1);
		await own.program.logged(new RegExp(`\\] listens on "${path}"$`));
		await own.program.logged(new RegExp(`\\] listens on .*"port":${two}\\}$`));
		expect(await own.rotate()).toBe(0);
	});

	it('that listens on another port too is untouched there', async () => {
		const [port, other] = [await freePort(), await freePort()];
		const own = await adopted('http', { listen: [`tcp://:${port}`], targets: [port, other], flags: ['-workers=1'] });
		expect((await answerOf(get({ host: '127.0.0.1', port: other, agent: false }))).pid).toBe(
			(await answerOf(get({ host: '127.0.0.1', port, agent: false }))).pid,
		);
		own.program.signal('SIGHUP');
		// Its own port is in use by the old generation.
		await own.program.logged(/EADDRINUSE/);
		await own.program.logged(/^Generation 2 failed/);
	});

	it('asks its clients to come back on a new connection when it is told to leave', async () => {
		const own = await adopted('http');
		const agent = new Agent({ keepAlive: true, maxSockets: 1 });
		onTestFinished(() => agent.destroy());
		const ask = () => answerOf(get({ host: '127.0.0.1', port: own.port, agent }));
		const first = await ask();
		expect(first.headers.connection).toBe('keep-alive');
		expect(await own.rotate()).toBe(0);
		const last = await ask();
		expect(last).toMatchObject({ pid: first.pid, headers: { connection: 'close' } });
		expect((await ask()).pid).not.toBe(first.pid);
		await own.program.logged(new RegExp(`^${first.pid} exit status 0$`));
	});

	it.each(['http', 'threads', 'cluster'])('(%s) answers what has begun when the supervisor stops', async (mode) => {
		const own = await adopted(mode);
		const posted = request({
			host: '127.0.0.1',
			port: own.port,
			agent: false,
			method: 'POST',
			headers: { Expect: '100-continue', 'Content-Length': 4 },
		});
		posted.flushHeaders();
		// The server has read the header.
		await once(posted, 'continue');
		own.program.signal('SIGTERM');
		await own.program.logged(/stopping; sending SIGTERM/);
		posted.end('body');
		const { pid } = await answerOf(posted);
		expect(pid).toBeGreaterThan(0);
		expect((await own.program.ended).status).toBe(0);
		expect(own.program.lines().at(-1)).toMatch(/^\d+ exit status 0$/);
	});

	it.each(['cluster-again', 'cluster-fork'])(
		'(%s) with a worker for each that exits accepts nothing after it was told to leave',
		async (mode) => {
			const own = await adopted(mode);
			// A kept connection holds one worker of the old version.
			const agent = new Agent({ keepAlive: true, maxSockets: 1 });
			onTestFinished(() => agent.destroy());
			const first = await answerOf(get({ host: '127.0.0.1', port: own.port, agent }));
			expect(await own.rotate()).toBe(0);
			// Two workers of each version, and one that took the place of one that exited.
			await own.program.logged(/\] asks its primary$/, 5);
			const pids = new Set<number>();
			for (let count = 0; count < 20; count += 1)
				pids.add((await answerOf(get({ host: '127.0.0.1', port: own.port, agent: false }))).pid);
			expect(pids).not.toContain(first.pid);
			expect(pids.size).toBeLessThanOrEqual(2);
			agent.destroy();
			await own.program.logged(/^\d+ exit status 0$/);
			expect(own.program.stderr()).not.toMatch(/Error/);
		},
	);

	it('with a cluster loses no request with -group', async () => {
		const own = await adopted('cluster', { flags: ['-group'] });
		const finish = await load(`127.0.0.1:${own.port}`);
		for (let count = 0; count < 5; count += 1) expect(await own.rotate()).toBe(0);
		expect((await finish()).failures).toEqual([]);
	});

	it('leaves although a thread of it has ended while it listened', async () => {
		const own = await adopted('threads-end');
		await own.program.logged(/\] a thread has ended$/);
		expect(await own.rotate()).toBe(0);
		await own.program.logged(/^\d+ exit status 0$/);
	});

	it('leaves although a client has connected and sent nothing', async () => {
		const own = await adopted('http', { flags: ['-signal=TERM'] });
		const silent = connect(own.port, '127.0.0.1');
		await once(silent, 'connect');
		await answerOf(get({ host: '127.0.0.1', port: own.port, agent: false }));
		// The stop closes at once what is silent; a drain would after a while.
		expect(await own.rotate()).toBe(0);
		own.program.signal('SIGTERM');
		expect((await own.program.ended).status).toBe(0);
	});

	it('(https) ends at a stop although a client has connected and sent nothing', async () => {
		const own = await adopted('https', { flags: ['-kill=5000'] });
		const silent = connect(own.port, '127.0.0.1');
		await once(silent, 'connect');
		// The server accepts in order, so it has the silent one when it answers.
		await answerOf(getHttps({ host: '127.0.0.1', port: own.port, rejectUnauthorized: false, agent: false }));
		const closed = once(silent, 'close');
		own.program.signal('SIGTERM');
		await closed;
		expect((await own.program.ended).status).toBe(0);
		expect(own.program.lines().at(-1)).toMatch(/^\d+ exit status 0$/);
	});

	it('that handles the signal by process.once() is left to it', async () => {
		const own = await adopted('once');
		expect(await own.rotate()).toBe(0);
		await own.program.logged(/^\d+ exit status 7$/);
	});

	it('that handles the signal itself is left to it', async () => {
		const own = await adopted('handles');
		expect(await own.rotate()).toBe(0);
		await own.program.logged(/\] by itself$/);
	});

	it('leaves although a package listens to every signal', async () => {
		const own = await adopted('hooks');
		expect(await own.rotate()).toBe(0);
		await own.program.logged(/^\d+ exit status 0$/);
	});

	it('leaves on the signal of -signal', async () => {
		const own = await adopted('http', { flags: ['-signal=USR2'] });
		expect(await own.rotate()).toBe(0);
		await own.program.logged(/^\d+ exit status 0$/);
	});
});

describe('socketmaster/adopt', () => {
	it('does the same by --import, without -adopt', async () => {
		const port = await freePort();
		const program = run(
			[
				`-listen=tcp://:${port}`,
				'-ready=notify',
				'-start=20000',
				'-command=node',
				'--',
				'--import',
				'socketmaster/adopt',
				fixture('portServer.mjs'),
				'http',
				String(port),
			],
			{ cwd: root, env: environment({ NODE_OPTIONS: '--no-warnings' }) },
		);
		await program.logged(/^Generation 1 is up/);
		const { pid } = await answerOf(get({ host: '127.0.0.1', port, agent: false }));
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
		await program.logged(new RegExp(`^${pid} exit status 0$`));
	});

	it('changes nothing without a supervisor', async () => {
		const port = await freePort();
		const child = spawn(
			process.execPath,
			['--require', join(root, 'dist/adopt.cjs'), fixture('portServer.mjs'), 'http', String(port)],
			{ env: environment(), stdio: ['ignore', 'pipe', 'inherit'] },
		);
		onTestFinished(() => void child.kill('SIGKILL'));
		await once(child.stdout, 'data');
		expect((await answerOf(get({ host: '127.0.0.1', port, agent: false }))).pid).toBe(child.pid);
		kill(child.pid ?? 0, 'SIGHUP');
		expect((await once(child, 'exit'))[1]).toBe('SIGHUP');
	});

	it('keeps the NODE_OPTIONS of the children', async () => {
		const script = 'echo "options: $NODE_OPTIONS"';
		const program = run(['-listen=tcp://127.0.0.1:0', '-adopt', '-command=/bin/sh', '--', '-c', script], {
			env: environment({ NODE_OPTIONS: '--no-warnings' }),
		});
		await program.logged(/\] options: --no-warnings --require ".*\/adopt\.cjs"$/);
	});
});
