/** Each of these was seen to end badly once. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
	chmodSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	openSync,
	readdirSync,
	readFileSync,
	readlinkSync,
	rmSync,
	statSync,
	writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { command } from '../support/asking.ts';
import { installFaulty } from '../support/install.ts';
import { childrenOf, until } from '../support/proc.ts';
import { environment, executable, fixture, isRoot, kill, type Program, run, scratch } from '../support/program.ts';

const quick = ['-listen=tcp://127.0.0.1:0', '-start=50'];

function sh(script: string, flags: string[] = [], options = {}): Program {
	return run([...quick, ...flags, '-verify=hold', '-command=/bin/sh', '--', '-c', script], options);
}

const patient = 'trap "exit 0" HUP TERM; echo up; while :; do sleep 0.02; done';

describe('SIGUSR1 while the program starts', () => {
	const delays = Array.from({ length: 20 }, (_, index) => index * 3);

	/** Where it comes before Node has begun it kills, as it would any program. */
	const comesUp = (program: Program) =>
		program.logged(/^Generation 1 is up/).then(
			() => true,
			() => false,
		);

	it('never opens a debugger, whenever it comes', async () => {
		for (const delay of delays) {
			const program = sh(patient);
			await new Promise((resolve) => setTimeout(resolve, delay));
			program.signal('SIGUSR1');
			if (await comesUp(program)) program.signal('SIGTERM');
			expect((await program.ended).stderr).not.toContain('ws://');
		}
	});

	it('nor does a second one in an upgrade, nor a first one where a port for the debugger is named', async () => {
		const program = sh(patient, [], { env: environment({ NODE_OPTIONS: '--inspect-port=127.0.0.1:9230' }) });
		await program.logged(/^Generation 1 is up/);
		for (let count = 1; count <= 5; count += 1) {
			program.signal('SIGUSR2');
			await program.logged(/^Upgrade: checking/, count);
			await new Promise((resolve) => setTimeout(resolve, 40 + 30 * count));
			program.signal('SIGUSR1');
			// Before Node has begun again it kills.
			if (
				!(await program.logged(/^Upgraded to version/, count).then(
					() => true,
					() => false,
				))
			)
				break;
		}
		program.signal('SIGTERM');
		expect((await program.ended).stderr).not.toContain('ws://');
	});

	it('opens none for long where Node itself was told to start it', async () => {
		for (const delay of delays) {
			const program = run([executable, ...quick, '-verify=hold', '-command=/bin/sh', '--', '-c', patient], {
				command: process.execPath,
			});
			await new Promise((resolve) => setTimeout(resolve, delay));
			program.signal('SIGUSR1');
			const isUp = await comesUp(program);
			const address = program.stderr().match(/ws:\/\/127\.0\.0\.1:(\d+)/)?.[1];
			if (!isUp || !address) continue;
			await program.logged(/^A SIGUSR1 came too early and opened the debugger of Node; it was closed$/);
			await program.logged(/^Upgrade: checking/);
			await program.logged(/^Upgraded to version/);
			expect(await reaches(Number(address))).toBe(false);
			program.signal('SIGTERM');
			await program.ended;
		}
	});
});

function reaches(port: number): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = connect(port, '127.0.0.1');
		socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
		socket.on('connect', () => socket.destroy());
	});
}

describe.runIf(isRoot)('a child of another user', () => {
	const spawns = 150;

	it(`can't kill the supervisor, by process or by thread, while it spawns ${spawns} others`, async () => {
		const attack = `if [ "$SOCKETMASTER_CHILD" -le 2 ]; then exec python3 ${fixture('attacker.py')} $PPID 100; fi; exec sleep 100`;
		const program = sh(attack, ['-user=nobody', '-start=0', '-kill=1', '-signal=CONT']);
		await program.logged(/\] attacking$/);
		for (let count = 2; count <= spawns; count += 1) {
			program.signal('SIGHUP');
			await program.logged(new RegExp(`^Generation ${count} is up`));
		}
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
	}, 240_000);

	it('has no terminal of its supervisor, which it could type into', () => {
		const script = `${executable} ${quick.join(' ')} -user=nobody -verify=hold -command=/bin/sh -- -c 'readlink /proc/self/fd/0; echo up; trap "exit 0" INT TERM; while :; do sleep 0.02; done'`;
		const { stdout } = spawnSync('python3', [fixture('terminal.py'), script], { encoding: 'utf8', env: environment() });
		expect(stdout).toMatch(/\] \/dev\/null/);
	});

	it('can open /dev/stderr', async () => {
		const program = sh('echo reopened > /dev/stderr', ['-user=nobody']);
		await program.logged(/\] reopened$/);
	});

	it('that can’t be its program says so in the original’s words', async () => {
		const program = run([...quick, '-user=nobody', `-command=${fixture('noshebang')}`]);
		expect((await program.ended).status).toBe(1);
		expect(program.lines().at(-1)).toBe(`Could not start process fork/exec ${fixture('noshebang')}: exec format error`);
	});

	it('has a pid only when it is its program: SIGTERM reaches it as soon as it is', async () => {
		const program = sh('trap "echo told; exit 0" TERM; while :; do sleep 0.02; done', ['-user=nobody']);
		await program.logged(/^Starting/);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
	});
});

