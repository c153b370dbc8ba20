/** How children learn of their sockets, and what else they find in their environment. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { environment, executable, fixture, isRoot, type Program, run, scratch } from '../support/program.ts';

interface Told {
	pid: number;
	parent: number;
	arguments: string[];
	variables: Record<string, string>;
}

/** What the nth child was started with. */
async function told(program: Program, nth = 1): Promise<Told> {
	const [, json = ''] = await program.logged(/\] (\{"pid".*)$/, nth);
	return JSON.parse(json);
}

const supervise = (flags: string[], env: Record<string, string | undefined> = {}, args: string[] = []) =>
	run(['-start=20', '-verify=hold', ...flags, `-command=${fixture('tell.py')}`, '--', ...args], {
		env: environment(env),
	});

const announced = ({ variables }: Told) =>
	Object.fromEntries(Object.entries(variables).filter(([name]) => /^(EINHORN_|LISTEN_|SERVER_STARTER_)/.test(name)));

describe('the variables for the sockets', () => {
	it('of one listener are those of every protocol', async () => {
		const program = supervise(['-listen=tcp4://127.0.0.1:0']);
		const [, address] = await program.logged(/^Bound to (.*)$/);
		const child = await told(program);
		expect(announced(child)).toEqual({
			EINHORN_FDS: '3',
			EINHORN_FD_COUNT: '1',
			EINHORN_FD_0: '3',
			EINHORN_FD_FAMILY_0: 'AF_INET',
			EINHORN_MASTER_PID: String(program.pid),
			EINHORN_SOCK_PATH: expect.stringMatching(/^\/.*\/einhorn-[0-9a-f]{16}$/),
			EINHORN_CHILD_INDEX: '0',
			LISTEN_FDS: '1',
			LISTEN_FDNAMES: 'listen0',
			SERVER_STARTER_PORT: `${address}=3`,
			SERVER_STARTER_GENERATION: '1',
		});
		expect(child.parent).toBe(program.pid);
	});

	it('of several name each family, and Server::Starter’s list has ports before paths', async () => {
		const path = join(scratch(), 'a.sock');
		const program = supervise([
			`-listen=unix://${path}`,
			'-listen=tcp6://[::1]:0',
			'-listen=tcp://:0',
			'-listen=tcp4://0.0.0.0:0',
		]);
		const [v6, wild, wild4] = await Promise.all([1, 2, 3].map((nth) => program.logged(/^Bound to (.*)$/, nth)));
		const portOf = (match: RegExpMatchArray | undefined) => match?.[1]?.split(':').at(-1);
		expect(announced(await told(program))).toMatchObject({
			EINHORN_FDS: '3 4 5 6',
			EINHORN_FD_COUNT: '4',
			EINHORN_FD_3: '6',
			EINHORN_FD_FAMILY_0: 'AF_UNIX',
			EINHORN_FD_FAMILY_1: 'AF_INET6',
			EINHORN_FD_FAMILY_2: 'AF_INET6',
			EINHORN_FD_FAMILY_3: 'AF_INET',
			LISTEN_FDS: '4',
			LISTEN_FDNAMES: 'listen0:listen1:listen2:listen3',
			SERVER_STARTER_PORT: `[::1]:${portOf(v6)}=4;${portOf(wild)}=5;${portOf(wild4)}=6;${path}=3`,
		});
	});

	it('count the generations, and the places in each', async () => {
		const program = supervise(['-listen=tcp://127.0.0.1:0', '-workers=3']);
		const first = await Promise.all([1, 2, 3].map((nth) => told(program, nth)));
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		const second = await Promise.all([4, 5, 6].map((nth) => told(program, nth)));
		const of = (children: Told[], name: string) => children.map(({ variables }) => variables[name]).sort();
		expect(of(first, 'EINHORN_CHILD_INDEX')).toEqual(['0', '1', '2']);
		expect(of(second, 'EINHORN_CHILD_INDEX')).toEqual(['0', '1', '2']);
		expect(of(first, 'SERVER_STARTER_GENERATION')).toEqual(['1', '1', '1']);
		expect(of(second, 'SERVER_STARTER_GENERATION')).toEqual(['2', '2', '2']);
	});

	it('that somebody else has set for us reach no child', async () => {
		const program = supervise(['-listen=tcp://127.0.0.1:0'], {
			LISTEN_PID: '1',
			LISTEN_FDS: '7',
			EINHORN_FD_5: '9',
			EINHORN_SOCK_FD: '9',
			SERVER_STARTER_PORT: '1=9',
			WATCHDOG_USEC: '1',
			WATCHDOG_PID: '1',
			NOTIFY_SOCKET: '/nonexistent',
		});
		const { variables } = await told(program);
		for (const name of ['LISTEN_PID', 'EINHORN_FD_5', 'EINHORN_SOCK_FD', 'WATCHDOG_USEC', 'WATCHDOG_PID']) {
			expect(variables).not.toHaveProperty(name);
		}
		expect(variables).toMatchObject({ LISTEN_FDS: '1' });
		expect(variables.NOTIFY_SOCKET).not.toBe('/nonexistent');
	});
});

