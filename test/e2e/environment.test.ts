/** The environment that people have: what children inherit, and what is taken away while they run. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ask, command } from '../support/asking.ts';
import { install, installFaulty } from '../support/install.ts';
import { until } from '../support/proc.ts';
import { environment, executable, fixture, isRoot, kill, root, run, scratch } from '../support/program.ts';

const flags = ['-listen=tcp://127.0.0.1:0', '-start=50', '-verify=hold'];
const shell = (script: string) => ['-command=/bin/sh', '--', '-c', script];

describe('what is meant for the server’s Node', () => {
	const hostile = {
		NODE_OPTIONS: '--require /nonexistent/agent.js',
		NODE_EXTRA_CA_CERTS: '/nonexistent/ca.pem',
		NODE_REPL_EXTERNAL_MODULE: '/nonexistent/repl.js',
		NODE_PATH: '/nonexistent/modules',
		UV_THREADPOOL_SIZE: '2',
		NODE_CHANNEL_FD: '9',
	};

	it.each(isRoot ? [[], ['-user=nobody']] : [[]])('is not obeyed by ours, and reaches it, with %j', async (...user) => {
		const control = join(scratch(), 'control');
		const print = 'env | grep -E "^(NODE_|UV_|SOCKETMASTER_)" | sort | tr "\\n" " "; echo; exec sleep 1000';
		const program = run([...flags, ...user, `-control=${control}`, ...shell(print)], {
			env: { ...environment({ NODE_ENV: undefined }), ...hostile },
		});
		const [, variables] = await program.logged(/\] (NODE_.*)$/);
		const { NODE_CHANNEL_FD: _, ...wanted } = hostile;
		expect(
			Object.fromEntries(
				(variables ?? '')
					.trim()
					.split(/ (?=[A-Z_]+=)/)
					.filter((each) => !each.startsWith('SOCKETMASTER_'))
					.map((each) => each.split(/=(.*)/s)),
			),
		).toEqual(wanted);
		expect(variables).not.toMatch(/SOCKETMASTER_(KEPT|NOFILE)/);
		const { status, stderr } = await command(['rotate', `-control=${control}`], hostile).done;
		expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
		program.signal('SIGUSR2');
		await program.logged(/^Upgraded/);
		program.signal('SIGHUP');
		const [, after] = await program.logged(/\] (NODE_.*)$/, 3);
		expect(after?.replace(/SOCKETMASTER_\S+/g, '')).toBe(variables?.replace(/SOCKETMASTER_\S+/g, ''));
		expect(program.stderr()).not.toMatch(/Warning|nonexistent\/(ca|agent).*(ENOENT|Cannot)/);
	});

	it('is not touched by the launcher’s own words, whatever its name', async () => {
		const short = { v: '1', _v: '2', k: '3', x: '4' };
		const program = run([...flags, ...shell('echo "is $v$_v$k$x"; exec sleep 1000')], {
			env: { ...environment(), ...short },
		});
		await program.logged(/\] is 1234$/);
	});
});

/** Prints what a process has from its parent, besides its variables and its fds. */
const inherited = `python3 -c '
import json, os, signal
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
def read(path):
    try: return open(path).read()
    except OSError as error: return str(error)
print("has", json.dumps({
    "limits": read("/proc/self/limits"),
    "status": {name: status.get(name) for name in ("SigBlk", "SigIgn", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Groups", "Uid", "Gid", "THP_enabled", "CoreDumping")},
    "umask": status.get("Umask"), "nice": os.nice(0), "oom": read("/proc/self/oom_score_adj"), "cwd": os.getcwd(),
    "cgroup": read("/proc/self/cgroup"), "personality": read("/proc/self/personality"), "timer slack": read("/proc/self/timerslack_ns"),
    "keyring": __import__("ctypes").CDLL(None).syscall(250, 0, -3, 0),
    "terminal": os.path.exists("/dev/tty") and __import__("subprocess").call(["sh", "-c", ": </dev/tty"], stderr=-3),
    "cpus": sorted(os.sched_getaffinity(0)), "policy": os.sched_getscheduler(0),
}))'`;

