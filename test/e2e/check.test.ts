/** -check: a candidate must answer a request before it replaces the old generation, which does not meet the request. */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ask, command, type Row } from '../support/asking.ts';
import { environment, executable, fixture, kill, type Program, run, scratch } from '../support/program.ts';
import { site } from '../support/site.ts';

/** A supervisor of test/fixtures/checked.mjs. Its versions are words, and each answers the check as it is told. */
function checked(flags: string[] = [], { listen = ['tcp://127.0.0.1:0'], tls = false, folder = scratch() } = {}) {
	const [answers, version, control] = [join(folder, 'answers'), join(folder, 'version'), join(folder, 'control')];
	const told: Record<string, string> = {};
	/** How a version answers the check, from now on. */
	const tell = (name: string, how: string) => {
		told[name] = how;
		const lines = Object.entries(told).map(([each, word]) => `${each} ${word}\n`);
		writeFileSync(answers, lines.join(''));
	};
	const deploy = (name: string, how = '200') => {
		tell(name, how);
		writeFileSync(version, name);
	};
	if (!existsSync(version)) deploy('one');
	const certificate = tls ? { CERTIFICATE: fixture('selfSigned.pem') } : {};
	const start = (more: string[] = []) =>
		run(
			[
				...listen.map((uri) => `-listen=${uri}`),
				`-command=${fixture('checked.mjs')}`,
				'-ready=accept',
				'-start=2000',
				'-check=/up',
				`-control=${control}`,
				...flags,
				...more,
			],
			{ env: environment({ ANSWER: answers, VERSION_FILE: version, ...certificate }) },
		);
	const program = start();
	const rotate = async () => {
		const done = await command(['rotate', `-control=${control}`]).done;
		return { ...done, text: done.stdout + done.stderr };
	};
	const last = async (): Promise<Row> => (await ask(control, '/rotations')).body.at(-1);
	const status = async (): Promise<Row> => (await ask(control, '/status?brief')).body;
	return { program, folder, control, tell, deploy, start, rotate, last, status };
}

/** The versions that have received a request of the check, in turn. */
const asked = ({ lines }: Program) => lines().flatMap((line) => line.match(/ (\w+) was asked: /)?.[1] ?? []);

const isUp = (program: Program, generation: number) => program.logged(new RegExp(`^Generation ${generation} is up`));
const isChecked = (program: Program, generation: number) =>
	program.logged(new RegExp(`^Generation ${generation} is ready .*: it must pass -check=`));

