/** The health of the service, as monitors, the log and the metrics have it. */
import { describe, expect, it } from 'vitest';
import { ask, command } from '../support/asking.ts';
import { kill } from '../support/program.ts';
import { site } from '../support/site.ts';

const quiet = async (control: string) => {
	const { status, stdout, stderr } = await command(['status', `-control=${control}`, '-quiet']).done;
	return { status, printed: stdout + stderr };
};

describe('status -quiet', () => {
	it('ends with 0 for OK, 1 for degraded, 2 for down and 3 for no supervisor, and prints nothing', async () => {
		const own = site('accept', { flags: ['-workers=2', '-respawn=60000'] });
		await own.up();
		expect(await quiet(own.control)).toEqual({ status: 0, printed: '' });
		const { generations } = (await ask(own.control, '/status?brief')).body;
		const [first, second] = generations[0].children.map(({ pid }: { pid: number }) => pid);
		kill(first, 'SIGKILL');
		await own.program.logged(/^Health: DEGRADED 1\/2 serving, 1 restarting$/);
		expect(await quiet(own.control)).toEqual({ status: 1, printed: '' });
		kill(second, 'SIGKILL');
		await own.program.logged(/^Health: DOWN 0\/2 serving, 2 restarting$/);
		expect(await quiet(own.control)).toEqual({ status: 2, printed: '' });
		const { body } = await ask(own.control, '/metrics');
		expect(body).toContain('socketmaster_health{state="down"} 1\n');
		expect(body).toContain('socketmaster_health{state="ok"} 0\n');
		own.program.signal('SIGHUP');
		await own.program.logged(/^Health: OK 2\/2 serving$/);
		expect((await ask(own.control, '/status?brief')).body.health).toEqual({
			state: 'ok',
			serving: 2,
			size: 2,
			reasons: [],
			text: 'OK 2/2 serving',
		});
		own.program.signal('SIGTERM');
		await own.program.ended;
		expect((await quiet(own.control)).status).toBe(3);
	});

	it('is not given with -json', async () => {
		const { status, stderr } = await command(['status', '-quiet', '-json']).done;
		expect(status).toBe(2);
		expect(stderr).toBe('-json, -watch, -metrics and -quiet exclude each other\n');
	});
});