describe('the environment', () => {
	it('of a child that is born after an upgrade is that of the start', async () => {
		const program = supervise(['-listen=tcp://127.0.0.1:0'], { GREETING: 'hello\nworld' });
		const { variables: before } = await told(program);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGUSR2');
		await program.logged(/^Upgraded/);
		program.signal('SIGHUP');
		const { variables: after } = await told(program, 2);
		const own = /^(SOCKETMASTER_CHILD|NOTIFY_SOCKET|SERVER_STARTER_GENERATION)$/;
		const without = (variables: Record<string, string>) =>
			Object.entries(variables).filter(([name]) => !own.test(name));
		expect(without(after)).toEqual(without(before));
	});
});

describe('-systemd', () => {
	const words = ['a b', '', "it's", '"q"', '$HOME `x` $(x)', 'line\nline', '*', '\\', '-n', '--'];

	it.each([['', []], ...(isRoot ? [[' beside -user', ['-user=nobody']] as [string, string[]]] : [])])(
		'gives LISTEN_PID, which is the child’s own, and leaves its arguments as they are%s',
		async (_, flags) => {
			const program = supervise(['-listen=tcp://127.0.0.1:0', '-systemd', ...flags], {}, words);
			const child = await told(program);
			expect(child.variables.LISTEN_PID).toBe(String(child.pid));
			expect(child.parent).toBe(program.pid);
			expect(child.arguments).toEqual(words);
			await program.logged(new RegExp(`^Generation 1 is up \\(${child.pid}\\)$`));
		},
	);

	it('leaves bytes as they are that are no UTF-8', async () => {
		const script = `exec ${executable} -listen=tcp://127.0.0.1:0 -start=20 -systemd -command=${fixture('tell.py')} -- "$(printf '\\377\\200')"`;
		const program = run(['-c', script], { command: '/bin/sh' });
		expect((await told(program)).arguments).toEqual(['\xff\x80']);
	});

	it('tells of a program that is gone in the words there always were', async () => {
		const folder = scratch();
		const path = join(folder, 'server');
		writeFileSync(path, '#!/bin/sh\ntrap "exit 0" HUP TERM\nwhile :; do sleep 0.02; done\n', { mode: 0o755 });
		const program = run(['-listen=tcp://127.0.0.1:0', '-start=20', '-systemd', `-command=${path}`]);
		await program.logged(/^Generation 1 is up/);
		rmSync(path);
		program.signal('SIGHUP');
		await program.logged(/^Could not start process .*no such file or directory/);
		await program.logged(/^Generation 2 failed: .*; generation 1 keeps serving$/);
	});
});