describe('what a child inherits', () => {
	it.each([[], ['-systemd'], ['-journal=JOURNAL'], ...(isRoot ? [['-user=root']] : [])])(
		'is what the supervisor was started with, with %j',
		async (...more) => {
			const folder = scratch();
			const setup = `cd ${folder}; ulimit -Sn 777; ulimit -Sc 0; ulimit -s 4096; umask 027; exec nice -n 3`;
			const own = more.map((flag) => flag.replace('JOURNAL', join(folder, 'journal')));
			const words = [...flags, ...own, ...shell(`${inherited}; exec sleep 1000`)];
			const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
			const program = run(['-c', `${setup} ${executable} ${quoted}`], { command: '/bin/sh' });
			const [, ofChild = ''] = await program.logged(/\] has (.*)$/);
			const plain = spawnSync('/bin/sh', ['-c', `${setup} sh -c '${inherited.replaceAll("'", "'\\''")}'`], {
				encoding: 'utf8',
				env: environment(),
			});
			const wanted = JSON.parse(String(plain.stdout).slice('has '.length));
			const seen = JSON.parse(ofChild);
			// posix_spawn(3) of glibc ignores 32 and 33, which are its own; a user's groups are what -user is for.
			const internal = BigInt(2 ** 31 + 2 ** 32);
			seen.status.SigIgn = (BigInt(`0x${seen.status.SigIgn}`) & ~internal).toString(16).padStart(16, '0');
			if (more[0]?.startsWith('-user')) wanted.status.Groups = seen.status.Groups;
			expect(seen).toEqual(wanted);
			expect(seen.limits).toMatch(/^Max open files +777 /m);
			program.signal('SIGUSR2');
			await program.logged(/^Upgraded/);
			program.signal('SIGHUP');
			const [, ofSecond = ''] = await program.logged(/\] has (.*)$/, 2);
			expect(ofSecond).toBe(ofChild);
		},
	);
});

describe.runIf(isRoot)('-user', () => {
	const who = 'echo "is $(id -u):$(id -g):$(id -G) $HOME $USER $LOGNAME $SHELL"; exec sleep 1000';

	it.each([
		['nobody', '65534:65534:65534 /nonexistent nobody nobody /usr/sbin/nologin'],
		['65534', '65534:65534:65534 /nonexistent nobody nobody /usr/sbin/nologin'],
		['nobody:daemon', '65534:1:1 /nonexistent nobody nobody /usr/sbin/nologin'],
		['nobody:77', '65534:77:77 /nonexistent nobody nobody /usr/sbin/nologin'],
		['4242:77', '4242:77:77 / 4242 4242 /bin/sh'],
	])('=%s is that user, and says so to programs', async (user, says) => {
		const program = run([...flags, `-user=${user}`, ...shell(who)]);
		const [, said] = await program.logged(/\] is (.*)$/);
		expect(said).toBe(says);
	});

	it('gives way to -env', async () => {
		const path = join(scratch(), 'env');
		writeFileSync(path, 'HOME=/srv/app\nSHELL=/bin/false\n');
		const program = run([...flags, '-user=nobody', `-env=${path}`, ...shell(who)]);
		const [, said] = await program.logged(/\] is (.*)$/);
		expect(said).toBe('65534:65534:65534 /srv/app nobody nobody /bin/false');
	});

	it.each([
		['nosuch', 'unknown user nosuch'],
		['nobody:nosuch', 'unknown group nosuch'],
		['4242', 'unknown user 4242'],
		['99999999999:1', 'unknown user 99999999999'],
	])('=%s is refused in a sentence', (user, says) => {
		const { status, stderr } = spawnSync(executable, [...flags, `-user=${user}`, '-command=true'], {
			encoding: 'utf8',
		});
		expect(status).toBe(1);
		expect(stderr.trimEnd().endsWith(`Unable to find user user: ${says}`), stderr).toBe(true);
	});
});

