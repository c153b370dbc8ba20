/** Every server without a message of its own, with an application that takes its time to load: it is seen to accept. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { command } from '../support/asking.ts';
import { until } from '../support/proc.ts';
import { environment, isRoot, kill, root, run, scratch } from '../support/program.ts';
import { type AcceptingRecipe, lineAt, recipes, type Slot } from './recipes.ts';
import { recipesOfOthers } from './recipesOfOthers.ts';
import { freePort, isInstalled, path, processesIn, seen, startLoad } from './running.ts';

/** How long an application loads, and how soon after its promotion it must answer. */
const [loadSeconds, mostMillis] = [2, 1500];

/** They mostly wait: two at a time. */
const pairs: AcceptingRecipe[][] = [];
for (const recipe of [...recipes, ...recipesOfOthers]) {
	const last = pairs.at(-1);
	if (last?.length === 1) last.push(recipe);
	else pairs.push([recipe]);
}

describe('a server that says nothing', () => {
	it.each(pairs.map((pair) => [pair.map(({ name }) => name).join(' and '), pair] as const))(
		'is promoted as soon as it can answer, and never before: %s',
		async (_, pair) => {
			const installed = pair.filter(isInstalled);
			for (const { name, needs } of pair.filter((each) => !installed.includes(each))) {
				console.log(`${name} was left out: apt-get install ${needs.packages}`);
			}
			await Promise.all(installed.map(deploy));
		},
	);
});

async function deploy(recipe: AcceptingRecipe) {
	recipe.prepare?.(scratch());
	const place: Slot = { folder: scratch(), kind: 'tcp', address: `127.0.0.1:${await freePort()}` };
	recipe.deploy(place, 'version-1');
	const program = run(['-c', lineAt(silentLine(recipe), place).replace('socketmaster', 'exec socketmaster')], {
		command: '/bin/sh',
		cwd: place.folder,
		env: environment({
			PATH: path,
			PWD: place.folder,
			PYTHONDONTWRITEBYTECODE: '1',
			LOAD_SECONDS: String(loadSeconds),
		}),
	});
	await seen(program, /^Generation 1 is up/);
	const load = startLoad(place.address);
	await load.answered('version-1');

	recipe.deploy(place, 'version-2');
	const before = processesIn(place.folder, program);
	const began = performance.now();
	program.signal('SIGHUP');
	await seen(program, /^Generation 2 is up/);
	const took = performance.now() - began;
	await load.answered('version-2');
	await until(`${before} gone`, () => !before.some((pid) => kill(pid, 0)));
	const { requests, failures, closed } = await load.finish();
	console.log(
		`${recipe.name}: a deploy took ${(took / 1000).toFixed(2)} s, ${failures.length} of ${requests} failed, closed: ${JSON.stringify(closed)}`,
	);
	expect(failures).toEqual([]);
	// The load asks again where a connection was closed before an answer, so a request that was cut is no failure.
	if (recipe.closes !== 'kept and new') expect(closed.new).toBe(0);

	// Now the candidate alone can answer, the moment it is promoted.
	recipe.deploy(place, 'version-3');
	const old = processesIn(place.folder, program);
	program.signal('SIGHUP');
	await seen(program, /^Generation 3 is up/);
	for (const pid of old) kill(pid, 'SIGKILL');
	// Until it is gone, one that waits in accept(2) can be woken by our client instead of by its end, and take it along.
	await until(`${old} gone`, () => !old.some((pid) => kill(pid, 0)));
	const promoted = performance.now();
	expect(await textAt(place.address)).toBe('version-3');
	expect(performance.now() - promoted).toBeLessThan(mostMillis);

	program.signal('SIGTERM');
	await until('the supervisor ended', () => program.process.exitCode !== null);
	await until('no process left', () => processesIn(place.folder, program).length === 0);
}