describe('-env', () => {
	it('is a file that is read anew for each generation', async () => {
		const path = join(scratch(), 'env');
		writeFileSync(path, '# a comment\nGREETING="hello  world"\nGONE=1\nEINHORN_FDS=9\n');
		const program = supervise(['-listen=tcp://127.0.0.1:0', `-env=${path}`], { GREETING: 'ours', KEPT: 'yes' });
		expect((await told(program)).variables).toMatchObject({
			GREETING: 'hello  world',
			GONE: '1',
			KEPT: 'yes',
			EINHORN_FDS: '3',
		});
		await program.logged(/^Generation 1 is up/);
		writeFileSync(path, 'GREETING=hallo\n');
		program.signal('SIGHUP');
		const { variables } = await told(program, 2);
		expect(variables).toMatchObject({ GREETING: 'hallo', KEPT: 'yes' });
		expect(variables).not.toHaveProperty('GONE');
	});

	it('is the same for all children of a generation, also for one that is started again after an upgrade', async () => {
		const path = join(scratch(), 'env');
		writeFileSync(path, 'GREETING=one\n');
		const flags = ['-listen=tcp://127.0.0.1:0', `-env=${path}`, '-workers=2', '-respawn=0'];
		const program = supervise(flags);
		const { pid } = await told(program);
		await program.logged(/^Generation 1 is up/);
		writeFileSync(path, 'GREETING=two\n');
		program.signal('SIGUSR2');
		await program.logged(/^Upgraded/);
		process.kill(pid, 'SIGKILL');
		expect((await told(program, 3)).variables.GREETING).toBe('one');
	});

	it('is a directory as envdir has it', async () => {
		const path = join(scratch(), 'env');
		mkdirSync(path);
		writeFileSync(join(path, 'GREETING'), 'hello \t\nsecond line\n');
		writeFileSync(join(path, 'LINES'), 'a\0b');
		writeFileSync(join(path, 'UNSET'), '');
		writeFileSync(join(path, '.hidden'), 'x');
		const program = supervise(['-listen=tcp://127.0.0.1:0', `-env=${path}`], { UNSET: 'ours' });
		const { variables } = await told(program);
		expect(variables).toMatchObject({ GREETING: 'hello', LINES: 'a\nb' });
		expect(variables).not.toHaveProperty('UNSET');
		expect(variables).not.toHaveProperty('.hidden');
	});

	it('that can’t be read gives the rotation up in one sentence, and the old one serves on', async () => {
		const path = join(scratch(), 'env');
		writeFileSync(path, 'A=1\n');
		const program = supervise(['-listen=tcp://127.0.0.1:0', `-env=${path}`]);
		await program.logged(/^Generation 1 is up/);
		rmSync(path);
		program.signal('SIGHUP');
		await program.logged(
			new RegExp(
				`^Generation 2 failed: it could not be started: -env ${path}: no such file or directory; generation 1 keeps serving$`,
			),
		);
		writeFileSync(path, 'A=2\n');
		program.signal('SIGHUP');
		await program.logged(/^Generation 3 is up/);
	});

	it.each([
		['a FIFO', (path: string) => execFileSync('mkfifo', [path]), 'it is no regular file'],
		['a device', (path: string) => execFileSync('ln', ['-s', '/dev/zero', path]), 'it is no regular file'],
		['too long', (path: string) => execFileSync('truncate', ['-s', '2M', path]), 'it is longer than 1048576 bytes'],
	])('that is %s gives the rotation up, and keeps nobody waiting', async (_, make, words) => {
		const path = join(scratch(), 'env');
		writeFileSync(path, 'A=1\n');
		const program = supervise(['-listen=tcp://127.0.0.1:0', `-env=${path}`]);
		await program.logged(/^Generation 1 is up/);
		rmSync(path);
		make(path);
		program.signal('SIGHUP');
		await program.logged(new RegExp(`^Generation 2 failed: .* -env ${path}: ${words}; generation 1 keeps serving$`));
	});

	it('that can’t be read at the start is told in one sentence, with status 1', () => {
		const { status, stderr } = spawnSync(executable, ['-env=/nonexistent', '-command=true'], { encoding: 'utf8' });
		expect(status).toBe(1);
		expect(stderr).toMatch(/^\S+ \S+ \S+ Unable to read -env \/nonexistent: no such file or directory\n$/);
	});
});

