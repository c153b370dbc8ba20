/** The running program, as the one who operates it sees it. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { childrenOf, filesAtRest, until, untilBlocked, untilChildren } from '../support/proc.ts';
import { environment, executable, fixture, isRoot, kill, type Program, run, scratch } from '../support/program.ts';

const quick = ['-listen=tcp://127.0.0.1:0', '-start=50'];

/** Runs a shell script as the child. */
function sh(script: string, flags: string[] = [], options = {}): Program {
	return run([...quick, ...flags, '-verify=hold', '-command=/bin/sh', '--', '-c', script], options);
}

const output = (program: Program) => program.lines().flatMap((line) => line.match(/^\[\d+\] ([^\n]*)$/)?.[1] ?? []);
describe('a child', () => {
	it('has the listener on fd 3, blocking, one pipe on 1 and 2, and no stray', async () => {
		const program = sh('grep flags /proc/self/fdinfo/3; exec ls -l /proc/self/fd');
		await program.ended;
		const [flags = '', ...lines] = output(program);
		expect(Number.parseInt(flags.split('\t')[1] ?? '', 8) & 0o4000).toBe(0);
		const fds = lines.flatMap(
			(line) =>
				line
					.match(/(\d+) -> (?!\/proc)(.*)$/)
					?.slice(1)
					.join(' ') ?? [],
		);
		expect(fds.map((line) => line.replace(/\d+\]/, ''))).toEqual(['0 /dev/null', '1 pipe:[', '2 pipe:[', '3 socket:[']);
		expect(fds[1]?.slice(2)).toBe(fds[2]?.slice(2));
	});

	it('has every listener in the order of the flags', async () => {
		const path = join(scratch(), 'b.sock');
		const program = sh('echo "$EINHORN_FDS"; readlink /proc/self/fd/3 /proc/self/fd/4', [`-listen=unix://${path}`]);
		await program.ended;
		expect(output(program)[0]).toBe('3 4');
		expect(output(program).slice(1)).toEqual([expect.stringMatching(/^socket:/), expect.stringMatching(/^socket:/)]);
		expect(program.lines().slice(0, 3)).toEqual([
			'Listening on tcp://127.0.0.1:0',
			expect.stringMatching(/^Bound to/),
			`Listening on unix://${path}`,
		]);
		expect(existsSync(path)).toBe(false);
	});

	it('has the supervisor’s environment and EINHORN_FDS', async () => {
		const program = sh('echo "$EINHORN_FDS $OWN"', [], { env: environment({ OWN: 'mine', EINHORN_FDS: 'old' }) });
		await program.ended;
		expect(output(program)).toEqual(['3 mine']);
	});

	it('follows a link in the directory anew at each rotation', async () => {
		const folder = scratch();
		execFileSync('sh', ['-c', 'mkdir one two && ln -s one current'], { cwd: folder });
		const current = join(folder, 'current');
		const program = sh('pwd -P; exec sleep 60', [], { cwd: current, env: environment({ PWD: current }) });
		await program.logged(/one$/);
		await program.logged(/^Generation 1 is up/);
		execFileSync('sh', ['-c', 'ln -sfn two current'], { cwd: folder });
		program.signal('SIGHUP');
		await program.logged(/two$/);
	});

	it.runIf(isRoot)('of another user can do nothing to the supervisor', async () => {
		const program = sh(
			'id -un; kill -0 $PPID 2>/dev/null || echo no signal; cat /etc/shadow 2>/dev/null || echo no secret',
			['-user=nobody'],
		);
		await program.ended;
		expect(output(program)).toEqual(['nobody', 'no signal', 'no secret']);
	});
});

describe('an argument of the program that looks like a flag', () => {
	const start = (...rest: string[]) => run([...quick, '-verify=hold', '-command=/bin/echo', ...rest]);
	const named = (program: Program) => program.lines().filter((line) => /comes after the first argument/.test(line));

	it.each(['-listen=tcp://:81', '--workers', '-user'])('is named once: %s', async (word) => {
		const program = start('hello', word, '-json');
		await program.logged(new RegExp(`^\\[\\d+\\] hello ${word} -json$`));
		await program.ended;
		expect(named(program)).toEqual([
			`${word} comes after the first argument of the program, so it is an argument too, and no flag of socketmaster: flags come before the arguments (a -- before the arguments says that this is meant)`,
		]);
	});

	it.each([
		['behind --', ['--', 'hello', '-listen=tcp://:81']],
		['that is no flag of socketmaster', ['hello', '--port=81', '-', '-=', 'listen=1']],
	])('is not named %s', async (_, args) => {
		const program = start(...args);
		await program.logged(/^\[\d+\] hello/);
		await program.ended;
		expect(named(program)).toEqual([]);
	});
});

