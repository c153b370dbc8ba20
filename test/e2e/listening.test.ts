/** What a listener's URI may ask for, sockets of a manager by name, and a path that somebody removes. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
	constants,
	existsSync,
	mkdirSync,
	readFileSync,
	readlinkSync,
	renameSync,
	rmSync,
	statSync,
	writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fdsOf, until } from '../support/proc.ts';
import { executable, fixture, freePort, isRoot, kill, run, scratch } from '../support/program.ts';

const supervise = (flags: string[], script = 'trap "exit 0" HUP TERM; while :; do sleep 0.02; done') =>
	run(['-start=20', ...flags, '-verify=hold', '-command=/bin/sh', '--', '-c', script]);

/** TCP_INFO of the listening socket on fd 3: tcpi_sacked is its backlog (tcp(7)). */
const backlogOf = `python3 -c "import socket; print('backlog', int.from_bytes(socket.socket(fileno=3).getsockopt(6, 11, 104)[28:32], 'little'))"`;

/** Whether the kernel has a listening TCP socket that a process holds. */
function isListeningOn(pid: number): boolean {
	const inodes = fdsOf(pid).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
	const listening = readFileSync('/proc/net/tcp', 'utf8').matchAll(/^\s*\d+: \S+ \S+ 0A (?:\S+\s+){5}(\d+)/gm);
	return [...listening].some(([, inode]) => inodes.includes(`socket:[${inode}]`));
}

describe('?backlog=', () => {
	it.each([
		['tcp://127.0.0.1:0?backlog=7', '7'],
		['tcp4://127.0.0.1:0?backlog=0', '0'],
	])('of %s is what the kernel is told', async (uri, backlog) => {
		const program = supervise([`-listen=${uri}`], backlogOf);
		const [, told] = await program.logged(/\] backlog (\d+)$/);
		expect(told).toBe(backlog);
	});

	const usual = readFileSync('/proc/sys/net/core/somaxconn', 'utf8').trim();

	it.each([
		['changed', '?backlog=9', '9'],
		['taken away', '', usual],
	])('that is %s takes effect on a socket that is taken over after a crash', async (_, option, backlog) => {
		const journal = join(scratch(), 'journal');
		const script = 'trap "exit 0" HUP TERM; while :; do sleep 0.02; done';
		const port = await freePort();
		const first = supervise([`-listen=tcp://127.0.0.1:${port}?backlog=7`, `-journal=${journal}`], script);
		await first.logged(/^Generation 1 is up/);
		kill(first.pid, 'SIGKILL');
		await first.ended;
		const second = supervise(
			[`-listen=tcp://127.0.0.1:${port}${option}`, `-journal=${journal}`],
			`${backlogOf}; ${script}`,
		);
		await second.logged(/^Recovered from/);
		second.signal('SIGHUP');
		const [, told] = await second.logged(/\] backlog (\d+)$/);
		expect(told).toBe(backlog);
	});

	it('is told again where a child has shut the socket down', async () => {
		const shutdown = `python3 -c "import socket; socket.socket(fileno=3).shutdown(2)"`;
		const script = `trap "exit 0" HUP; test $SOCKETMASTER_CHILD = 1 && ${shutdown} || ${backlogOf}; while :; do sleep 0.02; done`;
		const program = supervise(['-listen=tcp://127.0.0.1:0?backlog=7'], script);
		await program.logged(/^Generation 1 is up/);
		await until('the socket is shut down', () => !isListeningOn(program.pid));
		program.signal('SIGHUP');
		const [, told] = await program.logged(/\] backlog (\d+)$/);
		expect(told).toBe('7');
	});
});