describe('variables set from outside', () => {
	it('that one program sets for the next are ignored, and do not reach a child', async () => {
		const env = environment({
			SOCKETMASTER_PREFLIGHT: '1',
			SOCKETMASTER_HANDOVER: '2',
			SOCKETMASTER_FAULT: '1',
		});
		const program = sh('env | grep -E "SOCKETMASTER_(P|H|FA|FD)"; echo done', [], { env });
		expect((await program.ended).status).toBe(0);
		expect(program.lines().filter((line) => /^\[\d+\] /.test(line))).toEqual([expect.stringMatching(/\] done$/)]);
	});

	it.runIf(isRoot)('a program that was asked to check itself, and can’t see for what, starts nothing', async () => {
		const script = `mount -t tmpfs none /proc && exec ${executable} -listen=tcp://127.0.0.1:0 -command=/bin/true`;
		const env = environment({ SOCKETMASTER_PREFLIGHT: '0' });
		const program = run(['--mount', 'sh', '-c', script], { command: 'unshare', env });
		expect((await program.ended).status).toBe(1);
		expect(program.lines()).toEqual(['SOCKETMASTER_PREFLIGHT is set, and /proc does not tell what fd 0 is']);
	});

	it('SOCKETMASTER_FD names a socket, or is an error in words; it never reaches a child', async () => {
		const program = sh('true', [], { env: environment({ SOCKETMASTER_FD: '99' }) });
		expect((await program.ended).status).toBe(1);
		expect(program.lines().at(-1)).toBe('Unable to open socket fd 99: bad file descriptor');
	});

	it('of another supervisor mean no journal: its directory is not ours', async () => {
		const folder = scratch();
		const env = environment({ RUNTIME_DIRECTORY: folder, SOCKETMASTER_RUN: 'another' });
		await sh('true', [], { env }).ended;
		expect(readdirSync(folder)).toEqual([]);
	});

	it('that are no UTF-8, and such arguments, arrive to the byte', async () => {
		const script = `import os, sys; os.environb[b"RAW"] = b"a\\xff"; os.execv("${executable}", [b"socketmaster", b"-listen=tcp://127.0.0.1:0", b"-start=0", b'-verify=hold', "-command=/bin/sh", b"--", b"-c", b"printf '%s' \\"$RAW|$1\\" | od -An -tx1", b"x", b"\\xfe\\x80"])`;
		const program = run(['-c', script], { command: 'python3' });
		await program.logged(/\] {2}61 ff 7c fe 80$/);
	});

	it('and a path of the command that is none, by itself, through $PATH and as another user', async () => {
		const folder = scratch();
		chmodSync(folder, 0o755);
		const name = Buffer.concat([Buffer.from(`${folder}/app-`), Buffer.from([0xff])]);
		writeFileSync(name, '#!/bin/sh\nprintf "%s" "$0" | tail -c 5 | od -An -tx1\n', { mode: 0o755 });
		const script = (words: string) =>
			`import os; os.environ["PATH"] += ":${folder}"; os.execv("${executable}", [b"socketmaster", b"-listen=tcp://127.0.0.1:0", ${words}])`;
		for (const words of [
			`b"-command=${folder}/app-\\xff"`,
			`b"-command=${folder}/app-\\xfe", b"-command", b"app-\\xff"`,
			...(isRoot ? [`b"-user=nobody", b"--command=${folder}/app-\\xff"`] : []),
		]) {
			const program = run(['-c', script(words)], { command: 'python3' });
			await program.logged(/\] {2}61 70 70 2d ff$/);
		}
	});
});

