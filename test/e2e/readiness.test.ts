/** A new version serves only when it has said, or shown, that it can. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { childrenOf, fdsOf, filesOf, until } from '../support/proc.ts';
import { environment, executable, fixture, isRoot, kill, type Program, run, scratch } from '../support/program.ts';

const forever = 'while :; do sleep 0.02; done';
const polite = 'trap "exit 0" HUP TERM;';
const say = `python3 ${fixture('say.py')}`;
const ack = `python3 ${fixture('ack.py')}`;
const ackLine = '{"command":"worker:ack","pid":PID}\\n';

/** A child that is a shell script, after which it waits to be told to leave. @param wait of -start, longer than any test */
function supervise(script: string, flags: string[] = ['-ready=notify'], wait = 60_000): Program {
	return run([
		'-listen=tcp://127.0.0.1:0',
		`-start=${wait}`,
		...flags,
		'-verify=hold',
		'-command=/bin/sh',
		'--',
		'-c',
		`${polite} ${script}; ${forever}`,
	]);
}

/** How often its main thread was put on a processor. */
const switchesOf = (pid: number) =>
	[...readFileSync(`/proc/${pid}/status`, 'utf8').matchAll(/ctxt_switches:\s+(\d+)/g)].reduce(
		(sum, [, n]) => sum + Number(n),
		0,
	);

/** What a file says makes the child of a later generation go on: `go` in the script. */
function gate() {
	const path = join(scratch(), 'go');
	return { path, go: `while [ ! -e ${path} ]; do sleep 0.01; done`, open: () => writeFileSync(path, '') };
}