describe('?nonblocking', () => {
	const flags = 'echo "flags $(grep flags: /proc/self/fdinfo/3)"';
	const isNonBlocking = async (uri: string) => {
		const [, told] = await supervise([`-listen=${uri}`], flags).logged(/\] flags flags:\s+(\d+)$/);
		return (Number.parseInt(told ?? '', 8) & constants.O_NONBLOCK) !== 0;
	};

	it.each([
		['tcp://127.0.0.1:0?nonblocking', true],
		['tcp4://127.0.0.1:0?backlog=7&nonblocking=true', true],
		[`unix://${join(tmpdir(), `${process.pid}.sock`)}?nonblocking`, true],
		['tcp://127.0.0.1:0?nonblocking=false', false],
		['tcp://127.0.0.1:0', false],
	])('%s is seen by children: %s', async (uri, expected) => {
		expect(await isNonBlocking(uri)).toBe(expected);
	});

	it('has one that polls go on where another has taken the client', async () => {
		// The second accept is what a worker does that was told of the client, too.
		const greedy = `
import os, select, socket
listener = socket.socket(fileno=os.dup(3))
select.select([listener], [], [])
listener.accept()
try: listener.accept()
except BlockingIOError: print('goes on', flush=True)
`;
		const program = run([
			'-listen=tcp://127.0.0.1:0?nonblocking',
			'-start=20',
			'-verify=hold',
			'-command=python3',
			'--',
			'-c',
			greedy,
		]);
		const [, port] = await program.logged(/^Bound to .*:(\d+)$/);
		connect(Number(port), '127.0.0.1').on('error', () => {});
		await program.logged(/\] goes on$/);
	});
});