describe('a start', () => {
	it('that fails at the second listener leaves nothing of the first behind', async () => {
		const path = join(scratch(), 'a.sock');
		const program = run([`-listen=unix://${path}`, `-listen=unix://${path}`, '-command=/bin/true']);
		expect((await program.ended).status).toBe(1);
		expect(program.lines().at(-1)).toBe(`Unable to open socket listen unix ${path}: bind: address already in use`);
		expect(existsSync(path)).toBe(false);
	});

	it('in a directory that has been removed is a start, and so are a rotation and an upgrade', async () => {
		const folder = join(scratch(), 'gone');
		const script = `mkdir ${folder} && cd ${folder} && rmdir ${folder} && exec ${executable} ${quick.join(' ')} -verify=hold -command=/bin/sh -- -c 'echo up; exec sleep 60'`;
		const program = run(['-c', script], { command: '/bin/sh' });
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
		program.signal('SIGUSR2');
		await program.logged(/^Upgraded to version/);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
	});

	it('with stdin and stderr closed is a start', async () => {
		const folder = scratch();
		const program = run(
			[
				'-c',
				`exec ${executable} ${quick.join(' ')} -verify=hold -command=/bin/sh -- -c 'echo up > ${folder}/up' 0<&- 2>&-`,
			],
			{ command: '/bin/sh' },
		);
		expect((await program.ended).status).toBe(0);
		expect(readFileSync(join(folder, 'up'), 'utf8')).toBe('up\n');
	});
});

describe('signals', () => {
	it.each([
		['SIGTERM', 'TERM'],
		['SIGINT', 'INT'],
	] as const)('%s goes on to the child, and the supervisor ends with 0 when the child has', async (signal, name) => {
		const program = sh(`trap "echo got ${name}; exit 7" ${name}; echo up; while :; do sleep 0.02; done`);
		await program.logged(/up$/);
		program.signal(signal);
		const { status } = await program.ended;
		expect(output(program)).toEqual(['up', `got ${name}`]);
		expect(program.lines().at(-1)).toMatch(/^\d+ exit status 7$/);
		expect(status).toBe(0);
	});

	it('SIGQUIT goes on to the child, whose status becomes the supervisor’s', async () => {
		const program = sh('trap "exit 9" QUIT; echo up; while :; do sleep 0.02; done');
		await program.logged(/up$/);
		program.signal('SIGQUIT');
		expect((await program.ended).status).toBe(9);
	});

	it('SIGTERM during a rotation reaches both generations at once', async () => {
		const program = sh('trap "exit 0" TERM; echo up; while :; do sleep 0.02; done', ['-start=2000']);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/up$/, 2);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
		expect(program.lines().filter((line) => /exit status 0$/.test(line))).toHaveLength(2);
		expect(program.stderr()).not.toContain('Generation 2 is up');
	});

	it('SIGHUP after SIGTERM is refused in words', async () => {
		const program = sh('trap "" TERM; echo up; while :; do sleep 0.02; done', ['-kill=700']);
		await program.logged(/up$/);
		program.signal('SIGTERM');
		await program.logged(/^SIGTERM: stopping/);
		program.signal('SIGHUP');
		await program.logged(/^SIGHUP refused: already stopping$/);
		expect((await program.ended).status).toBe(0);
		expect(program.stderr()).toMatch(
			/\d+ is still alive 700 ms after it was told to leave; killing it\n.*signal: killed\n$/,
		);
	});

	it('-signal names what an old child is told to leave with', async () => {
		const program = sh('trap "echo got USR1; exit 0" USR1; echo up; while :; do sleep 0.02; done', ['-signal=USR1']);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/got USR1$/);
		await program.logged(/exit status 0$/);
	});

	it('-kill ends an old child that does not leave after a rotation', async () => {
		const program = sh('trap "" HUP; echo up; while :; do sleep 0.02; done', ['-kill=300']);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/signal: killed$/);
		expect(program.lines()).toContainEqual(expect.stringMatching(/still alive 300 ms after/));
	});

	it('Ctrl-C on a terminal reaches the child once', () => {
		const script = `${executable} ${quick.join(' ')} -verify=hold -command=/bin/sh -- -c 'trap "echo INT; sleep 0.3; exit 0" INT; echo up; while :; do sleep 0.02; done'`;
		const { stdout } = spawnSync('python3', [fixture('terminal.py'), script], { encoding: 'utf8', env: environment() });
		expect(stdout.match(/\] INT/g)).toHaveLength(1);
		expect(stdout).toMatch(/exit status 0/);
	});
});