describe('-chdir', () => {
	/** Releases of a server that says which it is, and where it runs, by asking (Node's uv_cwd does). */
	function releases() {
		const folder = scratch();
		for (const name of ['one', 'two', 'three']) {
			mkdirSync(join(folder, name));
			const server = `#!/bin/sh\necho "${name} in $(${process.execPath} -p 'process.cwd()')"; exec sleep 1000\n`;
			writeFileSync(join(folder, name, 'server'), server, { mode: 0o755 });
		}
		const link = (name: string) => execFileSync('ln', ['-sfn', name, join(folder, 'current')]);
		link('one');
		return { folder, link, control: join(folder, 'control') };
	}

	it('is named by rotate beside that of the generation that was replaced, not of the one that served as it was asked for', async () => {
		const { folder, link, control } = releases();
		const program = run([
			...flags,
			'-start=1000',
			`-control=${control}`,
			`-chdir=${join(folder, 'current')}`,
			'-command=./server',
		]);
		await program.logged(/^Generation 1 is up/);
		link('two');
		program.signal('SIGHUP');
		await program.logged(/\] two in /);
		link('three');
		const { status, stdout } = await command(['rotate', `-control=${control}`]).done;
		expect(status).toBe(0);
		expect(stdout).toContain(` was started from ${folder}/three, generation 2 from ${folder}/two\n`);
	});

	it.each(isRoot ? [[], ['-user=nobody']] : [[]])(
		'is looked up anew for each generation, with a relative -command, also when the old release is gone, with %j',
		async (...user) => {
			const { folder, link, control } = releases();
			execFileSync('chmod', ['755', folder]);
			const current = join(folder, 'current');
			// As systemd does with WorkingDirectory=: the directory is resolved, and PWD says nothing.
			const program = run([...flags, ...user, `-chdir=${current}`, `-control=${control}`, '-command=./server'], {
				cwd: join(folder, 'one'),
				env: environment({ PWD: undefined }),
			});
			await program.logged(new RegExp(`\\] one in ${folder}/one$`));
			link('two');
			expect((await command(['rotate', `-control=${control}`]).done).status).toBe(0);
			await program.logged(new RegExp(`\\] two in ${folder}/two$`));
			execFileSync('rm', ['-r', join(folder, 'one')]);
			link('three');
			const { status, stdout } = await command(['rotate', `-control=${control}`]).done;
			expect(status).toBe(0);
			expect(stdout).toContain(` was started from ${folder}/three, generation 2 from ${folder}/two`);
			await program.logged(new RegExp(`\\] three in ${folder}/three$`));
			link('nowhere');
			const failed = await command(['rotate', `-control=${control}`]).done;
			expect(failed.status).toBe(1);
			expect(failed.stderr).toContain(`the directory ${current}: no such file or directory`);
			expect(failed.stderr).toContain('Generation 3 keeps serving.');
		},
	);

	it('is told by its real path: a program that goes by its name loads no later version', async () => {
		const folder = scratch();
		for (const name of ['one', 'two']) {
			mkdirSync(join(folder, name));
			writeFileSync(join(folder, name, 'run'), `#!/bin/sh\necho "in $PWD"\nexec sleep 1000\n`, { mode: 0o755 });
		}
		const current = join(folder, 'current');
		execFileSync('ln', ['-s', join(folder, 'one'), current]);
		const program = run([...flags, `-chdir=${current}`, '-command=./run']);
		await program.logged(new RegExp(`\\] in ${join(folder, 'one')}$`));
		execFileSync('ln', ['-sfn', join(folder, 'two'), current]);
		program.signal('SIGHUP');
		await program.logged(new RegExp(`\\] in ${join(folder, 'two')}$`));
	});

	it('that is none is refused at the start, as is a -command that is not in it', () => {
		const { folder } = releases();
		const start = (...more: string[]) =>
			spawnSync(executable, [...flags, ...more], { encoding: 'utf8', env: environment() }).stderr.trim();
		expect(start(`-chdir=${folder}/none`, '-command=./server')).toMatch(
			/Unable to use -chdir .*\/none: no such file or directory$/,
		);
		expect(start(`-chdir=${folder}/one/server`, '-command=true')).toMatch(/Unable to use -chdir .*: not a directory$/);
		expect(start(`-chdir=${folder}/one`, '-command=./other')).toMatch(
			/Could not find executable exec: "\.\/other": stat .*\/one\/\.\/other: no such file or directory$/,
		);
	});
});