describe('a UNIX listener', () => {
	it.runIf(isRoot)('has the mode, the user and the group that its URI says', async () => {
		const path = join(scratch(), 'a.sock');
		const program = supervise([`-listen=unix://${path}?mode=0640&user=nobody&group=nogroup`]);
		await program.logged(/^Generation 1 is up/);
		const { mode, uid, gid } = statSync(path);
		expect(mode & 0o777).toBe(0o640);
		expect([uid, gid]).toEqual([65534, 65534]);
	});

	it.runIf(isRoot)('can at no moment be connected to by whom its mode keeps out', async () => {
		const folder = scratch();
		const path = join(folder, 'a.sock');
		execFileSync('chmod', ['755', folder]);
		const knock = `
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print('knocking', flush=True)
while True:
    knocker = socket.socket(socket.AF_UNIX)
    try:
        knocker.connect('${path}'); print('entered', flush=True); sys.exit(1)
    except OSError: pass
    finally: knocker.close()
`;
		const knocker = spawn('python3', ['-c', knock], { stdio: ['ignore', 'pipe', 'inherit'] });
		onTestFinished(() => void knocker.kill('SIGKILL'));
		let said = '';
		knocker.stdout.on('data', (chunk) => {
			said += chunk;
		});
		await until('it knocks', () => said.includes('knocking'));
		for (let round = 0; round < 10; round += 1) {
			const program = supervise([`-listen=unix://${path}?mode=0600`], 'exit 0');
			await program.ended;
		}
		expect(knocker.exitCode).toBeNull();
		expect(said).not.toContain('entered');
	});

	it.runIf(isRoot)('whose owner can’t be set leaves no file', () => {
		const folder = scratch();
		execFileSync('chmod', ['777', folder]);
		const path = join(folder, 'a.sock');
		const flags = [`-listen=unix://${path}?user=root`, '-command=true'];
		const words = ['--reuid=65534', '--regid=65534', '--clear-groups', executable, ...flags];
		const { status, stderr } = spawnSync('setpriv', words, { encoding: 'utf8' });
		expect(status).toBe(1);
		expect(stderr).toMatch(new RegExp(`Unable to open socket listen unix ${path}: chown: operation not permitted\n$`));
		expect(existsSync(path)).toBe(false);
	});

	it('is not said to have been removed where a start fails after it was made', () => {
		const path = join(scratch(), 'a.sock');
		const flags = [`-listen=unix://${path}`, `-control=${path}`, '-command=true'];
		const { status, stderr } = spawnSync(executable, flags, { encoding: 'utf8' });
		expect(status).toBe(1);
		expect(stderr).toMatch(/Unable to open control socket .*: address already in use\n$/);
		expect(existsSync(path)).toBe(false);
	});

	it('too long for a socket is said with its length', () => {
		const path = `/tmp/${'x'.repeat(200)}`;
		const { stderr } = spawnSync(executable, [`-listen=unix://${path}`, '-command=true'], { encoding: 'utf8' });
		expect(stderr).toMatch(/ the path has 205 bytes, and that of a socket has 107 at the most\n$/);
		expect(stderr).not.toContain('Listening on');
	});

	it('keeps the mask’s mode without any', async () => {
		const path = join(scratch(), 'a.sock');
		const program = run(
			['-c', `umask 027; exec ${executable} -start=20 -listen=unix://${path} -verify=hold -command=sleep -- 1000`],
			{ command: '/bin/sh' },
		);
		await program.logged(/^Generation 1 is up/);
		expect(statSync(path).mode & 0o777).toBe(0o750);
	});

	it('is named where a word of it means nothing: it may be mistyped', async () => {
		const program = supervise(['-listen=tcp://127.0.0.1:0?nonblock']);
		await program.logged(/^tcp:\/\/127\.0\.0\.1:0\?nonblock: nonblock means nothing, and is ignored$/);
		await program.logged(/^Generation 1 is up/);
	});

	it.each([
		['unix:///tmp/x?mode=999', 'option mode=999: an octal number up to 0777'],
		['unix:///tmp/x?mode=', 'option mode=: an octal number up to 0777'],
		['unix:///tmp/x?user=nosuch', 'unknown user nosuch'],
		['unix:///tmp/x?group=nosuch', 'unknown group nosuch'],
		[
			'unix:///tmp/x?moed=0600',
			'option moed=0600: there is no such option; backlog, nonblocking, check, mode, user and group are',
		],
		['tcp://127.0.0.1:0?mode=0600', 'option mode=0600: that is for unix:// alone'],
		['tcp://127.0.0.1:0?backlog=many', 'option backlog=many: a number up to 2147483647'],
		['tcp://127.0.0.1:0?bakclog=5', 'option bakclog=5: there is no such option; backlog, nonblocking and check are'],
		['tcp://127.0.0.1:0?nonblocking=yes', 'option nonblocking=yes: true or false'],
	])('-listen=%s is refused in a sentence', (uri, words) => {
		const { status, stderr } = spawnSync(executable, [`-listen=${uri}`, '-command=true'], { encoding: 'utf8' });
		expect(status).toBe(1);
		expect(stderr).toMatch(new RegExp(` Unable to open socket ${words.replace(/[()?.]/g, '\\$&')}\n$`));
	});
});