describe('php-fpm', () => {
	const line =
		'FPM_SOCKETS=127.0.0.1:9000=3 socketmaster -listen=tcp://127.0.0.1:9000 -ready=accept -start=30000 -signal=QUIT -stop=QUIT -command=php-fpm8.2 -- --nodaemonize --fpm-config php-fpm.conf';
	const here =
		spawnSync('sh', ['-c', 'php-fpm8.2 --version && command -v cgi-fcgi'], { env: environment({ PATH: path }) })
			.status === 0;
	const title = 'is promoted when it can answer FastCGI, and loses no request';

	it('has its line in docs/servers.md', () => {
		expect(readFileSync(join(root, 'docs/servers.md'), 'utf8')).toContain(line);
	});

	it.skipIf(!here)(here ? title : `${title} (left out: apt-get install php-fpm libfcgi-bin)`, async () => {
		const folder = scratch();
		const address = `127.0.0.1:${await freePort()}`;
		writeFileSync(
			join(folder, 'php-fpm.conf'),
			`[global]
error_log = /dev/stderr
process_control_timeout = 10s
[www]
user = nobody
group = nogroup
listen = ${address}
pm = static
pm.max_children = 4
`,
		);
		writeFileSync(join(folder, 'page.php'), '<?php echo getmypid();');
		chmodSync(folder, 0o755);
		const program = run(
			['-c', line.replaceAll('127.0.0.1:9000', address).replace('socketmaster', 'exec socketmaster')],
			{ command: '/bin/sh', cwd: folder, env: environment({ PATH: path, PWD: folder }) },
		);
		await seen(program, /^Generation 1 is up/);
		const env = { SCRIPT_FILENAME: join(folder, 'page.php'), REQUEST_METHOD: 'GET', PATH: path };
		const answer = () =>
			/\r\n\r\n(\d+)$/.exec(
				spawnSync('cgi-fcgi', ['-bind', '-connect', address], { env, encoding: 'utf8' }).stdout,
			)?.[1];
		for (let generation = 2; generation <= 4; generation += 1) {
			program.signal('SIGHUP');
			let isUp = false;
			const up = seen(program, new RegExp(`^Generation ${generation} is up`)).then(() => {
				isUp = true;
			});
			while (!isUp) {
				expect(answer()).toMatch(/^\d+$/);
				await new Promise((resolve) => setImmediate(resolve));
			}
			await up;
			expect(answer()).toMatch(/^\d+$/);
		}
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
	});
});

describe('plain gunicorn with the flags that everybody starts with', () => {
	const gunicorn = recipes.find(({ name }) => name === 'gunicorn with sync workers');
	const here = gunicorn !== undefined && isInstalled(gunicorn);

	it.skipIf(!here)('and a syntax error in the new version: rotate fails, and the old version serves on', async () => {
		const folder = scratch();
		const address = `127.0.0.1:${await freePort()}`;
		const place: Slot = { folder, kind: 'tcp', address };
		gunicorn?.deploy(place, 'version-1');
		const flags = [`-listen=tcp://${address}`, `-control=${join(folder, 'control')}`];
		const program = run([...flags, '-command=gunicorn', '--', '--bind', 'fd://3', 'app:app'], {
			cwd: folder,
			env: environment({ PATH: path, PWD: folder, PYTHONDONTWRITEBYTECODE: '1' }),
		});
		await seen(program, /^Generation 1 is up/);
		const load = startLoad(address);
		await load.answered('version-1');
		gunicorn?.spoil(place);
		const { status, stderr } = await command(['rotate', `-control=${join(folder, 'control')}`]).done;
		expect(status).toBe(1);
		expect(stderr).toMatch(/^✘ Generation 2 failed after .*: \d+ exit status 3\n {2}Generation 1 keeps serving\.\n/);
		expect(stderr).toContain('nothing_of_that_name');
		expect((await load.finish()).failures).toEqual([]);
	});
});