describe('the directory that the supervisor was started in', () => {
	it('is gone: a program elsewhere starts in /, and one in it fails the rotation by the name of the directory', async () => {
		const folder = scratch();
		const start = (words: string[]) => {
			const own = join(folder, 'own');
			mkdirSync(own, { recursive: true });
			writeFileSync(join(own, 'server'), '#!/bin/sh\nexec sleep 1000\n', { mode: 0o755 });
			return { own, program: run([...flags, `-control=${join(folder, 'control')}`, ...words], { cwd: own }) };
		};
		const absolute = start(shell(`echo "in $(${process.execPath} -p 'process.cwd()')"; exec sleep 1000`));
		await absolute.program.logged(new RegExp(`\\] in ${absolute.own}$`));
		execFileSync('rm', ['-r', absolute.own]);
		absolute.program.signal('SIGHUP');
		await absolute.program.logged(
			new RegExp(`^The directory ${absolute.own}, where socketmaster was started, is gone: generation 2 starts in / `),
		);
		await absolute.program.logged(/\] in \/$/);
		await absolute.program.logged(/^Generation 2 is up/);
		absolute.program.signal('SIGTERM');
		await absolute.program.ended;
		const relative = start(['-command=./server']);
		await relative.program.logged(/^Generation 1 is up/);
		execFileSync('rm', ['-r', relative.own]);
		const { status, stderr } = await command(['rotate', `-control=${join(folder, 'control')}`]).done;
		expect(status).toBe(1);
		expect(stderr).toContain(`the directory ${relative.own}: no such file or directory`);
	});
});

/** An installation that can be taken away: with modules of its own. */
function installWhole(folder: string, isFaulty = false) {
	if (isFaulty) installFaulty(folder);
	else install(folder, '7.7.7');
	const modules = join(folder, 'node_modules');
	execFileSync('rm', [modules]);
	mkdirSync(modules);
	for (const name of ['koffi', '@koromix', 'pino'])
		cpSync(join(root, 'node_modules', name), join(modules, name), { recursive: true });
}

describe('a package that is removed while the supervisor runs', () => {
	it.each(isRoot ? [[], ['-user=nobody']] : [[]])(
		'keeps nobody from anything but an upgrade, with %j',
		async (...user) => {
			const folder = scratch();
			const package_ = join(folder, 'package');
			installWhole(package_);
			const control = join(folder, 'control');
			const share = join(folder, 'share');
			const program = run(
				[
					...flags,
					...user,
					'-respawn=10',
					`-control=${control}`,
					`-share=${share}`,
					'-command=/bin/sleep',
					'--',
					'1000',
				],
				{ command: join(package_, 'bin/socketmaster') },
			);
			await program.logged(/^Generation 1 is up/);
			renameSync(package_, join(folder, 'gone'));
			const of = `-control=${control}`;
			expect((await command(['rotate', of]).done).status).toBe(0);
			const [, pid] = await program.logged(/^Generation 2 is up \((\d+)\)/);
			kill(Number(pid), 'SIGKILL');
			await program.logged(/will be started again/);
			await until('it is there again', () =>
				/^2 +0 +\d+ +serving/m.test(execFileSync(executable, ['status', of], { encoding: 'utf8' })),
			);
			const passed = execFileSync(
				'python3',
				[
					'-c',
					`import socket; s = socket.socket(socket.AF_UNIX); s.connect("${share}"); print(len(socket.recv_fds(s, 100, 9)[1]))`,
				],
				{ encoding: 'utf8' },
			);
			expect(passed).toBe('1\n');
			const inspector = spawn(executable, ['inspect', of, '-listen=127.0.0.1:0'], {
				stdio: ['ignore', 'pipe', 'ignore'],
				env: environment(),
			});
			const [said] = await new Promise<string[]>((resolve) =>
				inspector.stdout.once('data', (chunk) => resolve([String(chunk)])),
			);
			expect(said).toMatch(/^The inspector is at http/);
			inspector.kill();
			const upgrade = await command(['upgrade', of]).done;
			expect(upgrade.status).toBe(1);
			expect(upgrade.stderr).toMatch(/^no upgrade: the new program says: .*nothing has changed\n$/s);
			expect((await command(['stop', of]).done).status).toBe(0);
			expect((await program.ended).status).toBe(0);
		},
	);
});

describe('a terminal', () => {
	const onTerminal = (script: string) =>
		spawnSync('python3', [fixture('hangup.py'), script], { encoding: 'utf8', env: environment(), timeout: 30_000 });

	it.each([
		[
			'a supervisor',
			`${executable} -listen=tcp://127.0.0.1:0 -start=50 -verify=hold -command=sleep -- 1000`,
			['ended 0'],
		],
		// By the hangup where that comes first.
		['the inspector', `${executable} simulate -listen=127.0.0.1:0`, ['ended -1', 'ended -15']],
	])('that goes away does not make %s abort as it ends', (_, words, ends) => {
		const { stdout, stderr } = onTerminal(words);
		expect(ends, stderr).toContain(stdout.trim());
	});

	it('is left as it is by a supervisor that ends in the background', () => {
		const script = `${executable} -listen=tcp://127.0.0.1:0 -start=50 -verify=hold -command=sleep -- 0.5`;
		const { stdout } = spawnSync('python3', [fixture('background.py'), script], {
			encoding: 'utf8',
			env: environment(),
		});
		expect(stdout).toBe('echo is off\n');
	});
});

