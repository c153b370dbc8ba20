/** -bake: a candidate that is up serves beside the old generation for a while, and the old one leaves only then. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ask, command, type Row } from '../support/asking.ts';
import { load } from '../support/load.ts';
import { kill, scratch } from '../support/program.ts';
import { rotation, type Site, site } from '../support/site.ts';

const baking = (own: Site, generation = 2) =>
	own.program.logged(new RegExp(`^Generation ${generation} is ready .*bakes`));

const pidsOf = async ({ control }: Site, generation: number): Promise<number[]> => {
	const { generations } = (await ask(control, '/status?brief')).body;
	return generations.find((each: Row) => each.generation === generation)?.children.map(({ pid }: Row) => pid) ?? [];
};

describe('a candidate that is up', () => {
	it('bakes beside the old generation, and replaces it when the bake ends', async () => {
		const own = site('accept', { flags: ['-bake=1500'] });
		await own.up();
		const first = await own.answer();
		const began = performance.now();
		const rotate = command(['rotate', `-control=${own.control}`]);
		await own.program.logged(
			/^Generation 2 is ready \(\d+\): it bakes beside generation 1 for 1\.5 s \(-bake\) before generation 1 is told to leave$/,
		);
		const { body } = await ask(own.control, '/status?brief');
		expect(body).toMatchObject({
			state: 'baking',
			bake: expect.any(Number),
			generations: [
				{ generation: 1, state: 'serving' },
				{ generation: 2, state: 'baking' },
			],
		});
		expect(body.bake - Date.now()).toBeLessThanOrEqual(1500);
		expect(own.program.lines().join('\n')).not.toMatch(/Generation 2 is up/);
		expect((await rotate.done).status).toBe(0);
		expect(performance.now() - began).toBeGreaterThan(1500);
		await own.program.logged(/^Generation 2 is up \(\d+\); sending SIGHUP to \d+$/);
		await own.program.logged(new RegExp(`^${first} exit status 0$`));
	});

	it('and ends a second after it came up never replaces the old one: the script is told, and no request is lost', async () => {
		const own = site('accept', { flags: ['-bake=20000'] });
		await own.up();
		const first = await own.answer();
		own.instruct('accept print here boot 1 print dying exit 3');
		const finish = await load((await own.address()).replace(/^.*:\/\//, ''), 2);
		const { status, stderr } = await command(['rotate', `-control=${own.control}`]).done;
		expect(status).toBe(1);
		expect(stderr).toMatch(
			/^✘ Generation 2 failed after .*: \d+ exit status 3 during its bake \(-bake=20000\)\n {2}Generation 1 keeps serving\.\n(.*\n)*\s+\| dying\n/,
		);
		expect(await rotation(own, 2)).toMatchObject({ result: 'failed', code: 'bake' });
		expect(await own.answer()).toBe(first);
		// A request that the candidate had accepted ends with it. None is refused.
		expect((await finish()).failures.filter((failure: unknown) => /REFUSED/.test(String(failure)))).toEqual([]);
		own.instruct('accept');
		expect(own.program.lines().join('\n')).not.toMatch(/SIGHUP to/);
	});

	it.each([-1, 0])('takes its other children with it when one of them exits, with -respawn=%d', async (respawn) => {
		const own = site('accept', { flags: ['-bake=20000', '-workers=2', `-respawn=${respawn}`] });
		await own.up();
		const old = await pidsOf(own, 1);
		own.program.signal('SIGHUP');
		await baking(own);
		const [third = 0, fourth = 0] = await pidsOf(own, 2);
		kill(third, 'SIGKILL');
		await own.program.logged(
			new RegExp(
				`^Generation 2 failed: ${third} signal: killed during its bake \\(-bake=20000\\); generation 1 keeps serving$`,
			),
		);
		await own.program.logged(new RegExp(`^${fourth} exit status 0$`));
		expect(own.program.lines().join('\n')).not.toMatch(/started again/);
		expect(await pidsOf(own, 1)).toEqual(old);
	});
});

describe('during a bake', () => {
	it('the candidate is promoted at once when the old generation exits', async () => {
		const own = site('accept', { flags: ['-bake=20000'] });
		await own.up();
		const first = await own.answer();
		const rotate = command(['rotate', `-control=${own.control}`]);
		await baking(own);
		kill(first, 'SIGKILL');
		expect((await rotate.done).status).toBe(0);
		await own.program.logged(/^Generation 2 is up/);
	});

	it('SIGHUP and `rotate` ask for one more rotation, which follows', async () => {
		const own = site('accept', { flags: ['-bake=1000'] });
		await own.up();
		own.program.signal('SIGHUP');
		await baking(own);
		own.program.signal('SIGHUP');
		await own.program.logged(/^SIGHUP: generation 2 still bakes; one more rotation will follow$/);
		const rotate = command(['rotate', `-control=${own.control}`]);
		await baking(own, 3);
		expect((await rotate.done).status).toBe(0);
		await own.program.logged(/^Generation 3 is up/);
	});

	it('a stop ends every child at once, and `rotate` is told that it failed', async () => {
		const own = site('accept', { flags: ['-bake=20000'] });
		await own.up();
		const rotate = command(['rotate', `-control=${own.control}`]);
		await baking(own);
		own.program.signal('SIGTERM');
		expect((await own.program.ended).status).toBe(0);
		expect((await rotate.done).status).toBe(1);
	});

	it('an upgrade keeps both generations and the time that is left', async () => {
		const own = site('accept', { flags: ['-bake=3000'] });
		await own.up();
		own.program.signal('SIGHUP');
		await baking(own);
		const ends = (await ask(own.control, '/status?brief')).body.bake;
		own.program.signal('SIGUSR2');
		await own.program.logged(/^Upgraded/);
		expect((await ask(own.control, '/status?brief')).body).toMatchObject({ state: 'baking', bake: ends });
		await own.program.logged(/^Generation 2 is up/);
		expect(Date.now()).toBeGreaterThanOrEqual(ends - 50);
	});

	it('a supervisor that is killed is followed by one that ends the bake when it would have ended, or fails it', async () => {
		const folder = scratch();
		const flags = ['-bake=4000', `-journal=${join(folder, 'journal')}`];
		const own = site('accept', { folder, flags });
		await own.up();
		own.program.signal('SIGHUP');
		await baking(own);
		const ends = (await ask(own.control, '/status?brief')).body.bake;
		own.program.signal('SIGKILL');
		await own.program.ended;
		const next = site('accept', { folder, flags });
		await next.program.logged(/^Recovered/);
		// The socket opens after that line.
		const status = () =>
			ask(next.control, '/status?brief').then(
				({ body }) => body,
				() => null,
			);
		await expect.poll(status).toMatchObject({ state: 'baking', bake: ends });
		await next.program.logged(/^Generation 2 is up .*; sending SIGHUP to /);
		expect(Date.now()).toBeGreaterThanOrEqual(ends - 50);

		next.instruct('accept boot 0.5 print lives boot 600');
		next.program.signal('SIGHUP');
		await baking(next, 3);
		const [candidate = 0] = await pidsOf(next, 3);
		next.program.signal('SIGKILL');
		await next.program.ended;
		kill(candidate, 'SIGKILL');
		const last = site('accept', { folder, flags });
		await last.program.logged(/^Recovered/);
		await last.program.logged(
			/^Generation 3 failed: \d+ exit status unknown during its bake \(-bake=4000\); generation 2 keeps serving$/,
		);
		expect(await last.answer()).toBeGreaterThan(0);
		expect((await pidsOf(last, 2)).length).toBe(1);
	});
});

it.each([
	['-bake=-1', 'invalid value "-1" for flag -bake: 0 or more'],
	['-bake=soon', 'invalid value "soon" for flag -bake: parse error'],
])('%s is refused in a sentence', async (flag, sentence) => {
	const { program } = site('accept', { flags: [flag] });
	expect((await program.ended).status).toBe(2);
	expect(program.stderr()).toContain(sentence);
});