describe('the exit status', () => {
	it.each([
		['exit 0', 0],
		['exit 42', 42],
		['kill -KILL $$', 137],
		['kill -SEGV $$', 139],
	])('of a child that ends by %s is %i', async (script, status) => {
		expect((await sh(script).ended).status).toBe(status);
	});
});

describe('what children print', () => {
	it('arrives when a child prints one line and exits at once', async () => {
		for (let time = 0; time < 10; time += 1) {
			const program = run([...quick, '-command=/usr/bin/id']);
			await program.ended;
			expect(output(program)).toEqual([expect.stringMatching(/^uid=/)]);
		}
	});

	it('arrives to the last of 1,000,000 lines', async () => {
		const file = join(scratch(), 'log');
		const fd = openSync(file, 'w');
		const program = run([...quick, `-command=${fixture('lines.mjs')}`, '1000000'], { stdio: ['ignore', 'ignore', fd] });
		closeSync(fd);
		expect((await program.ended).status).toBe(0);
		const got = createHash('sha256');
		let count = 0;
		for (const line of readFileSync(file, 'latin1').split('\n')) {
			const text = line.match(/\] (\.+\d+)$/)?.[1];
			if (text === undefined) continue;
			count += 1;
			got.update(text);
		}
		const wanted = createHash('sha256');
		for (let line = 1; line <= 1_000_000; line += 1) wanted.update(String(line).padStart(99, '.'));
		expect(count).toBe(1_000_000);
		expect(got.digest('hex')).toBe(wanted.digest('hex'));
	});

	it('arrives byte for byte, stdout and stderr alike, an unfinished line with a newline', async () => {
		const program = sh(String.raw`printf 'a\377\200z\r\n\n'; printf 'err\n' >&2; printf 'no end'`);
		await program.ended;
		expect(output(program)).toEqual(['a\xff\x80z\r', '', 'err', 'no end']);
	});

	it('is passed on in pieces where a line is longer than 64 KiB', async () => {
		const program = sh('head -c 200000 /dev/zero | tr "\\0" x; echo; echo next');
		await program.ended;
		const pieces = output(program);
		expect(pieces.slice(0, -1).join('')).toBe('x'.repeat(200_000));
		expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThanOrEqual(2 * 65536);
		expect(pieces.at(-1)).toBe('next');
	});

	it.each([[], ['-json']])('is parted between characters, wherever the piece ends, with %j', async (...flags) => {
		// Characters of three bytes, and one in the line that says what is started.
		const print = `import sys; [sys.stdout.write("x" * pad + "€" * 300000 + "\\n") for pad in range(3)]`;
		const program = sh(`PYTHONIOENCODING=utf-8 python3 -c '${print}'`, flags);
		await program.ended;
		const text = Buffer.from(program.stderr(), 'latin1').toString('utf8');
		expect(text).not.toContain('\ufffd');
		expect(text.match(/€/g)).toHaveLength(900_001);
	});

	it('of a grandchild that outlives the child arrives too', async () => {
		const program = sh('(sleep 0.3; echo late) & trap "wait; exit 0" TERM; echo up; wait; echo waited');
		await program.logged(/\] waited$/);
		expect(output(program)).toEqual(['up', 'late', 'waited']);
	});

	it('is JSON with -json, of the supervisor and of the child', async () => {
		const program = sh('echo "quo\\"ted ü"', ['-json']);
		await program.ended;
		const lines = program
			.stderr()
			.trim()
			.split('\n')
			.map((line) => JSON.parse(Buffer.from(line, 'latin1').toString('utf8')));
		expect(lines.find((line) => line.child)).toMatchObject({
			level: 30,
			pid: program.pid,
			generation: 1,
			msg: 'quo"ted ü',
			time: expect.any(Number),
		});
		expect(lines.at(-1)).toMatchObject({ level: 30, msg: expect.stringMatching(/exit status 0$/) });
	});
});