describe('a file system that does not answer', () => {
	const probe = join(tmpdir(), `socketmaster-frozen-${process.pid}`);
	writeFileSync(probe, '');
	const canFreeze = isRoot && spawnSync('python3', [fixture('frozen.py'), probe], { input: '' }).status === 0;
	rmSync(probe);
	if (!canFreeze) console.log('The frozen file system is left out: it takes root and fanotify(7).');

	/** Until the test is over. */
	async function freeze(path: string, event = 'exec') {
		const freezer = spawn('python3', [fixture('frozen.py'), path, event], { stdio: ['pipe', 'pipe', 'inherit'] });
		onTestFinished(() => void freezer.kill());
		await new Promise((resolve) => freezer.stdout.once('data', resolve));
		return () => freezer.stdin.end();
	}

	/** How long it takes until a status is answered, in milliseconds, at worst in some time. */
	async function worstAnswer(control: string): Promise<number> {
		let worst = 0;
		for (let count = 0; count < 20; count += 1) {
			const began = performance.now();
			expect((await ask(control, '/status?brief')).status).toBe(200);
			worst = Math.max(worst, performance.now() - began);
		}
		return worst;
	}

	it.runIf(canFreeze).each([['-command, as it is executed'], ['-env']])(
		'leaves the supervisor answering, and obeying: %s',
		async (what) => {
			const folder = scratch();
			const control = join(folder, 'control');
			const [server, env] = [join(folder, 'server'), join(folder, 'env')];
			cpSync('/bin/sleep', server);
			writeFileSync(env, 'A=1\n');
			const program = run([...flags, `-control=${control}`, `-env=${env}`, `-command=${server}`, '--', '1000']);
			await program.logged(/^Generation 1 is up/);
			const thaw = await (what === '-env' ? freeze(env, 'open') : freeze(server));
			program.signal('SIGHUP');
			await program.logged(/starting generation 2$/);
			expect(await worstAnswer(control)).toBeLessThan(1000);
			await program.logged(
				what === '-env'
					? /^Could not start process -env .*: its file system has not answered for 5 s$/
					: /^\d+ has not become .*\/server within 5 s; killing it$/,
			);
			await program.logged(/^Generation 2 failed: /);
			program.signal('SIGHUP');
			await program.logged(/starting generation 3$/);
			program.signal('SIGTERM');
			await program.logged(/stopping; sending SIGTERM to/);
			await program.logged(/^\d+ signal: terminated$/);
			thaw();
			expect((await program.ended).status).toBe(0);
		},
	);

	it.runIf(canFreeze)('holds up no upgrade, where it is the one of -command', async () => {
		const server = join(scratch(), 'server');
		cpSync('/bin/sleep', server);
		const program = run([...flags, `-command=${server}`, '--', '1000']);
		await program.logged(/^Generation 1 is up/);
		await freeze(server);
		program.signal('SIGHUP');
		await program.logged(/starting generation 2$/);
		program.signal('SIGUSR2');
		await program.logged(/^\d+ has not become .* within 5 s; killing it$/);
		await program.logged(/^Generation 2 failed: /);
		await program.logged(/^Upgraded/);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
	});

	it.runIf(canFreeze)('refuses an upgrade, where it is the one of -env, and changes nothing', async () => {
		const env = join(scratch(), 'env');
		writeFileSync(env, 'A=1\n');
		const program = run([...flags, `-env=${env}`, ...shell('echo A is $A; exec sleep 1000')]);
		await program.logged(/^Generation 1 is up/);
		const thaw = await freeze(env, 'open');
		program.signal('SIGHUP');
		await program.logged(/starting generation 2$/);
		program.signal('SIGUSR2');
		await program.logged(
			/^Upgrade refused: .* -env .*: its file system has not answered for 5 s; nothing has changed$/,
		);
		thaw();
		program.signal('SIGHUP');
		await program.logged(/^Generation 3 is up/);
		await program.logged(/\] A is 1$/, 2);
	});
});