describe('-pidfile', () => {
	it('holds the pid while the supervisor lives, through upgrades, and is gone with it', async () => {
		const path = join(scratch(), 'pid');
		writeFileSync(path, '1\n');
		const program = supervise(['-listen=tcp://127.0.0.1:0', `-pidfile=${path}`]);
		await program.logged(/^Generation 1 is up/);
		expect(readFileSync(path, 'utf8')).toBe(`${program.pid}\n`);
		program.signal('SIGUSR2');
		await program.logged(/^Upgraded/);
		expect(readFileSync(path, 'utf8')).toBe(`${program.pid}\n`);
		program.signal('SIGTERM');
		await program.ended;
		expect(existsSync(path)).toBe(false);
		expect(existsSync(`${path}.new`)).toBe(false);
	});

	it('that can’t be written any more is no reason to end an upgrade’s supervisor', async () => {
		const folder = join(scratch(), 'run');
		mkdirSync(folder);
		const program = supervise(['-listen=tcp://127.0.0.1:0', `-pidfile=${folder}/pid`]);
		const [, address = ''] = await program.logged(/^Bound to (.*)$/);
		await program.logged(/^Generation 1 is up/);
		rmSync(folder, { recursive: true });
		program.signal('SIGUSR2');
		await program.logged(/^Unable to write pid file .*: no such file or directory$/);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
		expect(address).toMatch(/:\d+$/);
	});

	it('is left alone at the end where another one has taken it', async () => {
		const path = join(scratch(), 'pid');
		const program = supervise(['-listen=tcp://127.0.0.1:0', `-pidfile=${path}`]);
		await program.logged(/^Generation 1 is up/);
		writeFileSync(path, '1\n');
		program.signal('SIGTERM');
		await program.ended;
		expect(readFileSync(path, 'utf8')).toBe('1\n');
	});

	it('keeps nobody waiting at the end, whatever is there instead', async () => {
		const path = join(scratch(), 'pid');
		const program = supervise(['-listen=tcp://127.0.0.1:0', `-pidfile=${path}`]);
		await program.logged(/^Generation 1 is up/);
		rmSync(path);
		execFileSync('mkfifo', [path]);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
		expect(existsSync(path)).toBe(true);
	});

	it.runIf(isRoot).each([
		['a pipe', (path: string) => execFileSync('mkfifo', [path])],
		['a device', (path: string) => execFileSync('mknod', [path, 'c', '1', '3'])],
		['a folder', (path: string) => mkdirSync(path)],
	])('takes the place of no %s', (_, make) => {
		const path = join(scratch(), 'pid');
		make(path);
		const { ino } = lstatSync(path);
		const flags = ['-listen=tcp://127.0.0.1:0', `-pidfile=${path}`, '-command=true'];
		const { status, stderr } = spawnSync(executable, flags, { encoding: 'utf8' });
		expect(status).toBe(1);
		expect(stderr).toMatch(/Unable to write pid file .*: it is there, and no regular file\n$/);
		expect(lstatSync(path).ino).toBe(ino);
	});

	it('stays that of the first supervisor where a second one can’t start', async () => {
		const folder = scratch();
		const [path, control] = [join(folder, 'pid'), join(folder, 'control')];
		const flags = ['-listen=tcp://127.0.0.1:0', `-pidfile=${path}`, `-control=${control}`];
		const program = supervise(flags);
		await program.logged(/^Generation 1 is up/);
		const { status, stderr } = spawnSync(executable, [...flags, '-command=true'], { encoding: 'utf8' });
		expect(status).toBe(1);
		expect(stderr).toMatch(/Unable to open control socket .*: address already in use/);
		expect(readFileSync(path, 'utf8')).toBe(`${program.pid}\n`);
	});

	it('is no other file of the supervisor’s', () => {
		const path = join(scratch(), 'file');
		const flags = [`-journal=${path}`, `-pidfile=${path}`, '-command=true'];
		const { status, stderr } = spawnSync(executable, flags, { encoding: 'utf8' });
		expect(status).toBe(1);
		expect(stderr).toMatch(new RegExp(`-journal and -pidfile are the same path ${path}\n$`));
		expect(existsSync(path)).toBe(false);
	});

	it('that can’t be written is told in one sentence, with status 1, and nothing is left behind', () => {
		const path = join(scratch(), 'a.sock');
		const flags = [
			`-listen=unix://${path}`,
			'-pidfile=/nonexistent/pid',
			'-verify=hold',
			'-command=sleep',
			'--',
			'1000',
		];
		const { status, stderr } = spawnSync(executable, flags, { encoding: 'utf8' });
		expect(status).toBe(1);
		expect(stderr).toMatch(/Unable to write pid file \/nonexistent\/pid: no such file or directory\n$/);
		expect(existsSync(path)).toBe(false);
	});

	it('follows no link that somebody has laid', async () => {
		const folder = scratch();
		const [path, victim] = [join(folder, 'pid'), join(folder, 'victim')];
		writeFileSync(victim, 'precious');
		execFileSync('ln', ['-s', victim, path]);
		execFileSync('ln', ['-s', victim, `${path}.new`]);
		const program = supervise(['-listen=tcp://127.0.0.1:0', `-pidfile=${path}`]);
		await program.logged(/^Generation 1 is up/);
		expect(readFileSync(victim, 'utf8')).toBe('precious');
	});
});

describe('-stop', () => {
	it.each(['SIGTERM', 'SIGINT'] as const)('is what children get for %s', async (name) => {
		const program = supervise(['-listen=tcp://127.0.0.1:0', '-stop=QUIT']);
		await told(program);
		program.signal(name);
		await program.logged(/\] got SIGQUIT$/);
		expect((await program.ended).status).toBe(0);
	});
});