describe('the path of a UNIX listener that somebody removes', () => {
	it('comes back at once, is said, and clients connect again', async () => {
		const path = join(scratch(), 'a.sock');
		const program = run(['-start=300', `-listen=unix://${path}`, `-command=${fixture('server.mjs')}`]);
		await program.logged(/\] ready$/);
		await program.logged(/^Generation 1 is up/);
		for (let times = 1; times <= 2; times += 1) {
			rmSync(path);
			await program.logged(/^Somebody has removed .*a\.sock, where clients connect; it is back$/, times);
			expect(execFileSync('curl', ['-s', '--unix-socket', path, 'http://x/'], { encoding: 'utf8' })).toContain(' ');
		}
		program.signal('SIGTERM');
		await program.ended;
		expect(execFileSync('ls', ['-A', join(path, '..')], { encoding: 'utf8' })).toBe('');
	});

	it('comes back at once as often as the workers of a server remove it', async () => {
		const path = join(scratch(), 'a.sock');
		const program = run(['-start=300', `-listen=unix://${path}`, `-command=${fixture('server.mjs')}`]);
		await program.logged(/^Generation 1 is up/);
		const { ino } = statSync(path);
		let delayed = 0;
		for (let times = 1; times <= 20; times += 1) {
			const began = performance.now();
			rmSync(path);
			await until('it is back', () => statSync(path, { throwIfNoEntry: false })?.ino === ino);
			// One that waits for its turn waits for a second; a busy machine may be late now and then.
			if (performance.now() - began > 500) delayed += 1;
		}
		expect(delayed).toBeLessThan(10);
	});

	it.runIf(isRoot)('comes back also where it is another user’s, and our capabilities are few', async () => {
		const folder = scratch();
		const path = join(folder, 'a.sock');
		const journal = join(folder, 'journal');
		const start = (mode: string) =>
			run(
				[
					'--bounding-set=-all,+chown,+setuid,+setgid,+kill,+sys_ptrace,+net_bind_service',
					executable,
					'-start=20',
					`-listen=unix://${path}?user=nobody&mode=${mode}`,
					`-journal=${journal}`,
					'-verify=hold',
					'-command=sleep',
					'--',
					'1000',
				],
				{ command: 'setpriv' },
			);
		const first = start('0600');
		await first.logged(/^Generation 1 is up/);
		for (let times = 1; times <= 2; times += 1) {
			rmSync(path);
			await first.logged(/where clients connect; it is back$/, times);
			expect(statSync(path).uid).toBe(65534);
		}
		expect(first.lines().join('\n')).not.toContain('would not come back');
		kill(first.pid, 'SIGKILL');
		await first.ended;
		// Another mode is given to what is another user's already.
		const second = start('0620');
		await second.logged(/^Recovered from/);
		await until('it has the mode', () => (statSync(path).mode & 0o777) === 0o620);
		expect(statSync(path).uid).toBe(65534);
	});

	it('comes back when it was removed while there was no supervisor', async () => {
		const folder = scratch();
		const path = join(folder, 'a.sock');
		const flags = [`-listen=unix://${path}?mode=0600`, `-journal=${join(folder, 'journal')}`];
		const first = supervise(flags);
		await first.logged(/^Generation 1 is up/);
		kill(first.pid, 'SIGKILL');
		await first.ended;
		rmSync(path);
		const second = supervise(flags);
		await second.logged(/it is back$/);
		expect(existsSync(path)).toBe(true);
	});

	it('comes back after an upgrade too', async () => {
		const path = join(scratch(), 'a.sock');
		const program = supervise([`-listen=unix://${path}`]);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGUSR2');
		await program.logged(/^Upgraded/);
		rmSync(path);
		await program.logged(/it is back$/);
	});

	it('comes back where it leads then when a deploy moves a link in it, and the old release is removed', async () => {
		const folder = scratch();
		for (const name of ['one', 'two', 'three']) mkdirSync(join(folder, name));
		const link = (name: string) => execFileSync('ln', ['-sfn', name, join(folder, 'current')]);
		link('one');
		const of = (name: string) => join(folder, 'current', name);
		const program = run([
			'-start=300',
			`-listen=unix://${of('a.sock')}?mode=0660`,
			`-control=${of('control')}`,
			`-share=${of('share')}`,
			`-command=${fixture('server.mjs')}`,
		]);
		await program.logged(/\] ready$/);
		await program.logged(/^Generation 1 is up/);
		for (const [index, name] of ['two', 'three', 'one'].entries()) {
			const old = readlinkSync(join(folder, 'current'));
			link(name);
			await program.logged(
				new RegExp(`a\\.sock, where clients connect, leads to ${folder}/${name} now; it is there, too$`),
			);
			await until('all are there', () => ['a.sock', 'control', 'share'].every((each) => existsSync(of(each))));
			expect(execFileSync('curl', ['-s', '--unix-socket', of('a.sock'), 'http://x/'], { encoding: 'utf8' })).toContain(
				' ',
			);
			expect(statSync(of('a.sock')).mode & 0o777).toBe(0o660);
			const status = spawnSync(executable, ['status', `-control=${of('control')}`], { encoding: 'utf8' });
			expect(status.status).toBe(0);
			expect(execFileSync('ls', ['-A', join(folder, old)], { encoding: 'utf8' })).toBe('');
			if (index === 1) execFileSync('rm', ['-r', join(folder, old)]);
		}
		// A link that leads nowhere for a while.
		execFileSync('ln', ['-sfn', 'nowhere', join(folder, 'current')]);
		await program.logged(/a\.sock, where clients connect, is gone, and can't come back now: its folder is not there$/);
		link('three');
		await until('it is back', () => existsSync(of('a.sock')));
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
		expect(execFileSync('find', [folder, '-type', 's'], { encoding: 'utf8' })).toBe('');
	});

	it('is said to be gone for good where its folder was replaced by another one', async () => {
		const folder = join(scratch(), 'run');
		mkdirSync(folder);
		const program = run([`-listen=unix://${folder}/a.sock`, '-start=50', `-command=${fixture('server.mjs')}`]);
		await program.logged(/^Generation 1 is up/);
		renameSync(folder, `${folder}.old`);
		await program.logged(/is gone, and can't come back now: its folder is not there$/);
		mkdirSync(folder);
		await program.logged(/can't come back now: its second name is gone, too; a stop and a start bring it back$/);
	});

	it.runIf(isRoot)('comes back where it leads then also where it can’t be removed from the old release', async () => {
		const folder = scratch();
		for (const name of ['one', 'two', 'three']) mkdirSync(join(folder, name));
		execFileSync('sh', ['-c', `chmod 755 ${folder}; chown nobody ${folder}/*`]);
		const link = (name: string) => execFileSync('ln', ['-sfn', name, join(folder, 'current')]);
		link('one');
		const words = ['--reuid=65534', '--regid=65534', '--clear-groups', executable, '-start=50', '-verify=hold'];
		const listen = `-listen=unix://${join(folder, 'current/a.sock')}`;
		const program = run([...words, listen, '-command=sleep', '--', '1000'], { command: 'setpriv' });
		await program.logged(/^Generation 1 is up/);
		for (const name of ['two', 'three']) {
			execFileSync('chmod', ['555', readlinkSync(join(folder, 'current'))], { cwd: folder });
			link(name);
			await program.logged(new RegExp(`leads to ${folder}/${name} now; it is there, too$`));
		}
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
		expect(program.stderr()).not.toContain('Internal error');
	});

	it('stays as it is where somebody has put something else there, which is said once and left at the end', async () => {
		const path = join(scratch(), 'a.sock');
		const program = supervise([`-listen=unix://${path}`]);
		await program.logged(/^Generation 1 is up/);
		writeFileSync(`${path}.other`, 'x');
		execFileSync('mv', [`${path}.other`, path]);
		await program.logged(/^Somebody has put something else at .*a\.sock: nobody can connect there any more$/);
		program.signal('SIGTERM');
		await program.ended;
		expect(existsSync(path)).toBe(true);
	});
});

describe('a socket that a manager kept for us', () => {
	it('is taken back with the options of its URI', async () => {
		const path = join(scratch(), 'a.sock');
		const script = `
import os, socket, sys
kept = socket.socket(socket.AF_UNIX)
kept.bind('${path}')
kept.listen()
os.dup2(kept.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='socketmaster-0')
os.execv(sys.argv[1], sys.argv[1:])
`;
		const flags = [
			'-start=20',
			`-listen=unix://${path}?mode=0660&backlog=5`,
			'-verify=hold',
			'-command=sleep',
			'--',
			'1000',
		];
		const program = run(['-c', script, executable, ...flags], { command: 'python3' });
		await program.logged(/^Generation 1 is up/);
	});
});

describe('several listeners on port 0', () => {
	it('keep each its own, through an upgrade and a kill', async () => {
		const journal = join(scratch(), 'journal');
		const inodes = 'for fd in 3 4 5; do readlink /proc/self/fd/$fd; done | tr "\\n" " "; echo';
		const script = `${inodes}; trap "exit 0" HUP TERM; while :; do sleep 0.02; done`;
		const flags = [...Array(3).fill('-listen=tcp://127.0.0.1:0'), `-journal=${journal}`];
		const first = supervise(flags, script);
		const [, before] = await first.logged(/\] (socket:.*)$/);
		await first.logged(/^Generation 1 is up/);
		first.signal('SIGUSR2');
		await first.logged(/^Upgraded/);
		first.signal('SIGHUP');
		expect((await first.logged(/\] (socket:.*)$/, 2))[1]).toBe(before);
		await first.logged(/^Generation 2 is up/);
		kill(first.pid, 'SIGKILL');
		await first.ended;
		const second = supervise(flags, script);
		await second.logged(/^Recovered from/);
		second.signal('SIGHUP');
		expect((await second.logged(/\] (socket:.*)$/))[1]).toBe(before);
	});
});