describe('a child that says READY=1', () => {
	it.each(['notify', 'wait'])('is up at once with -ready=%s, and the old one is told to leave', async (ready) => {
		const program = supervise(`${say} READY=1`, [`-ready=${ready}`]);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up .*; sending SIGHUP to /);
		await program.logged(/exit status 0$/);
	});

	it('is not up before, however long it lives', async () => {
		const { go, open } = gate();
		const program = supervise(`echo here; ${go}; ${say} READY=1; echo said`);
		await program.logged(/\] here$/);
		expect(program.lines().join('\n')).not.toMatch(/is up/);
		open();
		await program.logged(/^Generation 1 is up/);
	});

	it('may say it by systemd-notify, which waits for its barrier and returns at once', async () => {
		const program = supervise('systemd-notify --ready --status="all is well" && echo returned');
		await program.logged(/^Generation 1 is up/);
		await program.logged(/\] returned$/);
	});

	it('may say it among other words, and by a process that is descended from it, in a session of its own', async () => {
		const program = supervise(`setsid ${say} STATUS=well WATCHDOG=1 MAINPID=1 STOPPING=1 READY=1 X_OTHER=2`);
		await program.logged(/^Generation 1 is up/);
	});

	it('may end what it says with a NUL, as C’s sizeof counts it; with another one it is no text', async () => {
		const send = (text: string) =>
			`python3 -c 'import os, socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"${text}", os.environ["NOTIFY_SOCKET"])'`;
		const { go, open } = gate();
		const program = supervise(
			`${send('READY=1\\0\\0')}; ${send('READY=1\\0\\nX=1')}; echo wrong; ${go}; ${send('STATUS=well\\nREADY=1\\0')}`,
		);
		await program.logged(/\] wrong$/);
		expect(program.lines().join('\n')).not.toMatch(/is up/);
		open();
		await program.logged(/^Generation 1 is up/);
	});

	it('is heard where TMPDIR is too long for a socket’s path', async () => {
		const folder = join(scratch(), 'x'.repeat(100));
		mkdirSync(folder);
		const flags = ['-listen=tcp://127.0.0.1:0', '-ready=notify', '-verify=hold', '-command=/bin/sh', '--'];
		const words = ['--reuid=65534', '--regid=65534', '--clear-groups', executable, ...flags];
		const env = { ...environment(), TMPDIR: folder, XDG_RUNTIME_DIR: undefined };
		const args = ['-c', `${say} READY=1; exec sleep 1000`];
		const program = isRoot ? run([...words, ...args], { command: 'setpriv', env }) : run([...flags, ...args], { env });
		await program.logged(/^Generation 1 is up/);
	});

	it('by a process that has ended is ignored, and that is why it was late', async () => {
		const program = supervise(`(setsid ${say} --alone=1 READY=1 &); exec sleep 1000`, ['-ready=notify'], 2500);
		const [, sender] = await program.logged(
			/^READY=1 for \d+ came from (\d+), which is no living process of its own: ignored$/,
		);
		await program.logged(
			new RegExp(`did not report ready within .*; its READY=1 came from ${sender}, which is no living process`),
		);
		expect((await program.ended).status).not.toBe(0);
	});

	it('is not believed where somebody else says it, once in words', async () => {
		const program = supervise('echo $NOTIFY_SOCKET');
		const [, path = ''] = await program.logged(/\] (\/.*)$/);
		for (let count = 0; count < 3; count += 1) execFileSync(fixture('say.py'), [`--to=${path}`, 'READY=1']);
		await program.logged(/^READY=1 for \d+ came from \d+, which is no living process of its own: ignored$/);
		program.signal('SIGTERM');
		await program.ended;
		expect(program.lines().filter((line) => /is up|ignored/.test(line))).toHaveLength(1);
	});

	it.runIf(isRoot)(
		'as another user reaches its socket, whose name nobody can look up, and which goes with it',
		async () => {
			const script = `echo $NOTIFY_SOCKET; ls $(dirname $NOTIFY_SOCKET) || echo closed; ${say} READY=1`;
			const program = supervise(script, ['-ready=notify', '-user=nobody']);
			const [, path = ''] = await program.logged(/\] (\/\S+)$/);
			await program.logged(/\] closed$/);
			await program.logged(/^Generation 1 is up/);
			expect(path).toMatch(/\/1-[0-9a-f]{16}$/);
			expect(statSync(dirname(path)).mode & 0o777).toBe(0o711);
			program.signal('SIGHUP');
			await program.logged(/^Generation 2 is up/);
			await program.logged(/exit status 0$/);
			await until('the first socket is gone', () => !existsSync(path));
			program.signal('SIGTERM');
			await program.ended;
			expect(existsSync(dirname(path))).toBe(false);
		},
	);

	it('leaves no fd behind that it sends along', async () => {
		const program = supervise(`${say} READY=1; ${say} --fds=40 --times=10 STATUS=x; echo done`);
		await program.logged(/^Generation 1 is up/);
		const before = fdsOf(program.pid).length;
		await program.logged(/\] done$/);
		expect(fdsOf(program.pid).length).toBeLessThanOrEqual(before);
	});

	it('is heard whatever the mask of its supervisor', async () => {
		const user = isRoot ? '-user=nobody' : '-start=60000';
		const script = `umask 077; exec ${executable} -listen=tcp://127.0.0.1:0 -start=60000 -ready=notify ${user} -verify=hold -command=/bin/sh -- -c '${polite} ${say} READY=1; ${forever}'`;
		const program = run(['-c', script], { command: '/bin/sh' });
		await program.logged(/^Generation 1 is up/);
	});

	it.runIf(isRoot)('can’t be helped or hindered by another user, who knows its name', async () => {
		const program = supervise('echo $NOTIFY_SOCKET $EINHORN_SOCK_PATH');
		const [, notify = '', einhorn = ''] = await program.logged(/\] (\/\S+) (\/\S+)$/);
		const knock = `
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for kind, path in ((socket.SOCK_DGRAM, sys.argv[1]), (socket.SOCK_STREAM, sys.argv[2])):
    try:
        socket.socket(socket.AF_UNIX, kind).connect(path)
        print('entered')
    except PermissionError:
        print('kept out')
`;
		expect(execFileSync('python3', ['-c', knock, notify, einhorn], { encoding: 'utf8' })).toBe('kept out\nkept out\n');
	});

	it('is heard by an ack too, after its folder was removed', async () => {
		const script = `echo $NOTIFY_SOCKET; ${ack} '${ackLine}'`;
		const program = supervise(script);
		const [, path = ''] = await program.logged(/\] (\/\S+)$/);
		await program.logged(/^Generation 1 is up/);
		execFileSync('rm', ['-r', dirname(path)]);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
	});

	it('may have its folder removed under it: the next one has a new one', async () => {
		const program = supervise(`echo $NOTIFY_SOCKET; ${say} READY=1`);
		const [, path = ''] = await program.logged(/\] (\/\S+)$/);
		await program.logged(/^Generation 1 is up/);
		execFileSync('rm', ['-r', dirname(path)]);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
	});
});