describe('an exception inside', () => {
	let folder: string;
	let faulty: string;
	beforeAll(() => {
		folder = mkdtempSync(join(tmpdir(), 'socketmaster-faults-'));
		faulty = installFaulty(join(folder, 'app'));
	});
	afterAll(() => rmSync(folder, { recursive: true }));

	const start = (fault: string, again = '', script = patient) =>
		run(['-listen=tcp://127.0.0.1:0', '-start=300', '-verify=hold', '-command=/bin/sh', '--', '-c', script], {
			command: faulty,
			env: environment({ SOCKETMASTER_FAULT_AT: fault, SOCKETMASTER_FAULT_AGAIN: again || undefined }),
		});

	it.each(['generation.promoted', 'child.signalled', 'child.ready'])(
		'at the decision %s is said once, the supervisor replaces itself, and signals are obeyed',
		async (fault) => {
			const program = start(fault);
			if (fault === 'child.signalled') {
				await program.logged(/^Generation 1 is up/);
				program.signal('SIGHUP');
			}
			await program.logged(/^Internal error: Error: a fault at/);
			await program.logged(/^Upgraded to version/);
			const [first] = program.stderr().match(/\[\d+\] up/g) ?? [];
			program.signal('SIGHUP');
			await program.logged(/exit status 0$/);
			program.signal('SIGTERM');
			expect((await program.ended).status).toBe(0);
			expect(program.stderr().match(/Internal error/g)).toHaveLength(1);
			expect(first).toBeDefined();
		},
	);

	it('at its very start begins it anew', async () => {
		const program = start('generation.started');
		await program.logged(/^Internal error/);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
	});

	it('is told to whoever has asked for what it failed on, and who asks later gets what he asks for', async () => {
		const folder = scratch();
		const [control, gate] = [join(folder, 'control'), join(folder, 'go')];
		const script = `test "$SOCKETMASTER_CHILD" = 2 && while [ ! -e ${gate} ]; do sleep 0.01; done; python3 ${fixture('say.py')} READY=1; exec sleep 1000`;
		const flags = ['-listen=tcp://127.0.0.1:0', '-ready=notify', '-start=60000', '-signal=TERM', `-control=${control}`];
		const program = run([...flags, '-verify=hold', '-command=/bin/sh', '--', '-c', script], {
			command: faulty,
			env: environment({ SOCKETMASTER_FAULT_AT: 'rotation.queued' }),
		});
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/^SIGHUP: starting generation 2/);
		const failed = await command(['rotate', `-control=${control}`]).done;
		expect({ status: failed.status, stderr: failed.stderr }).toEqual({
			status: 1,
			stderr: 'no rotation: the supervisor has failed on it, and replaces itself\n',
		});
		const later = command(['rotate', `-control=${control}`, '-json']);
		await program.logged(/^A rotation request: .*one more rotation will follow$/);
		writeFileSync(gate, '');
		const { status, stdout } = await later.done;
		expect(status).toBe(0);
		expect(JSON.parse(stdout)).toMatchObject({ generation: 3, result: 'promoted' });
	});

	it('is told to whoever has asked for an upgrade', async () => {
		const control = join(scratch(), 'control');
		const program = run(
			[
				'-listen=tcp://127.0.0.1:0',
				'-start=50',
				`-control=${control}`,
				'-verify=hold',
				'-command=/bin/sh',
				'--',
				'-c',
				patient,
			],
			{
				command: faulty,
				env: environment({ SOCKETMASTER_FAULT_AT: 'upgrade.begun' }),
			},
		);
		await program.logged(/^Generation 1 is up/);
		const { status, stderr } = await command(['upgrade', `-control=${control}`]).done;
		expect({ status, stderr }).toEqual({
			status: 1,
			stderr: 'no upgrade: the supervisor has failed on it, and replaces itself\n',
		});
	});

	it('leaves a rotation that was promised before to follow', async () => {
		const program = start('upgrade.begun');
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/^SIGHUP: starting generation 2/);
		program.signal('SIGHUP');
		await program.logged(/one more rotation will follow$/);
		program.signal('SIGUSR2');
		await program.logged(/^Internal error/);
		await program.logged(/^Generation 3 is up/);
	});

	it('when a child has a process already tells of a failed spawn when that process is gone, not before', async () => {
		const mark = join(folder, 'mark');
		const program = run([...quick, '-verify=hold', '-command=/bin/sh', '--', '-c', patient], {
			command: faulty,
			env: environment({ SOCKETMASTER_FAULT_AT: 'outputs.open', MARK: mark }),
		});
		await program.logged(/^Could not start process a fault at outputs.open$/);
		const marked = readdirSync('/proc').filter((name) => {
			try {
				return readFileSync(`/proc/${name}/environ`, 'latin1').includes(`MARK=${mark}`);
			} catch {
				return false;
			}
		});
		expect(marked.filter((name) => Number(name) !== program.pid)).toEqual([]);
		expect((await program.ended).status).toBe(1);
		expect(program.stderr()).not.toContain('Internal error');
	});

	it('in the report of a failed spawn is not lost', async () => {
		const directory = join(scratch(), 'release');
		mkdirSync(directory);
		const program = run([...quick, '-verify=hold', `-chdir=${directory}`, '-command=/bin/sh', '--', '-c', patient], {
			command: faulty,
			env: environment({ SOCKETMASTER_FAULT_AT: 'spawn.failed' }),
		});
		await program.logged(/^Generation 1 is up/);
		rmSync(directory, { recursive: true });
		program.signal('SIGHUP');
		await program.logged(/^Internal error: Error: a fault at spawn.failed/);
		await program.logged(/^Upgraded to version/);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
	});

	it('that happens again within a minute ends the supervisor as a crash does, and leaves the children alone', async () => {
		const program = start('stop.begun', 'again');
		const [, child = ''] = await program.logged(/^\[(\d+)\] up$/);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGTERM');
		await program.logged(/^Upgraded to version/);
		program.signal('SIGTERM');
		const { signal } = await program.ended;
		expect(signal).toBe('SIGKILL');
		expect(program.stderr()).toMatch(/The supervisor kills itself: it happened within a minute of another one/);
		expect(kill(Number(child), 'SIGKILL')).toBe(true);
	});
});