describe('a log that nobody reads', () => {
	it('stops the children, not the supervisor; when it is read again nothing is missing', async () => {
		const program = run([...quick, '-signal=WINCH', `-command=${fixture('lines.mjs')}`, '30000'], {
			stdio: ['ignore', 'pipe', 'pipe'],
		});
		await program.logged(/^Starting/);
		program.process.stderr?.pause();
		await untilChildren(program.pid, 1);
		const child = childrenOf(program.pid)[0] ?? 0;
		await untilBlocked(child);
		program.signal('SIGHUP');
		await untilChildren(program.pid, 2);
		program.process.stderr?.resume();
		await program.logged(/\.30000$/, 2);
		expect((await program.ended).status).toBe(0);
		const lines = output(program);
		expect(lines.length).toBe(60_000);
	});

	it('does not stop SIGTERM, and fails on in the end', async () => {
		const program = run([...quick, `-command=${fixture('lines.mjs')}`, '3000000'], {
			stdio: ['ignore', 'pipe', 'pipe'],
		});
		await program.logged(/^Starting/);
		program.process.stderr?.pause();
		await untilChildren(program.pid, 1);
		await untilBlocked(childrenOf(program.pid)[0] ?? 0);
		program.signal('SIGTERM');
		await once(program.process, 'exit');
		expect(program.process.exitCode).toBe(0);
		program.process.stderr?.resume();
	});

	it('that is closed does not end the supervisor', async () => {
		const program = sh('trap "exit 0" TERM; while echo again; do sleep 0.02; done', [], {
			stdio: ['ignore', 'pipe', 'pipe'],
		});
		await program.logged(/again$/);
		program.process.stderr?.destroy();
		await untilChildren(program.pid, 1);
		program.signal('SIGHUP');
		await untilChildren(program.pid, 2);
		program.signal('SIGTERM');
		await once(program.process, 'exit');
		expect(program.process.exitCode).toBe(0);
	});
});

describe('when the machine is out of something', () => {
	it.each([18, 19, 20, 21, 22, 23, 24, 25].flatMap((count) => [`${count}`, `${count} and a journal`]))(
		'from the start, fds (%s): one sentence, and nothing is left behind',
		(limit) => {
			const folder = scratch();
			const journal = limit.includes('journal') ? [`-journal=${folder}/journal`] : ['-journal='];
			const words = ['-listen=tcp://127.0.0.1:0', '-start=50', '-verify=hold', ...journal, '-command=/bin/true'];
			const script = `ulimit -n ${Number.parseInt(limit, 10)}; exec "$@"`;
			const { status, stderr } = spawnSync('sh', ['-c', script, 'sh', executable, ...words], {
				encoding: 'utf8',
				env: environment({ RUNTIME_DIRECTORY: folder }),
			});
			expect(stderr).not.toMatch(/Internal error|at .*\.[jt]s:/);
			if (status !== 0) expect(stderr).toMatch(/too many open files|exit status/);
			expect(readdirSync(folder).filter((name) => name.startsWith('socketmaster-'))).toEqual([]);
		},
	);

	it('fds: the rotation fails, the old child serves on, the next SIGHUP works, nothing leaks', async () => {
		const program = sh('trap "exit 0" HUP TERM; echo up; while :; do sleep 0.02; done');
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/exit status 0$/);
		const before = await filesAtRest(program.pid);
		const limit = (count: string) => execFileSync('prlimit', ['--pid', String(program.pid), `--nofile=${count}:`]);
		const used = readdirSync(`/proc/${program.pid}/fd`).map(Number);
		limit(String(used.sort((a, b) => a - b).findIndex((fd, place) => fd !== place)));
		program.signal('SIGHUP');
		await program.logged(/^Could not start process pipe2: too many open files$/);
		await program.logged(/^Generation 3 failed: .*; generation 2 keeps serving$/);
		limit('1024');
		expect(await filesAtRest(program.pid)).toEqual(before);
		program.signal('SIGHUP');
		await program.logged(/^Generation 4 is up/);
		await program.logged(/exit status 0$/, 2);
		expect(await filesAtRest(program.pid)).toEqual(before);
	});

	it.runIf(isRoot)('processes: the same', async () => {
		const program = sh('trap "exit 0" HUP TERM; echo up; while :; do sleep 0.02; done', ['-user=nobody']);
		await program.logged(/^Generation 1 is up/);
		const limit = (count: string) => execFileSync('prlimit', ['--pid', String(program.pid), `--nproc=${count}:`]);
		const before = await filesAtRest(program.pid);
		limit('0');
		program.signal('SIGHUP');
		await program.logged(/^Could not start process fork\/exec \/bin\/sh: resource temporarily unavailable$/);
		await program.logged(/failed: .*; generation 1 keeps serving$/);
		expect(await filesAtRest(program.pid)).toEqual(before);
		limit('1000');
		program.signal('SIGHUP');
		await program.logged(/^Generation 3 is up/);
	});

	it('the program is gone: the same', async () => {
		const path = join(scratch(), 'server');
		writeFileSync(path, '#!/bin/sh\necho up; exec sleep 60\n', { mode: 0o755 });
		const program = run([...quick, '-verify=hold', `-command=${path}`]);
		await program.logged(/^Generation 1 is up/);
		execFileSync('mv', [path, `${path}.old`]);
		program.signal('SIGHUP');
		await program.logged(/^Could not start process fork\/exec .*: no such file or directory$/);
		await program.logged(/^Generation 2 failed: .*; generation 1 keeps serving$/);
		execFileSync('mv', [`${path}.old`, path]);
		program.signal('SIGHUP');
		await program.logged(/^Generation 3 is up/);
	});
});