describe('a hostile child', () => {
	/** Sends a socket that would linger in close(2) for a minute, through both of its ways to speak. */
	const linger = `
import array, os, signal, socket, struct, time
server = socket.create_server(('127.0.0.1', 0))
server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
def orphaned():
    client = socket.create_connection(server.getsockname())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 60))
    client.setblocking(False)
    try:
        while True: client.send(b'x' * 65536)
    except BlockingIOError: return client
speaker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
acker = socket.socket(socket.AF_UNIX)
acker.connect(os.environ['EINHORN_SOCK_PATH'])
for way, place in ((speaker, [os.environ['NOTIFY_SOCKET']]), (acker, [])):
    client = orphaned()
    control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [client.fileno()]))]
    way.sendmsg([b'STATUS=x'], control, 0, *place)
    os.close(client.detach())
signal.signal(signal.SIGHUP, lambda *_: os._exit(0))
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print('sent', flush=True)
while True: time.sleep(1)
`;

	it('that sends sockets which linger when they are closed keeps nobody waiting', async () => {
		const program = run([
			'-listen=tcp://127.0.0.1:0',
			'-start=50',
			'-verify=hold',
			'-command=python3',
			'--',
			'-c',
			linger,
		]);
		await program.logged(/\] sent$/);
		await program.logged(/^Generation 1 is up/);
		for (let tries = 0; tries < 20; tries += 1) {
			expect(readFileSync(`/proc/${program.pid}/wchan`, 'utf8')).not.toMatch(/wait_woken|linger/);
			program.signal('SIGCONT');
		}
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
		await program.logged(/exit status 0$/);
		await until('nobody else is left', () => childrenOf(program.pid).length === 1);
	});

	it('or one that knows no better, and has its listening socket kept (FDSTORE=1), leaves it with nobody', async () => {
		const store = `
import array, os, signal, socket
speaker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [3]))]
speaker.sendmsg([b'FDSTORE=1\\nFDNAME=web'], control, 0, os.environ['NOTIFY_SOCKET'])
print('stored', flush=True)
signal.sigwait({signal.SIGTERM})
`;
		const program = run([
			'-listen=tcp://127.0.0.1:0',
			'-start=300',
			'-verify=hold',
			'-command=python3',
			'--',
			'-c',
			store,
		]);
		const [, address = ''] = await program.logged(/^Bound to (.*)$/);
		await program.logged(/\] stored$/);
		await program.logged(/^Generation 1 is up/);
		await until('nobody else is left', () => childrenOf(program.pid).length === 1);
		program.signal('SIGTERM');
		await program.ended;
		await expect(fetch(`http://${address}/`)).rejects.toThrow();
	});

	it('that goes on sending sockets past its deadline ends nobody but itself', async () => {
		const sends = `
import array, os, signal, socket, time
speaker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [3]))]
while True:
    speaker.sendmsg([b'X=1'], control, 0, os.environ['NOTIFY_SOCKET'])
    time.sleep(0.1)
`;
		const script = `[ $SERVER_STARTER_GENERATION = 1 ] && ${say} READY=1 || exec python3 -c "${sends}"`;
		const program = supervise(script, ['-ready=notify'], 4000);
		await program.logged(/^Generation 1 is up/);
		for (let generation = 2; generation <= 3; generation += 1) {
			program.signal('SIGHUP');
			await program.logged(new RegExp(`^Generation ${generation} failed`));
		}
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
	});

	it('that takes the folder away and shuts down the socket for acks ends nobody', async () => {
		const journal = join(scratch(), 'journal');
		const shut = `rm -r $(dirname $NOTIFY_SOCKET); python3 -c "import socket; socket.socket(fileno=5).shutdown(socket.SHUT_RDWR)"; echo shut`;
		const script = `${say} READY=1; [ $SERVER_STARTER_GENERATION = 1 ] && { ${shut}; }`;
		const program = supervise(script, ['-ready=notify', `-journal=${journal}`]);
		await program.logged(/\] shut$/);
		await program.logged(/^Generation 1 is up/);
		// The second in which the socket would be polled again.
		await wait(1500);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
	});

	it('that has the kernel add pidfds to its words leaves none with us', async () => {
		const journal = join(scratch(), 'journal');
		// The socket that it holds itself is fd 4; SO_PASSPIDFD is 76 (Linux 6.5 and newer).
		const words = `
import os, socket
own = socket.socket(fileno=4)
try: own.setsockopt(socket.SOL_SOCKET, 76, 1)
except OSError: pass
speaker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for _ in range(50): speaker.sendto(b'STATUS=x', os.environ['NOTIFY_SOCKET'])
`;
		const program = supervise(`python3 -c "${words.replaceAll('"', '\\"')}"; ${say} READY=1`, [
			'-ready=notify',
			`-journal=${journal}`,
		]);
		await program.logged(/^Generation 1 is up/);
		await until('the last is closed', () => !filesOf(program.pid).some((file) => file.includes('pidfd')));
	});
});