describe.runIf(isRoot)('a directory of notify sockets whose file system has become read-only', () => {
	it('ends neither the supervisor nor a stop, and changes no exit status', async () => {
		// A path of a socket in it must not be too long. It is mounted for this program alone.
		const folder = '/mnt';
		const inMount = ['--mount', 'sh', '-c', `mount -t tmpfs none ${folder} && exec "$0" "$@"`, executable];
		const program = run(
			[
				...inMount,
				...quick,
				'-workers=3',
				'-respawn=500',
				'-verify=hold',
				`-control=${scratch()}/control`,
				'-command=/bin/sh',
				'--',
				'-c',
				patient,
			],
			{
				command: 'unshare',
				env: environment({ RUNTIME_DIRECTORY: folder }),
			},
		);
		await program.logged(/^Generation 1 is up/);
		const cover = `mount --bind ${folder} ${folder} && mount -o remount,bind,ro ${folder}`;
		execFileSync('nsenter', ['-t', String(program.pid), '-m', 'sh', '-c', cover]);
		for (const times of [1, 2]) {
			kill(childrenOf(program.pid)[0] ?? 0, 'SIGKILL');
			await program.logged(/^\d+ signal: killed/, times);
			await program.logged(/ will be started again in /, times);
		}
		program.signal('SIGTERM');
		const { status, stderr } = await program.ended;
		expect(stderr).not.toMatch(/Internal error|exit status unknown/);
		expect(status).toBe(0);
	});
});

describe('a log whose reader dies', () => {
	it('gets no line any more, and no other file does', async () => {
		const folder = scratch();
		const journal = join(folder, 'journal');
		const program = sh(
			'trap "exit 0" HUP TERM; while echo words that belong to the log alone; do sleep 0.01; done',
			[`-journal=${journal}`],
			{ stdio: ['ignore', 'pipe', 'pipe'] },
		);
		await program.logged(/^Generation 1 is up/);
		program.process.stderr?.destroy();
		for (let count = 2; count <= 6; count += 1) {
			program.signal('SIGHUP');
			await until(`generation ${count}`, () =>
				readFileSync(journal, 'utf8').includes(`"generation.promoted","generation":${count}`),
			);
		}
		program.signal('SIGTERM');
		await once(program.process, 'exit');
		expect(program.process.exitCode).toBe(0);
		expect(readFileSync(journal, 'utf8')).not.toMatch(/^[^{]/m);
		expect(spawnSync(executable, ['replay', journal]).status).toBe(0);
	});

	it('or whose disk is full loses lines that are counted', async () => {
		const fd = openSync('/dev/full', 'w');
		const program = sh('echo one; echo two', [], { stdio: ['ignore', 'ignore', fd] });
		expect((await program.ended).status).toBe(0);
	});
});

describe('an orphan that prints without end', () => {
	it('holds nobody up: the exit is told at once, signals are obeyed, and it waits for a log that is slow', async () => {
		const log = join(scratch(), 'log');
		const fd = openSync(log, 'w');
		/** Without what it prints itself, which is a lot. */
		const text = () => spawnSync('grep', ['-av', '] orphaned$', log], { encoding: 'latin1' }).stdout;
		const orphan = '(trap "" HUP TERM; while :; do echo orphaned; done) 3>&- &';
		const script = `if [ "$SOCKETMASTER_CHILD" = 1 ]; then ${orphan} fi; ${patient}`;
		const program = run([...quick, '-start=100', '-verify=hold', '-command=/bin/sh', '--', '-c', script], {
			stdio: ['ignore', 'ignore', fd],
		});
		await until('the first generation', () => text().includes('Generation 1 is up'));
		program.signal('SIGHUP');
		await until('the end of the first child', () =>
			/(exit status 0|signal: hangup); process.* of it lives? on/m.test(text()),
		);
		const [, orphans = ''] = text().match(/process(?:es)? ([\d, ]+) of it lives? on/m) ?? [];
		onTestFinished(() => {
			for (const orphan of orphans.split(', ')) kill(Number(orphan), 'SIGKILL');
		});
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
		expect(text()).not.toContain('were dropped');
		// No line of it was cut in two by the end of its leader.
		expect(text()).not.toMatch(/\] $/m);
	});
});

