/** A real server under real load, rotated again and again. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { load } from '../support/load.ts';
import { fixture, type Program, root, run, scratch } from '../support/program.ts';

const rotations = 50;

async function start(listen: string, server: string, wait: number) {
	const program = run([`-listen=${listen}`, `-start=${wait}`, `-command=${fixture(server)}`]);
	await program.logged(/\] ready$/);
	await program.logged(/^Generation 1 is up/);
	return program;
}

async function addressOf(program: Program, listen: string): Promise<string> {
	if (listen.startsWith('unix://')) return listen.slice('unix://'.length);
	const [, address = ''] = await program.logged(/^Bound to (.*)$/);
	return address;
}

describe('under load', () => {
	it.each(['tcp', 'unix'])(
		`${rotations} rotations on %s lose no request`,
		async (kind) => {
			const listen = kind === 'tcp' ? 'tcp://127.0.0.1:0' : `unix://${join(scratch(), 'server.sock')}`;
			const program = await start(listen, 'server.mjs', 150);
			const finish = await load(await addressOf(program, listen));
			for (let count = 1; count <= rotations; count += 1) {
				program.signal('SIGHUP');
				await program.logged(new RegExp(`^Generation ${count + 1} is up`));
				await program.logged(/ exit status 0$/, count);
			}
			const { requests, failures, pids } = await finish();
			expect(failures).toEqual([]);
			expect(requests).toBeGreaterThan(rotations * 10);
			const started = program.lines().flatMap((line) => line.match(/^\[(\d+)\] ready$/)?.[1] ?? []);
			expect(pids.map(String).sort()).toEqual(started.sort());
			program.signal('SIGTERM');
			expect((await program.ended).status).toBe(0);
		},
		180_000,
	);

	it.each(['tcp', 'unix'])(
		`${rotations} rotations on %s of which every third dies lose no request`,
		async (kind) => {
			const listen = kind === 'tcp' ? 'tcp://127.0.0.1:0' : `unix://${join(scratch(), 'server.sock')}`;
			const program = await start(listen, 'server.sh', 500);
			const finish = await load(await addressOf(program, listen));
			let drained = 0;
			for (let generation = 2; generation <= rotations + 1; generation += 1) {
				program.signal('SIGHUP');
				if (generation % 3 === 0) {
					await program.logged(
						new RegExp(`^Generation ${generation} failed: .*; generation ${generation - 1} keeps serving$`),
					);
				} else {
					await program.logged(new RegExp(`^Generation ${generation} is up`));
					drained += 1;
					await program.logged(/ exit status 0$/, drained);
				}
			}
			const { requests, failures, pids } = await finish();
			expect(failures).toEqual([]);
			expect(requests).toBeGreaterThan(rotations * 10);
			expect(pids.length).toBe(drained + 1);
			program.signal('SIGTERM');
			expect((await program.ended).status).toBe(0);
		},
		180_000,
	);
});

describe('the examples', () => {
	it.each(['server.mjs', 'server.py', 'server.sh'])('%s serves, is rotated and stops', async (name) => {
		const program = run(['-listen=tcp://127.0.0.1:0', '-start=500', `-command=${join(root, 'examples', name)}`]);
		const address = await addressOf(program, 'tcp');
		await program.logged(/^Generation 1 is up/);
		const ask = async () => (await fetch(`http://${address}/`, { headers: { connection: 'close' } })).text();
		const before = await ask();
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
		await program.logged(/^\d+ (exit status 0|signal: hangup)$/);
		const after = await ask();
		expect(before).toMatch(/^Hello/);
		expect(after).toMatch(/^Hello/);
		if (name !== 'server.sh') expect(after).not.toBe(before);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
	});
});
