/** The module for servers in Node: `socketmaster/child`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { Agent, get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ask, command, type Row } from '../support/asking.ts';
import { load } from '../support/load.ts';
import { environment, fixture, freePort, kill, run, scratch } from '../support/program.ts';

const isInstalled = (name: string) =>
	['http', 'hangs'].includes(name) || existsSync(`/var/tmp/socketmaster-frameworks/node_modules/${name}`);

/** A supervisor of test/fixtures/childServer.mjs. */
async function supervised(framework: string, flags: string[] = []) {
	const folder = scratch();
	const [path, control] = [join(folder, 'app.sock'), join(folder, 'control')];
	const program = run([
		`-listen=unix://${path}`,
		'-ready=notify',
		'-start=20000',
		`-control=${control}`,
		`-command=${fixture('childServer.mjs')}`,
		...flags,
		'--',
		framework,
	]);
	await program.logged(/^Generation 1 is up/);
	const children = async (): Promise<Row[]> =>
		(await ask(control, '/status?brief')).body.generations.flatMap(({ children }: Row) => children);
	return { program, path, control, children };
}

describe('a server that uses it', () => {
	it.each(['http', 'express', 'fastify', 'koa', 'hono'])('(%s) loses no request in 10 rotations', async (framework) => {
		if (!isInstalled(framework)) return console.warn(`${framework} is left out: scripts/frameworks.sh installs it`);
		const own = await supervised(framework);
		const finish = await load(own.path);
		for (let count = 0; count < 10; count += 1)
			expect((await command(['rotate', `-control=${own.control}`]).done).status).toBe(0);
		const { failures, pids } = await finish();
		expect(failures).toEqual([]);
		expect(pids.length).toBeGreaterThanOrEqual(10);
		await own.program.logged(/^\d+ exit status 0$/, 10);
	});

	it('shows its text in the status', async () => {
		const own = await supervised('http');
		await expect.poll(async () => (await own.children())[0].status).toBe('http is up');
	});

	it('asks its clients to come back on a new connection when it leaves, and says so', async () => {
		const own = await supervised('http');
		const agent = new Agent({ keepAlive: true, maxSockets: 1 });
		onTestFinished(() => agent.destroy());
		const ask = async () => {
			const [response] = (await once(get({ socketPath: own.path, agent }), 'response')) as [IncomingMessage];
			response.resume();
			await once(response, 'end');
			return response.headers.connection;
		};
		expect(await ask()).toBe('keep-alive');
		expect((await command(['rotate', `-control=${own.control}`]).done).status).toBe(0);
		await expect.poll(async () => (await own.children())[0].stopping).toBe(true);
		expect(await ask()).toBe('close');
		await own.program.logged(/^\d+ exit status 0$/);
	});

	it('that hangs is replaced with -watchdog', async () => {
		const own = await supervised('hangs', ['-watchdog=500', '-respawn=0']);
		await expect.poll(async () => (await own.children())[0].watchdog).toBe(true);
		const [{ pid }] = await own.children();
		kill(pid, 'SIGUSR2');
		await own.program.logged(new RegExp(`^${pid} has sent no WATCHDOG=1 for 500 ms`));
		await own.program.logged(/\] listens on /, 2);
	});
});

describe('without a supervisor', () => {
	it('it listens on its port, and every report is nothing', async () => {
		const port = await freePort();
		const child = spawn(fixture('childServer.mjs'), ['http', String(port)], {
			env: environment({ WATCHDOG_USEC: '100000' }),
			stdio: ['ignore', 'pipe', 'inherit'],
		});
		onTestFinished(() => void child.kill('SIGKILL'));
		const [line] = await once(child.stdout, 'data');
		expect(String(line)).toContain(`"port":${port}`);
		const [response] = (await once(get({ host: '127.0.0.1', port, agent: false }), 'response')) as [IncomingMessage];
		response.resume();
		kill(child.pid ?? 0, 'SIGTERM');
		expect(await once(child, 'exit')).toEqual([0, null]);
	});
});

it('of several listeners, listen() takes the one with the port or path, the one with the number, or the first', async () => {
	const folder = scratch();
	const [port, path] = [await freePort(), join(folder, 'app.sock')];
	const script = `
import { createServer } from 'node:net';
import { isSupervised, listen } from 'socketmaster/child';
const shown = async (target) => {
	const server = await listen(createServer(), target);
	const address = server.address();
	server.unref();
	return typeof address === 'string' || address === null ? 'path' : 'port';
};
console.log(isSupervised, await shown(${port}), await shown(${JSON.stringify(path)}).catch((error) => error.message));
`;
	const program = run(
		[
			`-listen=tcp://127.0.0.1:${port}`,
			`-listen=unix://${path}`,
			'-verify=none',
			'-command=node',
			'--',
			'--input-type=module',
			'-e',
			script,
		],
		{ cwd: join(import.meta.dirname, '../..') },
	);
	await program.logged(/\] true port path$/);
});