describe('a worker that outlives an ordinary stop', () => {
	it('is not blocked by a pipe that nobody reads any more', async () => {
		const folder = scratch();
		const count = join(folder, 'count');
		const worker = `trap "" HUP TERM; i=0; while :; do echo words to fill a pipe with; i=$((i+1)); echo $i > ${count}; done`;
		const program = sh(
			`(${worker}) 2>/dev/null 3>&- & echo worker $!; trap "exit 0" TERM; while :; do sleep 0.02; done`,
			[`-journal=${folder}/journal`],
		);
		const [, pid = ''] = await program.logged(/\] worker (\d+)$/);
		onTestFinished(() => void kill(Number(pid), 'SIGKILL'));
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGTERM');
		await once(program.process, 'exit');
		const counted = () => Number(readFileSync(count, 'utf8') || 0);
		const before = counted();
		// A pipe holds 64 KiB: these lines are more.
		await until('it goes on', () => counted() > before + 5000);
	});

	it('also where its writes wait, as those of Node do; and who reads for it ends with it', async () => {
		const folder = scratch();
		const count = join(folder, 'count');
		const worker = join(folder, 'worker.mjs');
		writeFileSync(
			worker,
			`import { writeFileSync } from 'node:fs';
			for (const name of ['SIGHUP', 'SIGTERM']) process.on(name, () => {});
			let lines = 0;
			setInterval(() => {
				for (let each = 0; each < 500; each += 1) console.log('words to fill a pipe with');
				writeFileSync('${count}', String((lines += 500)));
			}, 1);`,
		);
		const program = sh(
			`${process.execPath} ${worker} 3>&- & echo worker $!; trap "exit 0" TERM; while :; do sleep 0.02; done`,
			[`-journal=${folder}/journal`],
		);
		const [, pid = ''] = await program.logged(/\] worker (\d+)$/);
		onTestFinished(() => void kill(Number(pid), 'SIGKILL'));
		await until('it prints', () => existsSync(count));
		const pipe = readlinkSync(`/proc/${pid}/fd/1`);
		const holders = () =>
			readdirSync('/proc').filter((name) => {
				try {
					return readlinkSync(`/proc/${name}/fd/0`) === pipe;
				} catch {
					return false;
				}
			});
		program.signal('SIGTERM');
		await once(program.process, 'exit');
		const counted = () => Number(readFileSync(count, 'utf8') || 0);
		const before = counted();
		await until('it goes on', () => counted() > before + 20_000);
		expect(holders()).toHaveLength(1);
		kill(Number(pid), 'SIGKILL');
		await until('nobody reads any more', () => holders().length === 0);
	});
});