/** Mounted until the test is over. @returns the pid of a process that hangs on it, and what freezes all of it */
async function deadFileSystem(folder: string) {
	const dead = spawn('python3', [fixture('deadFileSystem.py'), folder], { stdio: ['pipe', 'pipe', 'ignore'] });
	onTestFinished(async () => {
		dead.stdin.end();
		if (dead.exitCode === null) await once(dead, 'exit');
	});
	const said = createInterface({ input: dead.stdout })[Symbol.asyncIterator]();
	const { value } = await said.next();
	return {
		pid: Number(value),
		freeze: async () => {
			dead.stdin.write('freeze\n');
			await said.next();
		},
		thaw: () => dead.stdin.end(),
	};
}

describe('a process whose memory does not answer', () => {
	const hang = deadFileSystem;
	const canHang = isRoot && existsSync('/dev/fuse');
	if (!canHang) console.log('The process that hangs is left out: it takes root and /dev/fuse.');
	const slow = (folder: string) => {
		writeFileSync(join(folder, 'instructions'), 'boot 1 accept');
		return environment({ INSTRUCTIONS: join(folder, 'instructions') });
	};

	it.runIf(canHang)('holds up no rotation, no status and no stop', async () => {
		const folder = scratch();
		const control = join(folder, 'control');
		mkdirSync(join(folder, 'dead'));
		const words = ['-listen=tcp://127.0.0.1:0', '-start=20000', '-ready=accept', `-control=${control}`];
		const program = run([...words, `-command=${fixture('acceptor.py')}`], { env: slow(folder) });
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/starting generation 2$/);
		const { pid } = await hang(join(folder, 'dead'));
		expect((await ask(control, '/status?brief')).status).toBe(200);
		await program.logged(/^Generation 2 is up/);
		expect(existsSync(`/proc/${pid}`)).toBe(true);
		expect((await command(['stop', `-control=${control}`]).done).status).toBe(0);
		expect((await program.ended).status).toBe(0);
	});

	it.runIf(canHang)('holds up no start after a crash, and no command that looks for a supervisor', async () => {
		const folder = scratch();
		mkdirSync(join(folder, 'dead'));
		const words = [...flags, `-journal=${join(folder, 'journal')}`, ...shell('exec sleep 1000')];
		const first = run(words);
		await first.logged(/^Generation 1 is up/);
		const { pid } = await hang(join(folder, 'dead'));
		kill(first.pid, 'SIGKILL');
		await first.ended;
		const second = run(words);
		await second.logged(new RegExp(`^Process ${pid} did not answer: `));
		await second.logged(/^Recovered from/);
		const { status, stderr } = await command(['status', `-control=${join(folder, 'none')}`]).done;
		expect(status).toBe(3);
		expect(stderr).toMatch(/no supervisor answers/);
		const found = await command(['status'], { XDG_RUNTIME_DIR: folder, HOME: folder }).done;
		expect(found.stderr).toMatch(/answers? /);
		second.signal('SIGTERM');
		expect((await second.ended).status).toBe(0);
	});

	it.runIf(canHang)('nor does the file system of the directory that the supervisor was started in', async () => {
		const folder = scratch();
		const control = join(folder, 'control');
		const directory = join(folder, 'dead');
		mkdirSync(directory);
		const { freeze, thaw } = await hang(directory);
		const program = run([...flags, `-control=${control}`, ...shell('exec sleep 1000')], {
			cwd: directory,
			env: environment({ PWD: directory }),
		});
		await program.logged(/^Generation 1 is up/);
		await freeze();
		for (const generation of [2, 3, 4]) {
			program.signal('SIGHUP');
			await program.logged(new RegExp(`^Generation ${generation} failed: it could not be started: the directory `));
			expect((await ask(control, '/status?brief')).status).toBe(200);
		}
		program.signal('SIGTERM');
		await program.logged(/^\d+ signal: terminated$/);
		// The kernel lets no process end one of whose threads waits for an answer of FUSE.
		thaw();
		expect((await program.ended).status).toBe(0);
	});
});