describe('a child that floods its socket', () => {
	it('harms nobody, and leaves nothing in the journal', async () => {
		const journal = join(scratch(), 'journal');
		const flood = `${say} --times=1000000000 STATUS=x EXTEND_TIMEOUT_USEC=1 & ${say} --times=1000000000 READY=1 & echo flooding`;
		const program = supervise(flood, ['-ready=notify', `-journal=${journal}`]);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
		program.signal('SIGTERM');
		await program.logged(/^SIGTERM: stopping/);
		expect((await program.ended).status).toBe(0);
		expect(readFileSync(journal, 'utf8').split('\n').length).toBeLessThan(60);
	});

	it('or shuts it down, costs no time of the supervisor', async () => {
		const journal = join(scratch(), 'journal');
		const shut = `python3 -c "import socket; s = socket.socket(fileno=4); s.shutdown(socket.SHUT_RDWR)"; echo shut`;
		const program = supervise(`${say} READY=1; ${shut}`, ['-ready=notify', `-journal=${journal}`]);
		await program.logged(/\] shut$/);
		await program.logged(/^Generation 1 is up/);
		const before = switchesOf(program.pid);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
		await program.logged(/\] shut$/, 2);
		expect(switchesOf(program.pid) - before).toBeLessThan(3000);
	});
});

describe('a candidate that misses its deadline', () => {
	it('fails, told to leave and killed, and the old one serves on', async () => {
		const script = `[ $SERVER_STARTER_GENERATION = 1 ] && ${say} READY=1 || trap "echo told" HUP`;
		const program = supervise(script, ['-ready=notify', '-kill=200'], 800);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		const [, pid] = await program.logged(/^(\d+) did not report ready within 800 ms \(-start=800\); sending SIGHUP$/);
		await program.logged(/^Generation 2 failed: \d+ did not report ready within .*; generation 1 keeps serving$/);
		await program.logged(/\] told$/);
		await program.logged(new RegExp(`^${pid} signal: killed$`));
		await until('nobody else is left', () => childrenOf(program.pid).length === 1);
	});

	it('ends the supervisor with 1 where it is the first', async () => {
		const program = supervise('true', ['-ready=notify'], 300);
		await program.logged(/^Generation 1 is degraded: \d+ did not report ready within/);
		expect((await program.ended).status).toBe(1);
	});

	it('gets more time where it asks for it, ten times -start at the most', async () => {
		const script = `${say} EXTEND_TIMEOUT_USEC=8000000; sleep 4; ${say} READY=1`;
		const program = supervise(script, ['-ready=notify'], 3000);
		await program.logged(/^\d+ asks for more time to come up$/);
		await program.logged(/^Generation 1 is up/);
	});
});

describe('einhorn’s ack', () => {
	it.each([
		['JSON', '{"command":"worker:ack","pid":PID}\\n'],
		['YAML, escaped, as the Ruby client sends it', '---%0Acommand: worker:ack%0Apid: PID%0A\\n'],
		['YAML with symbols, as older Rubies write it', '--- %0A:command: worker:ack%0A:pid: PID%0A\\n'],
		['JSON without an end of the line', '{"command":"worker:ack","pid":PID}'],
	])('in %s makes a child up, and is not answered', async (_, line) => {
		const program = supervise(`${ack} '${line}'`);
		await program.logged(/^Generation 1 is up/);
		await program.logged(/\] answered 0$/);
	});

	it('for another process is not believed', async () => {
		const program = supervise('echo $EINHORN_SOCK_PATH', ['-ready=notify'], 60_000);
		const [, path = ''] = await program.logged(/\] (\/.*)$/);
		const [, pid = ''] = program.stderr().match(/\[(\d+)\] \//) ?? [];
		const env = { ...process.env, EINHORN_SOCK_PATH: path };
		execFileSync(fixture('ack.py'), [`{"command":"worker:ack","pid":${pid}}\n`], { env });
		await program.logged(/^An ack for \d+ came from \d+, which is no living process of its own: ignored$/);
		expect(program.lines().join('\n')).not.toMatch(/is up/);
	});

	it.each([
		'',
		'garbage\\n',
		'{"command":"worker:ack"}\\n',
		'{"command":"worker:ack","pid":"1"}\\n',
		'x'.repeat(10_000),
	])('of %j makes nobody up, and holds nobody up', async (text) => {
		const program = supervise(`echo $EINHORN_SOCK_PATH; ${ack} '${text}'; ${say} READY=1`);
		const [, path = ''] = await program.logged(/\] (\/.*)$/);
		spawnSync(fixture('ack.py'), [text], { env: { ...process.env, EINHORN_SOCK_PATH: path } });
		await program.logged(/^Generation 1 is up/);
	});
});