describe('a process group', () => {
	const master = 'trap "" TERM HUP; sh -c "trap \\"\\" TERM HUP; echo worker \\$\\$; while :; do sleep 0.02; done" & ';

	it('of a child that does not leave is killed whole by -kill', async () => {
		const program = sh(`${master} while :; do sleep 0.02; done`, ['-kill=200']);
		const [, worker = ''] = await program.logged(/\] worker (\d+)$/);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
		await until('the worker is gone', () => !kill(Number(worker), 0));
	});

	it('that a child has left is none: -kill ends the child all the same', async () => {
		const script =
			'import os, signal, time\nsignal.signal(15, signal.SIG_IGN)\npid = os.fork()\nif pid == 0:\n    os.setpgid(0, 0)\n    time.sleep(100)\ntime.sleep(0.2)\nos.setpgid(0, pid)\nprint("escaped", flush=True)\ntime.sleep(100)';
		const program = run([...quick, '-kill=200', '-verify=hold', '-command=python3', '--', '-c', script]);
		await program.logged(/\] escaped$/);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
	});

	it('that outlives its leader is named, and killed when -kill says', async () => {
		const program = sh(`${master} trap "exit 0" TERM; echo up; while :; do sleep 0.02; done`, ['-kill=300']);
		const [, worker = ''] = await program.logged(/\] worker (\d+)$/);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGTERM');
		await program.logged(new RegExp(`exit status 0; process.*\\b${worker}\\b.* of it lives? on`));
		await program.logged(/, left behind by \d+, still there 300 ms after it had left; killing (it|them)$/);
		expect((await program.ended).status).toBe(0);
		await until('the worker is gone', () => !kill(Number(worker), 0));
	});

	it('that outlives its leader is held through an upgrade, also who has cleared his environment', async () => {
		const script =
			'test "$SOCKETMASTER_CHILD" = 1 && (trap "" TERM; exec env -i /bin/sleep 1000) & echo worker $!; trap "exit 0" TERM; while :; do sleep 0.02; done';
		const program = sh(script, ['-kill=3000', '-signal=TERM']);
		const [, worker = ''] = await program.logged(/\] worker (\d+)$/);
		onTestFinished(() => void kill(Number(worker), 'SIGKILL'));
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(new RegExp(`exit status 0; process.*\\b${worker}\\b.* of it lives? on`));
		program.signal('SIGUSR2');
		await program.logged(/, left behind by \d+, still there 3000 ms after it had left; killing (it|them)$/);
		await until('the worker is gone', () => !kill(Number(worker), 0));
		expect(program.stderr()).toContain('Upgraded');
	});

	it.runIf(isRoot)('with somebody in it who can’t be signalled is killed but for him', async () => {
		const other = 'import os, time; os.setuid(0); print("other", os.getpid(), flush=True); time.sleep(100)';
		const script = `trap "" TERM HUP; python3 -c '${other}' & sh -c 'trap "" TERM HUP; echo worker $$; while :; do sleep 0.02; done' & wait; while :; do sleep 0.02; done`;
		const caps = ['--inh-caps=+setuid', '--ambient-caps=+setuid'];
		const words = ['--reuid=65534', '--regid=65534', '--clear-groups', ...caps, executable, ...quick, '-kill=300'];
		const program = run([...words, '-verify=hold', '-command=/bin/sh', '--', '-c', script], { command: 'setpriv' });
		const [, free = ''] = await program.logged(/\] other (\d+)$/);
		const [, worker = ''] = await program.logged(/\] worker (\d+)$/);
		onTestFinished(() => void kill(Number(free), 'SIGKILL'));
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGTERM');
		await program.logged(/killing it$/);
		await until('the worker is gone', () => !kill(Number(worker), 0));
		expect(kill(Number(free), 0)).toBe(true);
	});

	it('that outlives its leader, and holds no listener, is named, and left alone without -kill', async () => {
		const program = sh(
			`${master.replace('done" & ', 'done" 3>&- & ')} trap "exit 0" TERM; echo up; while :; do sleep 0.02; done`,
		);
		const [, worker = ''] = await program.logged(/\] worker (\d+)$/);
		onTestFinished(() => void kill(Number(worker), 'SIGKILL'));
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
		expect(program.lines().at(-1)).toContain(`${worker}`);
		expect(kill(Number(worker), 0)).toBe(true);
	});
});

describe('a child that is stopped', () => {
	it('when its wait is over is not up, and SIGTERM ends it all the same', async () => {
		const program = sh('kill -STOP $$; echo continued; exit 0');
		await program.logged(/^\d+ is stopped, so it is not up; its wait begins again$/);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
		expect(program.stderr()).not.toContain('Generation 1 is up');
	});
});