describe('100 rotations', () => {
	it('leave no fd and no zombie behind', async () => {
		const program = sh('trap "exit 0" HUP TERM; while :; do sleep 0.02; done', ['-start=0']);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/exit status 0$|signal: hangup$/);
		const before = await filesAtRest(program.pid);
		for (let count = 2; count <= 100; count += 1) {
			program.signal('SIGHUP');
			await program.logged(/exit status 0$|signal: hangup$/, count);
		}
		expect(await filesAtRest(program.pid)).toEqual(before);
		expect(childrenOf(program.pid)).toHaveLength(1);
	});
});

describe('as PID 1', () => {
	it.runIf(isRoot)('it reaps orphans without a word and stops on SIGTERM', async () => {
		const orphan = '(sleep 0.2 & echo orphaned) ; trap "exit 0" TERM; while :; do sleep 0.02; done';
		const program = run(
			['--pid', '--fork', '--mount-proc', executable, ...quick, '-verify=hold', '-command=/bin/sh', '--', '-c', orphan],
			{
				command: 'unshare',
			},
		);
		await program.logged(/^Generation 1 is up/);
		const [first] = program.stderr().match(/^socketmaster\[1\]/) ?? [];
		expect(first).toBe('socketmaster[1]');
		const [supervisor = 0] = childrenOf(program.pid);
		await until('the orphan was reaped', () => childrenOf(supervisor).length === 1);
		kill(supervisor, 'SIGTERM');
		await program.ended;
		expect(program.lines().filter((line) => /exit status/.test(line))).toHaveLength(1);
	});
});

describe('-syslog', () => {
	it.runIf(isRoot)(
		'sends every line, survives a stalled and a restarted daemon, and says nothing on stderr',
		async () => {
			// A /dev of the test's own: the machine's /dev/log is somebody else's.
			const holder = spawn('unshare', ['--mount', fixture('own-dev.sh'), 'sleep', '1000'], {
				stdio: ['ignore', 'pipe', 'inherit'],
			});
			onTestFinished(() => void holder.kill('SIGKILL'));
			await once(holder.stdout, 'data');
			const inside = ['--mount', `--target=${holder.pid}`, '--wd=/'];
			const log = join(scratch(), 'syslog');
			const startDaemon = async () => {
				const daemon = spawn('nsenter', [...inside, 'python3', fixture('syslogd.py'), log], {
					stdio: ['ignore', 'pipe', 'inherit'],
				});
				await once(daemon.stdout, 'data');
				return daemon;
			};
			let daemon = await startDaemon();
			const count = 3000;
			const args = [
				...quick,
				'-syslog',
				'-verify=hold',
				'-command=/bin/sh',
				'--',
				'-c',
				`trap "exit 0" TERM; for i in $(seq ${count}); do echo line $i; done; while :; do sleep 0.02; done`,
			];
			const program = run([...inside, executable, ...args], { command: 'nsenter' });
			const logged = () => (existsSync(log) ? readFileSync(log, 'utf8') : '');
			const isComplete = (generation: number) =>
				(logged().match(/\[\d+\] line \d+$/gm) ?? []).length === count * generation;
			await until('the first line', () => logged().includes('line 1\n'));

			daemon.kill('SIGSTOP');
			program.signal('SIGHUP');
			await untilChildren(program.pid, 2);
			daemon.kill('SIGCONT');
			await until('what was stalled', () => logged().includes('Generation 2 is up'));
			// What a daemon has not read when it is killed is lost with it.
			await until('all of it', () => isComplete(2));

			daemon.kill('SIGKILL');
			await once(daemon, 'exit');
			program.signal('SIGHUP');
			await untilChildren(program.pid, 2);
			daemon = await startDaemon();
			onTestFinished(() => {
				daemon.kill('SIGKILL');
			});
			await until('what came in between', () => logged().includes('Generation 3 is up'));
			program.signal('SIGTERM');
			expect(await program.ended).toMatchObject({ status: 0, stderr: '' });
			await until('the last word', () => /exit status 0\n$/.test(logged()));
			const lines = logged().match(/\[\d+\] line \d+$/gm) ?? [];
			expect(new Set(lines).size).toBe(count * 3);
			expect(logged()).toMatch(/^<30>.* socketmaster\[\d+\]: Listening on/);
		},
	);
});