describe('the path of a UNIX socket that a server removes as it ends', () => {
	/** Connects again and again. @returns what went wrong, when it is asked to end */
	function knocker(address: string) {
		const failures: string[] = [];
		let count = 0;
		let isOver = false;
		const over = (async () => {
			while (!isOver) {
				await new Promise<void>((resolve) => {
					const client = connect(address, () => {
						count += 1;
						client.destroy();
						resolve();
					}).on('error', ({ message }) => {
						failures.push(message);
						resolve();
					});
				});
			}
		})();
		return async () => {
			isOver = true;
			await over;
			return { count, failures };
		};
	}

	async function rotated(flags: string[], folder: string, socket: string) {
		const program = run([`-listen=unix://${socket}?mode=0666`, '-ready=accept', '-start=30000', ...flags], {
			cwd: folder,
			env: environment({ PATH: path, PWD: folder, PYTHONDONTWRITEBYTECODE: '1', FPM_SOCKETS: `${folder}/own.sock=3` }),
		});
		await seen(program, /^Generation 1 is up/);
		const knocked = knocker(socket);
		for (let generation = 2; generation <= 6; generation += 1) {
			program.signal('SIGHUP');
			await seen(program, new RegExp(`^Generation ${generation} is up`));
			await program.logged(/ exit status 0$/, generation - 1);
		}
		const { count, failures } = await knocked();
		expect(failures).toEqual([]);
		expect(count).toBeGreaterThan(100);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
	}

	const gunicorn = recipes.find(({ name }) => name === 'gunicorn with sync workers');

	const here = gunicorn !== undefined && isInstalled(gunicorn);

	it.skipIf(!here)('is there for every client with -systemd: gunicorn', async () => {
		const folder = scratch();
		gunicorn?.deploy({ folder, kind: 'unix', address: join(folder, 'a.sock') }, 'version-1');
		await rotated(['-systemd', '-signal=TERM', '-command=gunicorn', '--', 'app:app'], folder, join(folder, 'a.sock'));
	});

	const fpm = '/usr/sbin/php-fpm8.2';

	it.skipIf(!existsSync(fpm) || !isRoot)(
		'is there for every client where it has a name of its own: php-fpm',
		async () => {
			const folder = scratch();
			chmodSync(folder, 0o755);
			writeFileSync(
				join(folder, 'php-fpm.conf'),
				`[global]\nerror_log = /dev/stderr\n[www]\nuser = nobody\ngroup = nogroup\nlisten = ${folder}/own.sock\npm = static\npm.max_children = 2\n`,
			);
			const words = [`-command=${fpm}`, '--', '--nodaemonize', '--fpm-config', 'php-fpm.conf'];
			await rotated(['-signal=QUIT', '-stop=QUIT', ...words], folder, join(folder, 'a.sock'));
		},
	);
});

describe('docs/servers.md', () => {
	it.each(recipesOfOthers)('has the line of $name, as it is run here', ({ accepting }) => {
		expect(readFileSync(join(root, 'docs/servers.md'), 'utf8')).toContain(accepting);
	});
});

/** Without the variables that a server sends its messages by; one that loads no application waits before it starts. */
function silentLine({ accepting, isConfigured }: AcceptingRecipe): string {
	const [, head = '', command = '', rest = ''] = /^(.* -command=)(\S+)(?: -- (.*))?$/.exec(accepting) ?? [];
	const wait = isConfigured ? `sh -c 'sleep ${loadSeconds}; exec "$0" "$@"' ` : '';
	return `${head}env -- -u NOTIFY_SOCKET -u EINHORN_SOCK_PATH ${wait}${command} ${rest}`;
}

/** The first word of an answer. */
function textAt(address: string): Promise<string> {
	const [host, port] = address.split(':');
	return new Promise((resolve, reject) => {
		request({ host, port, agent: false }, (response) => {
			let body = '';
			response.setEncoding('latin1').on('data', (chunk) => {
				body += chunk;
			});
			response.on('end', () => resolve(body.split(' ', 1)[0] ?? ''));
		})
			.on('error', reject)
			.end();
	});
}