describe('a word that is said in the middle of a boot', () => {
	it('reaches the program that takes over in an upgrade', async () => {
		const { go, open } = gate();
		const program = supervise(`[ $SERVER_STARTER_GENERATION = 1 ] || { echo boots; ${go}; }; ${say} READY=1`);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/\] boots$/);
		program.signal('SIGUSR2');
		open();
		await program.logged(/^Upgraded to version/);
		await program.logged(/^Generation 2 is up/);
	});

	// The child itself says it: of a helper that is gone nobody could say whose it was.
	const byItself = {
		notify: `import runpy, sys; sys.argv = ['say', '--alone=1', 'READY=1']; runpy.run_path('${fixture('say.py')}')`,
		ack: `import os, socket; s = socket.socket(socket.AF_UNIX); s.connect(os.environ['EINHORN_SOCK_PATH']); s.sendall(b'{\\"command\\":\\"worker:ack\\",\\"pid\\":%d}' % os.getpid() + bytes([10]))`,
	};

	it.each(['notify', 'ack'] as const)(
		'is not lost while the supervisor is killed and not yet there again: %s',
		async (by) => {
			const { go, open } = gate();
			const journal = join(scratch(), 'journal');
			const says = `exec python3 -c "${byItself[by]}; open('${journal}.said', 'w'); import time; time.sleep(1000)"`;
			const script = `[ $SERVER_STARTER_GENERATION = 1 ] && ${say} READY=1 || { echo boots; ${go}; ${says}; }`;
			const flags = ['-ready=notify', `-journal=${journal}`];
			const first = supervise(script, flags);
			await first.logged(/^Generation 1 is up/);
			first.signal('SIGHUP');
			await first.logged(/\] boots$/);
			kill(first.pid, 'SIGKILL');
			await first.ended;
			open();
			await until('it was said', () => existsSync(`${journal}.said`));
			const second = supervise(script, flags);
			await second.logged(/^Recovered from/);
			await second.logged(/^Generation 2 is up/);
			expect(readFileSync(journal, 'utf8')).toContain(`"child":2,"by":"${by}"`);
		},
	);
});

describe('a word that is said in time', () => {
	const deadline = 3000;

	// Each lives until it was heard.
	it.each([
		['READY=1', (said: string, go: string) => `echo ready to say; ${go}; ${say} --said=${said} READY=1`],
		['an ack', (said: string, go: string) => `echo ready to say; ${go}; ${ack} '${ackLine}' ${said}`],
		[
			'an ack of who had connected before',
			(said: string, _: string, path: string) => `${ack} '${ackLine}' ${said} ${path}`,
		],
	])('is heard before it is called late, by a supervisor that was stopped meanwhile: %s', async (_, word) => {
		const { go, open, path } = gate();
		const said = join(scratch(), 'said');
		const script = `[ $SERVER_STARTER_GENERATION = 1 ] && ${say} READY=1 || { ${word(said, go, path)}; }`;
		const program = supervise(script, ['-ready=notify'], deadline);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/\] (ready to say|connected)$/);
		const began = performance.now();
		program.signal('SIGSTOP');
		open();
		await until('it was said', () => existsSync(said));
		await until('the deadline is over', () => performance.now() - began > deadline);
		program.signal('SIGCONT');
		await program.logged(/^Generation 2 is up/);
	});
});