describe('an upgrade', () => {
	const canFreeze = isRoot && existsSync('/dev/fuse');
	it.runIf(canFreeze)(
		'is refused while the file system of its directory does not answer, and the supervisor answers',
		async () => {
			const folder = scratch();
			const control = join(folder, 'control');
			const directory = join(folder, 'dead');
			mkdirSync(directory);
			const { freeze, thaw } = await deadFileSystem(directory);
			const program = run([...flags, `-control=${control}`, ...shell('exec sleep 1000')], {
				cwd: directory,
				env: environment({ PWD: directory }),
			});
			await program.logged(/^Generation 1 is up/);
			await freeze();
			program.signal('SIGUSR2');
			await program.logged(/^Upgrade: checking the new program$/);
			expect((await ask(control, '/status?brief')).status).toBe(200);
			await program.logged(/^Upgrade refused: .*dead: its file system has not answered for 5 s; nothing has changed$/);
			program.signal('SIGTERM');
			await program.logged(/^\d+ signal: terminated$/);
			thaw();
			expect((await program.ended).status).toBe(0);
		},
	);
});

describe('memory that may not be executed', () => {
	// vm.memfd_noexec belongs to a pid namespace.
	const asked =
		"import os, ctypes; m = ctypes.CDLL(None).memfd_create(b'', 1); os.write(m, b'#!/bin/true'); os.execv(f'/proc/self/fd/{m}', ['m'])";
	const inNamespace = (noexec: number, words: string[]) => [
		...['--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c'],
		...[`echo ${noexec} >/proc/sys/vm/memfd_noexec && exec "$@"`, 'sh', ...words],
	];
	const { stderr } = spawnSync('unshare', inNamespace(2, ['python3', '-c', asked]), { encoding: 'utf8' });
	const canForbid = /PermissionError/.test(stderr);
	if (!canForbid) console.log('Memory that may not be executed is left out: it takes root and Linux 6.3.');

	it.runIf(canForbid).each([[1], [2]])('starts children by themselves: vm.memfd_noexec=%i', async (noexec) => {
		const program = run(inNamespace(noexec, [executable, ...flags, ...shell('sleep 0.2; echo here; exit 0')]), {
			command: 'unshare',
		});
		await program.logged(/\] here$/);
		await program.logged(/^\d+ exit status 0$/);
		expect((await program.ended).status).toBe(0);
	});
});

describe('a directory that may not be looked at', () => {
	it.runIf(isRoot)('is inherited where the supervisor was started in it', async () => {
		const folder = scratch();
		const closed = join(folder, 'closed');
		const inside = join(closed, 'inside');
		mkdirSync(inside, { recursive: true });
		chmodSync(folder, 0o755);
		chmodSync(closed, 0o700);
		const program = run([...flags, ...shell('pwd -P; exec sleep 1000')], {
			cwd: inside,
			uid: 65534,
			gid: 65534,
			env: environment({ PWD: inside, XDG_RUNTIME_DIR: undefined }),
		});
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
	});

	it('is asked for where a program lies that is started with LISTEN_PID', async () => {
		const folder = scratch();
		const release = join(folder, 'release');
		mkdirSync(release);
		writeFileSync(join(release, 'server'), '#!/bin/sh\n[ $LISTEN_PID = $$ ] && echo mine\nexec sleep 1000\n', {
			mode: 0o755,
		});
		const program = run([...flags, '-systemd', `-chdir=${release}`, '-command=./server']);
		await program.logged(/\] mine$/);
		await program.logged(/^Generation 1 is up/);
		chmodSync(join(release, 'server'), 0o644);
		program.signal('SIGHUP');
		await program.logged(/^Could not start process .*permission denied$/);
		await program.logged(/^Generation 2 failed: /);
	});
});

describe('a worker that outlives its supervisor', () => {
	it('can print on without any cat in PATH', async () => {
		const folder = scratch();
		const done = join(folder, 'done');
		const node = process.execPath;
		execFileSync('ln', ['-s', node, join(folder, 'node')]);
		// More than a pipe holds.
		const script = `(trap "" TERM; while [ -e /proc/$PPID/fd/3 ] || kill -0 $PPID 2>/dev/null; do :; done; i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done; : >${done}) 3>&- & exec /bin/sleep 1000`;
		const program = run([...flags, `-journal=${join(folder, 'journal')}`, ...shell(script)], {
			env: { ...environment(), PATH: folder },
		});
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGTERM');
		await until('it has printed all', () => existsSync(done));
		await program.ended;
		expect(readFileSync(done, 'utf8')).toBe('');
	});
});