describe('a candidate', () => {
	it.each<[string, string[], { listen?: string[]; tls?: boolean }]>([
		['a port', [], {}],
		['a port on every address', [], { listen: ['tcp://:0'] }],
		['a port on every IPv4 address', [], { listen: ['tcp4://:0'] }],
		['an IPv6 address', [], { listen: ['tcp6://[::1]:0'] }],
		['a path', [], { listen: ['unix://FOLDER/socket'] }],
		['two listeners', [], { listen: ['tcp://127.0.0.1:0', 'unix://FOLDER/socket'] }],
		['TLS', ['-check=https:///up'], { tls: true }],
	])('on %s is asked alone: no other generation receives the request', async (_, flags, options) => {
		const folder = scratch();
		const listen = options.listen?.map((uri) => uri.replace('FOLDER', folder));
		const own = checked([...flags, '-workers=2'], { ...options, ...(listen ? { listen } : {}), folder });
		const each = listen?.length === 2 ? 2 : 1;
		await isUp(own.program, 1);
		await own.program.logged(/one was asked/, each);
		for (const name of ['two', 'three', 'four', 'five']) {
			own.deploy(name);
			expect((await own.rotate()).status).toBe(0);
		}
		await own.program.logged(/five was asked/, each);
		expect(asked(own.program)).toEqual(
			['one', 'two', 'three', 'four', 'five'].flatMap((name) => Array(each).fill(name)),
		);
		expect(await own.last()).toMatchObject({ result: 'promoted', check: '200' });
	});

	it('receives one request in HTTP/1.1, with the host and the program named', async () => {
		const own = checked(['-check=http://app.example.org/up']);
		await isUp(own.program, 1);
		await own.program.logged(/one was asked: GET app\.example\.org socketmaster\/\d+\.\d+\.\d+$/);
	});

	it('is asked only on the listeners that say ?check', async () => {
		const folder = scratch();
		const own = checked([], { listen: ['tcp://127.0.0.1:0', `unix://${folder}/socket?check`], folder });
		await isUp(own.program, 1);
		await own.program.logged(/one was asked/);
		// Another generation, whose line comes after any that the first one's listeners may still have printed.
		own.deploy('two');
		expect((await own.rotate()).status).toBe(0);
		await own.program.logged(/two was asked/);
		expect(asked(own.program)).toEqual(['one', 'two']);
	});

	it.each([
		['503', '503'],
		['404', '404'],
		['redirect', '302'],
		['huge', 'its answer is longer than 1 MiB'],
		['long-header', 'the header of its answer is longer than 16 KiB'],
		['half', 'no complete answer within 2 s'],
		['silent', 'no complete answer within 2 s'],
		['close', 'it closed the connection before its answer was complete'],
		['garbage', 'its answer is not HTTP/1'],
	])('that answers with %s fails, and the old generation gets no signal', async (how, problem) => {
		const own = checked();
		await isUp(own.program, 1);
		own.deploy('two', how);
		const { status, stderr } = await own.rotate();
		expect(status).toBe(1);
		const reason = `it did not answer -check=/up with 2xx within 2.0 s: ${problem}`;
		expect(stderr.replace(/after [^:]*/, 'after N')).toMatch(
			`✘ Generation 2 failed after N: ${reason}\n  Generation 1 keeps serving.\n`,
		);
		expect(await own.last()).toMatchObject({ result: 'failed', code: 'check-failed', check: problem, reason });
		expect(asked(own.program).slice(1)).not.toContain('one');
		expect(own.program.lines().join('\n')).not.toMatch(/is up .*sending/);
		const { body } = await ask(own.control, '/metrics');
		expect(body).toContain('socketmaster_checks_total{result="passed"} 1\n');
		expect(body).toContain('socketmaster_checks_total{result="failed"} 1\n');
	});

	it.each(['chunked', '204'])('that answers with %s passes', async (how) => {
		const own = checked();
		await isUp(own.program, 1);
		own.deploy('two', how);
		expect((await own.rotate()).status).toBe(0);
	});

	it('is asked again until it passes', async () => {
		const own = checked(['-start=20000']);
		await isUp(own.program, 1);
		own.deploy('two', '503');
		const rotate = own.rotate();
		await own.program.logged(/two was asked/, 2);
		expect(await own.status()).toMatchObject({
			state: 'checking',
			check: { generation: 2, target: '/up', problem: '503', deadline: expect.any(Number) },
			generations: [{ state: 'serving' }, { state: 'checking' }],
		});
		const { stdout } = await command(['status', `-control=${own.control}`]).done;
		expect(stdout).toMatch(/^ {2}generation 2 must answer \/up with 2xx: 503 so far, \d+ s left$/m);
		own.tell('two', '200');
		expect((await rotate).status).toBe(0);
	});

	it('is shown on a terminal with its last answer', async () => {
		const own = checked();
		await isUp(own.program, 1);
		own.deploy('two', '503');
		const line = `${executable} rotate -control=${own.control}`;
		const shown = run([fixture('terminal.py'), line], { command: 'python3' });
		const { stdout } = await shown.ended;
		expect(stdout).toMatch(/Generation 2, \d\.\d s: checking \/up: 503/);
	});

	it('fails as a whole when a check fails during its bake, or after it', async () => {
		const own = checked(['-bake=20000', '-workers=2']);
		await isUp(own.program, 1);
		own.deploy('two');
		const rotate = own.rotate();
		await own.program.logged(/^Generation 2 has passed -check=\/up: it bakes/);
		await own.program.logged(/two was asked/, 2);
		own.tell('two', '500');
		const { status, stderr } = await rotate;
		expect(status).toBe(1);
		expect(stderr).toMatch(
			/^✘ Generation 2 failed after .*: it did not answer -check=\/up with 2xx: 500 during its bake \(-bake=20000\)\n {2}Generation 1 keeps serving\.\n/,
		);
		expect(await own.last()).toMatchObject({ code: 'check-failed', check: '500' });
		await own.program.logged(/^\d+ exit status 0$/, 2);
	});

	it('passes once more after its bake', async () => {
		const own = checked(['-bake=100']);
		await isUp(own.program, 1);
		own.deploy('two');
		expect((await own.rotate()).status).toBe(0);
		expect(asked(own.program).filter((name) => name === 'two').length).toBeGreaterThanOrEqual(2);
		await own.program.logged(/^Generation 2 has baked: it must pass -check=\/up before generation 1 is told to leave$/);
	});
});