describe('the socket for acks', () => {
	const ackNow = `${ack} '${ackLine}'`;

	it('is there for the next child where one holds all of its places, and floods it', async () => {
		const hold = `
import os, socket, threading, time
def flood():
    while True:
        try:
            each = socket.socket(socket.AF_UNIX); each.connect(os.environ['EINHORN_SOCK_PATH']); held.append(each)
            if len(held) > 200: held.pop(0).close()
        except OSError: pass
held = []
for _ in range(4): threading.Thread(target=flood, daemon=True).start()
print('holding', flush=True)
time.sleep(1000)
`;
		const script = `${ackNow}; [ $SERVER_STARTER_GENERATION = 1 ] && python3 -c "${hold.replaceAll('"', '\\"')}" & true`;
		// Who floods is killed with its group when its generation leaves.
		const program = supervise(script, ['-ready=notify', '-kill=200']);
		await program.logged(/^Generation 1 is up/);
		await program.logged(/\] holding$/);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
		await program.logged(/ of it lives? on/);
		program.signal('SIGTERM');
		await program.ended;
	});

	it('is opened again where a child has shut it down', async () => {
		const journal = join(scratch(), 'journal');
		const shut = `python3 -c "import socket; socket.socket(fileno=5).shutdown(socket.SHUT_RDWR)"; echo shut`;
		const program = supervise(`${ackNow}; [ $SERVER_STARTER_GENERATION = 1 ] && { ${shut}; }`, [
			'-ready=notify',
			`-journal=${journal}`,
		]);
		await program.logged(/^Generation 1 is up/);
		await program.logged(/\] shut$/);
		const before = switchesOf(program.pid);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
		expect(switchesOf(program.pid) - before).toBeLessThan(3000);
	});
});

describe('the proof of adoption', () => {
	it('gives up a candidate that has closed its socket', async () => {
		const script = `[ $SERVER_STARTER_GENERATION = 1 ] || exec 3>&-; ${say} READY=1`;
		const program = supervise(script);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(
			/^Generation 2 failed: \d+ does not hold tcp:\/\/127\.0\.0\.1:0 \(its fd 3\); generation 1 keeps serving$/,
		);
		await program.logged(/exit status 0$/);
		await until('nobody else is left', () => childrenOf(program.pid).length === 1);
	});

	it('is no reason to give up a master that has handed its socket to a worker and closed its own', async () => {
		const worker = `setsid sh -c '${forever}' & worker=$!; trap "kill $worker; exit 0" HUP TERM`;
		const program = supervise(`${worker}; exec 3>&-; ${say} READY=1`);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
		program.signal('SIGTERM');
		await program.ended;
		expect(program.lines().join('\n')).not.toMatch(/does not hold/);
	});

	it('is no reason to give up a master whose worker has left it by forking twice', async () => {
		const worker = `setsid sh -c '(trap "" HUP TERM; exec sleep 1000) & echo worker $!'`;
		const program = supervise(`${worker}; exec 3>&-; ${say} READY=1`);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
		expect(program.lines().join('\n')).not.toMatch(/does not hold/);
		for (const [, pid] of program.stderr().matchAll(/worker (\d+)$/gm)) kill(Number(pid), 'SIGKILL');
	});

	it('is no reason to give up a server whose main thread has ended', async () => {
		const server = `
import ctypes, os, signal, socket, threading, time
def serve():
    time.sleep(0.3)
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])
    print('said', flush=True)
    while True: time.sleep(0.05)
threading.Thread(target=serve, daemon=True).start()
# The lock of the interpreter is let go of first: a call by ctypes does so.
ctypes.CDLL(None).pthread_exit(None)
`;
		const program = run([
			'-listen=tcp://127.0.0.1:0',
			'-start=60000',
			'-ready=notify',
			'-verify=hold',
			'-command=python3',
			'--',
			'-c',
			server,
		]);
		await program.logged(/\] said$/);
		await program.logged(/^Generation 1 is up/);
		expect(program.lines().join('\n')).not.toMatch(/does not hold/);
	});

	it('is asked for with -ready=wait too', async () => {
		const script = '[ $SERVER_STARTER_GENERATION = 1 ] || exec 3>&-';
		const program = supervise(script, [], 50);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 failed: \d+ does not hold/);
	});

	it('of a first generation is said, and it serves: no other generation does', async () => {
		const program = supervise(`exec 3>&-; ${say} READY=1`);
		await program.logged(/^Generation 1 is up/);
		await program.logged(/^\d+ does not hold tcp:\/\/127\.0\.0\.1:0 \(its fd 3\)$/);
	});
});