/** Opens three listening sockets, and becomes socketmaster with them as a manager's. */
const manager = `
import os, socket, sys
sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(3)]
for number, each in enumerate(sockets):
    os.dup2(each.fileno(), 20 + number)
for number, each in enumerate(sockets):
    print('port', each.getsockname()[1], file=sys.stderr, flush=True)
for number in range(3):
    os.dup2(20 + number, 3 + number)
    os.set_inheritable(3 + number, True)
os.closerange(6, 64)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='3', LISTEN_FDNAMES='web:admin:web')
os.execv(sys.argv[1], sys.argv[1:])
`;

describe('fd://NAME', () => {
	const under = (...flags: string[]) =>
		run(['-c', manager, executable, '-start=20', ...flags, `-command=${fixture('tell.py')}`], { command: 'python3' });

	it('is the socket of a manager that has this name, and each further one of the same name the next', async () => {
		const program = under('-listen=fd://admin', '-listen=fd://web', '-listen=fd://web');
		const ports = await Promise.all(
			[1, 2, 3].map((nth) => program.logged(/^port (\d+)$/, nth).then((match) => match[1])),
		);
		const [, json = ''] = await program.logged(/\] (\{"pid".*)$/);
		expect(JSON.parse(json).variables).toMatchObject({
			LISTEN_FDNAMES: 'admin:web:web',
			SERVER_STARTER_PORT: `127.0.0.1:${ports[1]}=3;127.0.0.1:${ports[0]}=4;127.0.0.1:${ports[2]}=5`,
		});
	});

	it('that nobody passed is refused, and what there is is said', async () => {
		const program = under('-listen=fd://nosuch');
		expect((await program.ended).status).toBe(1);
		expect(program.lines().at(-1)).toBe(
			'Unable to open socket fd nosuch: no listening socket of that name in LISTEN_FDNAMES; there is web and admin',
		);
	});
});

it.each(['tcp', 'unix'])('an address that is in use is told with who holds it: %s', async (scheme) => {
	const place = scheme === 'tcp' ? `127.0.0.1:${await freePort()}` : join(scratch(), 'own.sock');
	const uri = `-listen=${scheme}://${place}`;
	const first = run([uri, '-start=50', '-verify=hold', '-command=/bin/sleep', '--', '1000']);
	await first.logged(/^Generation 1 is up/);
	const second = run([uri, '-start=50', '-command=/bin/sleep', '--', '1000']);
	const { status } = await second.ended;
	expect(status).toBe(1);
	const [holders, why] = second.lines().slice(-2);
	expect(holders).toMatch(new RegExp(`^${place} is held by .*${first.pid} \\(`));
	expect(why).toBe(`Unable to open socket listen ${scheme} ${place}: bind: address already in use`);
});