describe('the first generation', () => {
	it('is degraded while its check fails, serves all the same, and is complete when the check passes', async () => {
		const folder = scratch();
		writeFileSync(join(folder, 'version'), 'one');
		const own = checked([], { folder });
		own.tell('one', '503');
		await own.program.logged(
			/^Generation 1 is degraded: it did not answer -check=\/up with 2xx within 2\.0 s: 503; it keeps serving, as no other generation serves$/,
		);
		const [, address] = await own.program.logged(/^Bound to (.*)$/);
		const answer = await fetch(`http://${address}/`);
		expect(await answer.text()).toMatch(/^one /);
		const { stdout } = await command(['status', `-control=${own.control}`]).done;
		expect(stdout).toMatch(/^ {2}-check=\/up: 503$/m);
		own.tell('one', '200');
		await isUp(own.program, 1);
		expect(await own.status()).toMatchObject({ state: 'running', check: null });
	});
});

describe('during a health check', () => {
	const pending = async (flags: string[] = []) => {
		const own = checked(['-start=30000', ...flags]);
		await isUp(own.program, 1);
		own.deploy('two', '503');
		const rotate = own.rotate();
		await isChecked(own.program, 2);
		await own.program.logged(/two was asked/);
		const { generations } = await own.status();
		const [first, second] = generations.map(({ children }: Row) => children[0].pid);
		return { ...own, rotating: rotate, first, second };
	};

	it('a stop ends every child at once, and `rotate` is told', async () => {
		const own = await pending();
		own.program.signal('SIGTERM');
		expect((await own.program.ended).status).toBe(0);
		expect((await own.rotating).status).toBe(1);
	});

	it('SIGHUP asks for one more rotation, which follows', async () => {
		const own = await pending();
		own.program.signal('SIGHUP');
		await own.program.logged(/^SIGHUP: generation 2 is still checked; one more rotation will follow$/);
		own.deploy('three');
		kill(own.second, 'SIGKILL');
		expect((await own.rotating).status).toBe(1);
		await isUp(own.program, 3);
	});

	it('the end of the old generation changes nothing: the check decides', async () => {
		const own = await pending();
		kill(own.first, 'SIGKILL');
		await own.program.logged(/signal: killed/);
		expect(await own.status()).toMatchObject({ state: 'checking' });
		own.tell('two', '200');
		expect((await own.rotating).status).toBe(0);
	});

	it('an upgrade keeps both generations, and the check goes on', async () => {
		const own = await pending();
		own.program.signal('SIGUSR2');
		await own.program.logged(/^Upgraded|took over/);
		expect(await own.status()).toMatchObject({ state: 'checking' });
		own.tell('two', '200');
		expect((await own.rotating).status).toBe(0);
	});

	it('kill -9 and a new start keep both generations, and the check goes on', async () => {
		const folder = scratch();
		const listen = [`unix://${folder}/socket`];
		const flags = ['-start=30000', `-journal=${join(folder, 'journal')}`];
		const own = checked(flags, { folder, listen });
		await isUp(own.program, 1);
		own.deploy('two', '503');
		const rotating = own.rotate();
		await own.program.logged(/two was asked/);
		own.program.signal('SIGKILL');
		await own.program.ended;
		const next = own.start();
		await next.logged(/two was asked/);
		own.tell('two', '200');
		await isUp(next, 2);
		expect((await rotating).status).toBe(0);
		expect(asked(next)).not.toContain('one');
	});

	it('the end of the old generation is no end of `rotate`, whose result is that of the check', async () => {
		const own = checked();
		await isUp(own.program, 1);
		own.deploy('two', '503');
		const rotating = own.rotate();
		await own.program.logged(/two was asked/);
		kill((await own.status()).generations[0].children[0].pid, 'SIGKILL');
		const { status, stderr } = await rotating;
		expect(status).toBe(1);
		expect(stderr).toMatch(
			/^✘ Generation 2 failed after .*: it did not answer -check=\/up with 2xx within 2\.0 s: 503\n {2}Generation 2/,
		);
		expect(await own.last()).toMatchObject({ result: 'failed', code: 'check-failed' });
		// It is checked on, and becomes complete.
		own.tell('two', '200');
		await isUp(own.program, 2);
		expect(await own.status()).toMatchObject({ health: { state: 'ok' } });
	});

	it('kill -9 and a new start without -check promote the candidate', async () => {
		const folder = scratch();
		const flags = ['-start=30000', `-journal=${join(folder, 'journal')}`];
		const own = checked(flags, { folder, listen: [`unix://${folder}/socket`] });
		await isUp(own.program, 1);
		own.deploy('two', '503');
		own.program.signal('SIGHUP');
		await own.program.logged(/two was asked/);
		own.program.signal('SIGKILL');
		await own.program.ended;
		const next = own.start(['-check=']);
		await isUp(next, 2);
	});

	it('clients of the old generation notice nothing', async () => {
		const folder = scratch();
		const own = checked([], { folder, listen: [`unix://${folder}/socket`] });
		await isUp(own.program, 1);
		own.deploy('two', '503');
		const rotating = own.rotate();
		let isOver = false;
		void rotating.then(() => {
			isOver = true;
		});
		const failures: unknown[] = [];
		while (!isOver) {
			await new Promise<void>((resolve) => {
				get({ socketPath: join(folder, 'socket'), path: '/', agent: false }, (response) => {
					response.resume().on('end', resolve);
				}).on('error', (error) => {
					failures.push(error);
					resolve();
				});
			});
		}
		expect((await rotating).status).toBe(1);
		expect(failures).toEqual([]);
	});
});