describe('signals that ask for nothing', () => {
	it.each(['SIGALRM', 'SIGVTALRM', 'SIGPROF', 'SIGIO', 'SIGPWR', 'SIGXCPU', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU'] as const)(
		'%s neither ends nor stops the supervisor',
		async (name) => {
			const program = sh(patient);
			await program.logged(/^Generation 1 is up/);
			program.signal(name);
			program.signal('SIGHUP');
			await program.logged(/^Generation 2 is up/);
		},
	);
});

describe('a log in systemd’s journal', () => {
	it('has a level before each line, and no stamp', async () => {
		const file = join(scratch(), 'log');
		const fd = openSync(file, 'w');
		const { dev, ino } = statSync(file);
		const env = environment({ JOURNAL_STREAM: `${dev}:${ino}` });
		const program = sh('echo hello', [], { env, stdio: ['ignore', 'ignore', fd] });
		await program.ended;
		const lines = readFileSync(file, 'utf8').trim().split('\n');
		expect(lines.every((line) => /^<6>(?!socketmaster)/.test(line))).toBe(true);
		expect(lines).toContainEqual(expect.stringMatching(/^<6>\[\d+\] hello$/));
	});
});

describe('scarcity', () => {
	it('of fds does not keep it from starting', async () => {
		const script = `ulimit -n 60; exec ${executable} ${quick.join(' ')} -verify=hold -command=/bin/sh -- -c '${patient}'`;
		const program = run(['-c', script], { command: 'bash' });
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
	});

	it.runIf(isRoot)('of /proc does not keep it from starting', async () => {
		const script = `mount -t tmpfs none /proc && exec ${executable} ${quick.join(' ')} -verify=hold -command=/bin/sh -- -c '${patient}'`;
		const program = run(['--mount', 'sh', '-c', script], { command: 'unshare' });
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
	});

	it('of threads in the pool does not stop the log after a recovery', async () => {
		const journal = join(scratch(), 'journal');
		const log = join(scratch(), 'log');
		const env = environment({ UV_THREADPOOL_SIZE: '1' });
		const start = () => sh(patient, [`-journal=${journal}`], { env, stdio: ['ignore', 'ignore', openSync(log, 'a')] });
		const first = start();
		await until('a start', () => existsSync(log) && readFileSync(log, 'utf8').includes('Generation 1 is up'));
		first.signal('SIGKILL');
		await first.ended;
		const second = start();
		await until('a recovery', () => readFileSync(log, 'utf8').includes('Recovered from'));
		second.signal('SIGHUP');
		await until('a rotation', () => readFileSync(log, 'utf8').includes('Generation 2 is up'));
		second.signal('SIGTERM');
		await second.ended;
	});
});

describe('a listening socket that a child has shut down', () => {
	it('listens again at the next spawn', async () => {
		const script =
			'import os, socket, time\ns = socket.socket(fileno=3)\nif os.environ["SOCKETMASTER_CHILD"] == "1":\n    s.shutdown(2)\nprint("up", flush=True)\ntime.sleep(100)';
		const program = run([...quick, '-signal=TERM', '-verify=hold', '-command=python3', '--', '-c', script]);
		const [, port = ''] = await program.logged(/^Bound to .*:(\d+)$/);
		await program.logged(/^Generation 1 is up/);
		await program.logged(/\] up$/);
		expect(await reaches(Number(port))).toBe(false);
		program.signal('SIGHUP');
		await program.logged(/^A child had shut down the listening socket .*; it listens again$/);
		await program.logged(/^Generation 2 is up/);
		expect(await reaches(Number(port))).toBe(true);
	});

	it('as its last act listens again when that child is gone', async () => {
		const script =
			'import signal, socket, sys\ns = socket.socket(fileno=3)\nsignal.signal(signal.SIGTERM, lambda *a: (s.shutdown(2), sys.exit()))\nprint("up", flush=True)\nwhile True: signal.pause()';
		const program = run([
			...quick,
			'-start=300',
			'-signal=TERM',
			'-verify=hold',
			'-command=python3',
			'--',
			'-c',
			script,
		]);
		const [, port = ''] = await program.logged(/^Bound to .*:(\d+)$/);
		await program.logged(/^Generation 1 is up/);
		await program.logged(/\] up$/);
		program.signal('SIGHUP');
		await program.logged(/exit status 0$/);
		await program.logged(/^A child had shut down the listening socket .*; it listens again$/);
		expect(await reaches(Number(port))).toBe(true);
	});

	it('by a worker that outlives its master listens again when that worker is gone', async () => {
		const script = [
			'import os, signal, socket, sys, time',
			's = socket.socket(fileno=3)',
			'def leave(*_):',
			'    if os.fork(): os._exit(0)',
			'    signal.signal(signal.SIGTERM, signal.SIG_IGN)',
			'    time.sleep(0.3)',
			'    s.shutdown(2)',
			'    os._exit(0)',
			'signal.signal(signal.SIGTERM, leave)',
			'print("up", flush=True)',
			'while True: signal.pause()',
		].join('\n');
		const program = run([
			...quick,
			'-start=300',
			'-signal=TERM',
			'-verify=hold',
			'-command=python3',
			'--',
			'-c',
			script,
		]);
		const [, port = ''] = await program.logged(/^Bound to .*:(\d+)$/);
		await program.logged(/^Generation 1 is up/);
		await program.logged(/\] up$/);
		program.signal('SIGHUP');
		await program.logged(/of it lives on/);
		await program.logged(/^A child had shut down the listening socket .*; it listens again$/);
		expect(await reaches(Number(port))).toBe(true);
	});

	it('gets no other port when somebody else has taken its own: the spawn fails, and says so', async () => {
		const script =
			'import socket, time\ns = socket.socket(fileno=3)\ns.shutdown(2)\nprint("up", flush=True)\ntime.sleep(100)';
		const program = run([...quick, '-signal=TERM', '-verify=hold', '-command=python3', '--', '-c', script]);
		const [, port = ''] = await program.logged(/^Bound to .*:(\d+)$/);
		await program.logged(/\] up$/);
		await program.logged(/^Generation 1 is up/);
		const other = createServer().listen(Number(port), '127.0.0.1');
		onTestFinished(() => void other.close());
		await once(other, 'listening');
		program.signal('SIGHUP');
		await program.logged(/^Could not start process bind: address already in use$/);
		await program.logged(/^Generation 2 failed: .*; generation 1 keeps serving$/);
		expect(program.stderr()).not.toContain('it listens again');
	});

	it('of a UNIX path can’t be brought back, and the log says so', async () => {
		const path = join(scratch(), 'socket');
		const script =
			'import socket, time\ns = socket.socket(fileno=3)\ns.shutdown(2)\nprint("up", flush=True)\ntime.sleep(100)';
		const program = run([
			`-listen=unix://${path}`,
			'-start=50',
			'-signal=TERM',
			'-verify=hold',
			'-command=python3',
			'--',
			'-c',
			script,
		]);
		await program.logged(/\] up$/);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(
			/^A child has shut down the listening socket .*: nobody can connect before a stop and a start$/,
		);
		await program.logged(/^Generation 2 is up/);
	});
});

