/** `socketmaster stop -generation=N`: ends one generation that drains. */
import { rmSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ask, command, type Row } from '../support/asking.ts';
import { kill } from '../support/program.ts';
import { site } from '../support/site.ts';

async function withDraining(flags: string[] = []) {
	const own = site('linger accept', { flags });
	await own.up();
	own.instruct('accept');
	expect((await command(['rotate', `-control=${own.control}`]).done).status).toBe(0);
	const { generations } = (await ask(own.control, '/status?brief')).body;
	const [old] = generations.find(({ generation }: Row) => generation === 1).children;
	const stop = (...args: string[]) => command(['stop', `-control=${own.control}`, ...args]).done;
	return { ...own, pid: old.pid, stop };
}

describe('stop -generation=N', () => {
	it('sends the stop signal to the generation, waits for its end, and leaves the others alone', async () => {
		const own = await withDraining();
		const { status, stdout } = await own.stop('-generation=1');
		expect(status).toBe(0);
		expect(stdout).toMatch(/^Generation 1 stops\nGeneration 1 has ended after .*\n$/);
		await own.program.logged(new RegExp(`^A stop request for generation 1: sending SIGTERM to ${own.pid}$`));
		expect(await own.answer()).not.toBe(own.pid);
		expect((await ask(own.control, '/status?brief')).body).toMatchObject({ state: 'running' });
	});

	it('kills it after -kill', async () => {
		const own = await withDraining(['-stop=HUP']);
		const { status } = await own.stop('-generation=1', '-kill=300');
		expect(status).toBe(0);
		await own.program.logged(
			new RegExp(`^A stop request for generation 1: sending SIGHUP to ${own.pid}, and SIGKILL after 300 ms$`),
		);
		await own.program.logged(new RegExp(`^${own.pid} is still alive 300 ms after it was told to leave; killing it$`));
	});

	it.each([
		['2', 'generation 2 serves; a rotation replaces it'],
		['9', 'there is no generation 9'],
	])('%s is refused with a sentence', async (generation, why) => {
		const own = await withDraining();
		const { status, stderr } = await own.stop(`-generation=${generation}`);
		expect(status).toBe(1);
		expect(stderr).toBe(`no stop: ${why}\n`);
		await own.program.logged(
			new RegExp(
				`^A stop request for generation ${generation} refused: it neither drains nor starts beside another one$`,
			),
		);
	});

	it('ends a rotation that takes too long, and the old generation keeps serving', async () => {
		const own = site('accept', { flags: ['-bake=60000'] });
		await own.up();
		const first = await own.answer();
		const rotate = command(['rotate', `-control=${own.control}`]).done;
		await own.program.logged(/^Generation 2 is ready .*bakes/);
		expect((await command(['stop', `-control=${own.control}`, '-generation=2']).done).status).toBe(0);
		const { status, stderr } = await rotate;
		expect(status).toBe(1);
		expect(stderr).toMatch(
			/^✘ Generation 2 failed after .*: a stop of it was requested during its bake \(-bake=60000\)\n {2}Generation 1 keeps serving\.\n/,
		);
		expect((await ask(own.control, '/rotations')).body.at(-1)).toMatchObject({ result: 'failed', code: 'stopped' });
		expect(await own.answer()).toBe(first);
	});

	it('does not say that it has ended if the supervisor is killed meanwhile', async () => {
		const own = await withDraining(['-stop=HUP']);
		const pids = [own.pid, Number(await own.answer())];
		onTestFinished(() => {
			for (const pid of pids) kill(pid, 'SIGKILL');
		});
		const stopped = command(['stop', `-control=${own.control}`, '-generation=1']);
		await stopped.printed(/stops/);
		own.program.signal('SIGKILL');
		await own.program.ended;
		// A socket file that is left is waited at for 30 s: the supervisor may be started again.
		rmSync(own.control);
		const { status, stdout, stderr } = await stopped.done;
		expect(status).toBe(3);
		expect(stdout).toBe('Generation 1 stops\n');
		expect(stderr).toMatch(/^no supervisor answers at .*; whether generation 1 has ended is not known\n$/);
	});

	it('takes a number', async () => {
		const { status, stderr } = await command(['stop', '-control=/nowhere', '-generation=old']).done;
		expect(status).toBe(2);
		expect(stderr).toBe('invalid value "old" for flag -generation: a number is wanted\n');
	});
});