describe('a candidate whose connections the kernel gives to others first', () => {
	it('is asked all the same: 16 old processes wait in accept(2)', async () => {
		const own = site('accept-blocking', { flags: ['-check=/', '-workers=16', '-start=3000', '-ready=accept'] });
		await own.program.logged(/^Generation 1 is up/);
		const { status, stderr } = await command(['rotate', `-control=${own.control}`]).done;
		expect(status, stderr).toBe(0);
	});
});

/** In a network namespace without IPv6 addresses. */
const withoutIpv6 = ['unshare', '-n', 'sh', '-c', 'ip link set lo up; ip -6 addr flush dev lo; exec "$0" "$@"'];
const canUnshare = spawnSync('unshare', ['-n', 'ip', 'link', 'set', 'lo', 'up']).status === 0;

it.runIf(canUnshare)('a listener on every address is asked by IPv4 where there is no IPv6', async () => {
	const own = site('accept', {
		wrapper: withoutIpv6,
		listen: ['tcp://:0'],
		flags: ['-check=/', '-ready=accept', '-start=5000'],
	});
	await own.program.logged(/^Generation 1 is up/);
	for (let count = 0; count < 3; count += 1) {
		const { status, stderr } = await command(['rotate', `-control=${own.control}`]).done;
		expect(status, stderr).toBe(0);
	}
});

describe('-check', () => {
	it.each(['up', 'ftp:///up', 'http://host', '/a b', '/ü', '/up#here'])('refuses %j with a sentence', async (value) => {
		const program = run([`-check=${value}`, '-command=/bin/true']);
		const { status, stderr } = await program.ended;
		expect(status).toBe(2);
		expect(Buffer.from(stderr, 'latin1').toString().split('\n')[0]).toBe(
			`invalid value "${value}" for flag -check: /PATH, http://HOST/PATH or https://HOST/PATH`,
		);
	});
});