describe('what a manager says it has kept', () => {
	it('and has not is no reason to fail', async () => {
		const script = `LISTEN_PID=$$ LISTEN_FDNAMES=socketmaster-0 LISTEN_FDS=1 exec ${executable} ${quick.join(' ')} -command=/bin/true`;
		expect((await run(['-c', script], { command: 'sh' }).ended).status).toBe(0);
	});
});

describe('many listeners', () => {
	it('arrive each at its number, also more than there is room for below 64', async () => {
		const count = 70;
		const listen = Array.from({ length: count }, () => '-listen=tcp://127.0.0.1:0');
		const program = run([
			...listen,
			'-start=0',
			'-verify=hold',
			'-command=/bin/sh',
			'--',
			'-c',
			'readlink /proc/self/fd/* | grep -c socket:; readlink /proc/$$/fd/3 /proc/$$/fd/72',
		]);
		expect((await program.ended).status).toBe(0);
		const printed = program.lines().flatMap((line) => line.match(/^\[\d+\] (.*)$/)?.[1] ?? []);
		expect(printed[0]).toBe(String(count));
		expect(new Set(printed.slice(1)).size).toBe(2);
	});
});

describe('words', () => {
	it('of a search in $PATH name what is wrong, and a directory that can’t be read ends no search', async () => {
		const folder = scratch();
		mkdirSync(join(folder, 'locked'));
		writeFileSync(join(folder, 'locked/file'), '');
		chmodSync(join(folder, 'locked'), 0);
		const env = environment({ PATH: `${folder}/locked/file:${folder}/locked:/usr/bin:/bin` });
		const found = run(['-listen=tcp://127.0.0.1:0', '-start=0', '-command=true'], { env });
		expect((await found.ended).status).toBe(0);
	});

	it('for a signal may be its number', async () => {
		const program = sh('trap "echo got TERM; exit 0" TERM; echo up; while :; do sleep 0.02; done', ['-signal=15']);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/; sending SIGTERM to \d+$/);
		await program.logged(/got TERM$/);
	});

	it('say who still drains, 10 s after', async () => {
		const program = sh('trap "" HUP; trap "exit 0" TERM; echo up; while :; do sleep 0.02; done');
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		const [, child] = await program.logged(/^Generation 2 is up .*; sending SIGHUP to (\d+)$/);
		await program.logged(new RegExp(`^Still draining: ${child} \\(told 10 s ago\\)$`));
	});
});

describe('a UNIX path', () => {
	it('that a living process has bound, and does not listen on yet, is not replaced', async () => {
		const path = join(scratch(), 'a.sock');
		const script = `import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind("${path}"); print("bound", flush=True); sys.stdin.read()`;
		const owner = spawn('python3', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
		onTestFinished(() => void owner.kill());
		await once(owner.stdout, 'data');
		const program = run([`-listen=unix://${path}`, '-command=/bin/true']);
		expect((await program.ended).status).toBe(1);
		expect(program.lines().at(-1)).toBe(`Unable to open socket listen unix ${path}: bind: address already in use`);
	});

	it('that ten starters replace at once belongs to one of them, and is served', async () => {
		const path = join(scratch(), 'a.sock');
		execFileSync('python3', ['-c', `import socket; socket.socket(socket.AF_UNIX).bind("${path}")`]);
		const programs = Array.from({ length: 10 }, () =>
			run([`-listen=unix://${path}`, '-start=0', '-verify=hold', '-command=/bin/sh', '--', '-c', patient]),
		);
		const won = await Promise.all(
			programs.map((program) =>
				program.logged(/^Generation 1 is up/).then(
					() => true,
					() => false,
				),
			),
		);
		expect(won.filter(Boolean)).toHaveLength(1);
		const inode = readFileSync('/proc/net/unix', 'utf8').match(new RegExp(`(\\d+) ${path}\n`))?.[1];
		const winner = programs[won.indexOf(true)];
		const [child = 0] = childrenOf(winner?.pid ?? 0);
		expect(execFileSync('readlink', [`/proc/${child}/fd/3`], { encoding: 'utf8' })).toBe(`socket:[${inode}]\n`);
	});
});
