/** -watchdog: a serving child that stops to send WATCHDOG=1 is aborted, and replaced like one that exited. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ask, type Row } from '../support/asking.ts';
import { environment, kill, run, scratch } from '../support/program.ts';
import { type Site, site } from '../support/site.ts';

const childrenOf = async ({ control }: Site): Promise<Row[]> =>
	(await ask(control, '/status?brief')).body.generations.flatMap(({ children }: Row) => children);

describe('a serving child', () => {
	it('of several that hangs is replaced, and the others and their clients do not notice', async () => {
		const own = site('ping 0.05 accept print pinging', { flags: ['-watchdog=500', '-workers=3', '-respawn=0'] });
		await own.up();
		await own.program.logged(/\] pinging$/, 3);
		const [hung, ...others] = (await childrenOf(own)).map(({ pid }) => pid);
		kill(hung, 'SIGUSR1');
		let isOver = false;
		const replaced = own.program.logged(/\] read$/, 4).finally(() => {
			isOver = true;
		});
		const answers: number[] = [];
		while (!isOver) answers.push(await own.answer().catch(() => 0));
		await replaced;
		await own.program.logged(
			new RegExp(`^${hung} has sent no WATCHDOG=1 for 500 ms \\(-watchdog\\); sending SIGABRT$`),
		);
		await own.program.logged(new RegExp(`^${hung} signal: aborted`));
		// A request that the hung child had accepted ends with it.
		expect(answers.filter((pid) => pid === 0).length).toBeLessThanOrEqual(1);
		expect(answers).toEqual(expect.arrayContaining(others));
		const pids = (await childrenOf(own)).map(({ pid }) => pid);
		expect(pids).toEqual(expect.arrayContaining(others));
		expect(pids).not.toContain(hung);
	});

	it('that does not exit on SIGABRT is killed 10 s later', async () => {
		const own = site('outlive-abort ping 0.05 accept', { flags: ['-watchdog=300', '-respawn=0'] });
		await own.up();
		const [{ pid }] = await childrenOf(own);
		kill(pid, 'SIGUSR1');
		await own.program.logged(new RegExp(`^${pid} has sent no WATCHDOG=1 for 300 ms`));
		await own.program.logged(new RegExp(`^${pid} has not exited after SIGABRT \\(-watchdog\\); killing it$`));
		await own.program.logged(new RegExp(`^${pid} signal: killed`));
		await own.program.logged(/\] read$/, 2);
	});

	it('that sends WATCHDOG=trigger is aborted at once', async () => {
		const own = site('ping 0.05 accept await FOLDER/now send WATCHDOG=trigger', {
			flags: ['-watchdog', '-respawn=0'],
		});
		await own.up();
		const [{ pid }] = await childrenOf(own);
		own.instruct('accept');
		own.open('now');
		await own.program.logged(new RegExp(`^${pid} has sent WATCHDOG=trigger \\(-watchdog\\); sending SIGABRT$`));
		await own.program.logged(/\] read$/, 2);
	});

	it('sets its interval itself with WATCHDOG_USEC=', async () => {
		const own = site('send WATCHDOG_USEC=300000 ping 0.05 accept send WATCHDOG_USEC=400000', {
			flags: ['-watchdog', '-respawn=0'],
		});
		await own.up();
		const [{ pid }] = await childrenOf(own);
		kill(pid, 'SIGUSR1');
		await own.program.logged(new RegExp(`^${pid} has sent no WATCHDOG=1 for 400 ms`));
	});

	it('that never sends one is left alone, and named once', async () => {
		const own = site('accept', { flags: ['-watchdog=200', '-respawn=0'] });
		await own.up();
		const [{ pid }] = await childrenOf(own);
		await own.program.logged(
			new RegExp(`^${pid} has sent no WATCHDOG=1 within 200 ms \\(-watchdog\\): it is not watched until it does$`),
		);
		expect(await own.answer()).toBe(pid);
	});

	it('is watched on after an upgrade, and after kill -9 of the supervisor', async () => {
		const folder = scratch();
		const flags = ['-watchdog=1000', '-respawn=0', `-journal=${join(folder, 'journal')}`];
		const listen = [`unix://${folder}/socket`];
		const own = site('ping 0.05 accept', { flags, listen, folder });
		await own.up();
		const [first] = await childrenOf(own);
		own.program.signal('SIGUSR2');
		await own.program.logged(/^Upgraded/);
		own.program.signal('SIGKILL');
		await own.program.ended;
		const next = run(own.program.process.spawnargs.slice(1), {
			env: environment({ INSTRUCTIONS: join(folder, 'instructions') }),
		});
		await next.logged(/took over/i);
		kill(first.pid, 'SIGUSR1');
		await next.logged(new RegExp(`^${first.pid} has sent no WATCHDOG=1 for 1\\.0 s`));
		await next.logged(/\] read$/);
	});
});

describe('the child of a supervisor with -watchdog', () => {
	it.each([
		[['-watchdog'], 'USEC=30000000 PID='],
		[['-watchdog=2500'], 'USEC=2500000 PID='],
		[['-watchdog=false'], 'USEC= PID='],
		[['-watchdog=700', '-systemd'], 'USEC=700000 PID=its own'],
	])('%j reads %s', async (flags, text) => {
		const script = 'test "$WATCHDOG_PID" = $$ && WATCHDOG_PID="its own"; echo "USEC=$WATCHDOG_USEC PID=$WATCHDOG_PID"';
		const program = run(['-listen=tcp://127.0.0.1:0', '-command=/bin/sh', ...flags, '--', '-c', script]);
		await program.logged(new RegExp(`\\] ${text}$`));
	});

	it.each(['1', '-5', 'soon'])('refuses -watchdog=%s with a sentence', async (value) => {
		const { status, stderr } = await run([`-watchdog=${value}`, '-command=/bin/true']).ended;
		expect(status).toBe(2);
		const why = value === 'soon' ? 'parse error' : '100 or more';
		expect(stderr.split('\n')[0]).toBe(`invalid value "${value}" for flag -watchdog: ${why}`);
	});
});
