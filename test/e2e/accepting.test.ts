/** An old generation leaves only for one that is seen to accept. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { ask, command, type Row } from '../support/asking.ts';
import { environment, executable, fixture, freePort, isRoot, kill, run, scratch } from '../support/program.ts';
import { rotation, type Site, site } from '../support/site.ts';

/** The pid of the candidate, when it has one. */
async function candidatePid({ control }: Site, generation: number): Promise<number> {
	let pid = 0;
	for (; pid === 0; await wait(5)) {
		const { generations } = (await ask(control, '/status?brief')).body;
		pid = generations.find((each: Row) => each.generation === generation)?.children[0]?.pid ?? 0;
	}
	return pid;
}

describe('a candidate that says too early that it is up, and is promoted as the old generation has died', () => {
	/** Its rotation is asked for by a command, and the old generation dies meanwhile. */
	async function orphaned(instructions: string, flags: string[] = []) {
		const own = site('accept', { flags: ['-start=60000', '-ready=accept', ...flags] });
		await own.up();
		const first = await own.answer();
		own.instruct(`ready print said await FOLDER/go ${instructions}`);
		const rotate = command(['rotate', `-control=${own.control}`]);
		await own.program.logged(/\] said$/);
		kill(first, 'SIGKILL');
		await own.program.logged(/^Generation 2 is up/);
		return { own, rotate };
	}

	it('has its result when it accepts', async () => {
		const { own, rotate } = await orphaned('accept');
		expect((await ask(own.control, '/rotations/2')).body).toMatchObject({ result: 'pending', unverified: true });
		own.open('go');
		const { status, stdout } = await rotate.done;
		expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringMatching(/Generation 2 serves/) });
		expect(stdout).not.toContain('not been seen');
		expect(await rotation(own, 2)).toMatchObject({ result: 'promoted', unverified: false, code: null });
	});

	it('has its result through an upgrade', async () => {
		const { own, rotate } = await orphaned('accept');
		own.program.signal('SIGUSR2');
		await own.program.logged(/^Upgraded/);
		own.open('go');
		expect((await rotate.done).status).toBe(0);
		expect(await rotation(own, 2)).toMatchObject({ result: 'promoted', unverified: false });
	});

	it('has failed when it ends', async () => {
		const { own, rotate } = await orphaned('exit 3');
		own.open('go');
		expect((await rotate.done).status).toBe(1);
		expect((await own.program.ended).status).toBe(3);
	});

	it('has failed when it does not accept: the script is told, and it serves all the same', async () => {
		const { own, rotate } = await orphaned('accept');
		const { status, stderr } = await rotate.done;
		expect(status).toBe(1);
		expect(stderr).toMatch(
			/^✘ Generation 2 serves, as nobody else does, and was not seen to accept: \d+ does not accept on /,
		);
		expect(await rotation(own, 2)).toMatchObject({ result: 'promoted', unverified: true, code: 'not-accepting' });
		own.open('go');
		expect(await own.answer()).toBeGreaterThan(0);
	});
});

describe('a candidate that is ready', () => {
	it.each(['accept', 'accept-epoll', 'accept-blocking', 'setsid accept'])(
		'is promoted when it is seen to accept by %s, and not before',
		async (way) => {
			// The socket is shared: whether it blocks is the same for both.
			const own = site(way.replace('setsid ', ''));
			await own.up();
			const first = await own.answer();
			own.instruct(`print waiting await FOLDER/go ${way}`);
			own.program.signal('SIGHUP');
			await own.program.logged(/\] waiting$/);
			// Three times -start.
			await wait(300);
			expect(own.program.lines().join('\n')).not.toMatch(/Generation 2 is up/);
			expect(await own.answer()).toBe(first);
			own.open('go');
			await own.program.logged(/^Generation 2 is up .*; sending SIGHUP to /);
			await own.program.logged(new RegExp(`^${first} exit status 0$`));
			const second = await own.answer();
			// One that has left its session does not leave with its supervisor.
			onTestFinished(() => void kill(second, 'SIGKILL'));
			expect(second).not.toBe(first);
		},
	);

	it('that stops accepting before it is ready is waited for until it accepts again', async () => {
		const own = site('accept', { flags: ['-ready=notify', '-start=60000'] });
		own.instruct('accept');
		own.program.signal('SIGTERM');
		await own.program.ended;
		const other = site('accept ready', { flags: ['-ready=notify', '-start=60000'] });
		await other.up();
		other.instruct('accept boot 0.3 stop boot 0.2 ready print stopped await FOLDER/go accept');
		other.program.signal('SIGHUP');
		await other.program.logged(/\] stopped$/);
		await wait(300);
		expect(other.program.lines().join('\n')).not.toMatch(/Generation 2 is up/);
		other.open('go');
		await other.program.logged(/^Generation 2 is up/);
	});

	it('that is stopped by a signal is not taken for one that accepts', async () => {
		const own = site('accept-epoll ready', { flags: ['-ready=notify', '-start=60000'] });
		await own.up();
		own.instruct('accept-epoll ready-by FOLDER/go print here');
		own.program.signal('SIGHUP');
		const [, pid = ''] = await own.program.logged(/^\[(\d+)\] here$/);
		kill(Number(pid), 'SIGSTOP');
		own.open('go');
		for (let phase = ''; phase !== 'verifying'; await wait(5)) {
			const { generations } = (await ask(own.control, '/status?brief')).body;
			phase = generations.find((each: Row) => each.generation === 2).children[0].phase;
		}
		await wait(300);
		expect(own.program.lines().join('\n')).not.toMatch(/Generation 2 is up/);
		kill(Number(pid), 'SIGCONT');
		await own.program.logged(/^Generation 2 is up/);
	});

	it('that polls its socket, and never waits for what it polls, is not taken for one that accepts', async () => {
		const own = site('accept-epoll ready', { flags: ['-ready=notify', '-start=60000'] });
		await own.up();
		own.instruct('register churn ready print here await FOLDER/go accept-epoll');
		own.program.signal('SIGHUP');
		await own.program.logged(/\] here$/);
		await wait(300);
		expect(own.program.lines().join('\n')).not.toMatch(/Generation 2 is up/);
		own.open('go');
		await own.program.logged(/^Generation 2 is up/);
	});

	it.runIf(isRoot)(
		'and starts processes all the time, whose ends can’t be looked at, is not taken for one that can’t be seen',
		async () => {
			const folder = scratch();
			spawnSync('chmod', ['777', folder]);
			const wrapper = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
			const own = site('accept', { wrapper, folder });
			await own.up();
			own.instruct('churn print here');
			own.program.signal('SIGHUP');
			await own.program.logged(/\] here$/);
			await wait(4000);
			expect(own.program.lines().join('\n')).not.toMatch(/Generation 2 is up|can't be seen/);
		},
	);

	it('must be seen on every listener, of forty', async () => {
		const listen = Array.from({ length: 40 }, () => 'tcp://127.0.0.1:0');
		const own = site('accept', { listen });
		await own.up();
		own.program.signal('SIGHUP');
		await own.program.logged(/^Generation 2 is up/);
	});

	it('that listens on an address of its own never replaces one that answers: its line says where it listens', async () => {
		const own = site('accept', { flags: ['-ready=accept', '-start=4000'] });
		await own.up();
		const first = await own.answer();
		own.instruct('elsewhere');
		const { status, stderr } = await command(['rotate', `-control=${own.control}`]).done;
		expect(status).toBe(1);
		expect(stderr).toMatch(
			/^✘ Generation 2 failed after .*: \d+ listens on 127\.0\.0\.1:\d+ and does not accept on tcp:\/\/127\.0\.0\.1:0 \(its fd 3\): see docs\/servers\.md \(-start=4000\)\n {2}Generation 1 keeps serving\.\n/,
		);
		expect(await rotation(own, 2)).toMatchObject({ result: 'failed', code: 'not-accepting' });
		expect(await own.answer()).toBe(first);
	});

	it('is told where it listens with a journal too, though it holds a socket of the supervisor’s then', async () => {
		const folder = scratch();
		const flags = ['-ready=accept', '-start=4000', `-journal=${join(folder, 'journal')}`];
		const own = site('accept', { flags, folder });
		await own.up();
		own.instruct('boot 60');
		expect((await command(['rotate', `-control=${own.control}`]).done).stderr).toMatch(
			/^✘ Generation 2 failed after .*: \d+ does not accept on tcp:/,
		);
		own.instruct('elsewhere');
		expect((await command(['rotate', `-control=${own.control}`]).done).stderr).toMatch(
			/^✘ Generation 3 failed after .*: \d+ listens on 127\.0\.0\.1:\d+ and does not accept on tcp:/,
		);
	});

	it('and is not seen for 5 s is named in the log, once, while the old one serves on', async () => {
		const own = site('accept');
		await own.up();
		own.instruct('elsewhere');
		own.program.signal('SIGHUP');
		await own.program.logged(
			/^\d+ listens on 127\.0\.0\.1:\d+ and does not accept on .* \(its fd 3\): see docs\/servers\.md; generation 1 keeps serving until this check passes$/,
		);
		const pid = await candidatePid(own, 2);
		kill(pid, 'SIGTERM');
		await own.program.logged(/^Generation 2 failed: \d+ exit status 0; generation 1 keeps serving$/);
		expect(own.program.lines().filter((line) => /does not accept/.test(line))).toHaveLength(1);
	});

	it('is waited for until ten times -start and at least a minute: then it has failed', async () => {
		const own = site('accept');
		await own.up();
		const first = await own.answer();
		own.instruct('boot 1000');
		const began = performance.now();
		const { status } = await command(['rotate', `-control=${own.control}`]).done;
		expect(status).toBe(1);
		expect(performance.now() - began).toBeGreaterThan(59_000);
		expect(await rotation(own, 2)).toMatchObject({ code: 'not-accepting' });
		expect(await own.answer()).toBe(first);
	}, 90_000);

	it('that polls a socket that blocks, and waits in accept(2), is up, and named with what to set', async () => {
		// It answers the next client, and no other one until then.
		const own = site('deaf', { flags: ['-ready=accept', '-start=10000'] });
		await own.program.logged(/^Generation 1 is up/);
		await own.program.logged(
			/^\d+ polls tcp:\/\/127\.0\.0\.1:0 \(its fd 3\), and the socket blocks: .*set \?nonblocking in -listen/,
		);
	});

	it('that ends while its siblings come up takes the generation with it', async () => {
		const own = site('accept ready', { flags: ['-workers=2', '-ready=notify', '-start=60000'] });
		await own.up();
		own.instruct('accept print here await FOLDER/go ready');
		own.program.signal('SIGHUP');
		await own.program.logged(/\] here$/, 2);
		const { generations } = (await ask(own.control, '/status?brief')).body;
		const [first, second] = generations.find((each: Row) => each.generation === 2).children;
		// The first one is ready, and is seen to accept; it ends before the second one is ready.
		spawnSync('kill', ['-STOP', String(second.pid)]);
		own.open('go');
		for (let phase = ''; phase !== 'serving'; await wait(5)) {
			const status = (await ask(own.control, '/status?brief')).body;
			phase = status.generations.find((each: Row) => each.generation === 2).children[0].phase;
		}
		kill(first.pid, 'SIGKILL');
		await own.program.logged(/^Generation 2 failed: \d+ signal: killed; generation 1 keeps serving$/);
		kill(second.pid, 'SIGCONT');
	});
});

describe('while a candidate is looked at', () => {
	/** Generation 2 is ready, and does not accept. */
	async function looking(flags: string[] = []) {
		const own = site('accept', { flags });
		await own.up();
		own.instruct('print here await FOLDER/go accept');
		own.program.signal('SIGHUP');
		await own.program.logged(/\] here$/);
		for (let phase = ''; phase !== 'verifying'; await wait(5)) {
			const { generations } = (await ask(own.control, '/status?brief')).body;
			phase = generations.find((each: Row) => each.generation === 2)?.children[0]?.phase ?? '';
		}
		return own;
	}

	it('an upgrade goes on with the look', async () => {
		const own = await looking();
		own.program.signal('SIGUSR2');
		await own.program.logged(/^Upgraded to version/);
		own.open('go');
		await own.program.logged(/^Generation 2 is up .*; sending SIGHUP to /);
	});

	it('a SIGHUP is followed by one more rotation', async () => {
		const own = await looking();
		own.program.signal('SIGHUP');
		await own.program.logged(/^SIGHUP: generation 2 is still starting; one more rotation will follow$/);
		own.open('go');
		await own.program.logged(/^Generation 3 is up/);
	});

	it('a stop ends all', async () => {
		const own = await looking();
		own.program.signal('SIGTERM');
		expect((await own.program.ended).status).toBe(0);
	});

	it('a stop in the middle of many looks is no fault', async () => {
		const own = await looking(['-workers=20']);
		own.program.signal('SIGTERM');
		const { status, stderr } = await own.program.ended;
		expect(status).toBe(0);
		expect(stderr).not.toMatch(/Internal error/);
	});

	it('the end of the old generation has the candidate serve at once', async () => {
		const own = await looking();
		const status = (await ask(own.control, '/status?brief')).body;
		kill(status.generations[0].children[0].pid, 'SIGKILL');
		await own.program.logged(/^Generation 2 is up \(\d+\)$/);
		expect(await rotation(own, 2)).toMatchObject({ result: 'promoted', unverified: true });
		own.open('go');
		expect(await own.answer()).toBe(status.generations[1].children[0].pid);
	});

	it('a supervisor that is killed is followed by one that looks on', async () => {
		const folder = scratch();
		const journal = `-journal=${join(folder, 'journal')}`;
		const own = await looking([journal]);
		own.program.signal('SIGKILL');
		await own.program.ended;
		const next = site('accept', { flags: [journal], folder });
		await next.program.logged(/^Recovered from /);
		next.open('go');
		own.open('go');
		await next.program.logged(/^Generation 2 is up .*; sending SIGHUP to /);
	});
});

describe('a first generation', () => {
	it('serves at once, and is named where it does not accept after 5 s', async () => {
		const own = site('elsewhere');
		await own.up();
		await own.program.logged(/^\d+ listens on 127\.0\.0\.1:\d+ and does not accept on .*: see docs\/servers\.md$/);
		expect(own.program.lines().join('\n')).not.toMatch(/keeps serving/);
		const { stdout } = await command(['status', `-control=${own.control}`]).done;
		expect(stdout).toMatch(/serving .* listens on 127\.0\.0\.1:\d+ and does not accept on /);
	});

	it('is not spoken of where it accepts', async () => {
		const own = site('boot 0.3 accept');
		await own.answer();
		for (let seen: boolean | null = null; seen !== true; await wait(10)) {
			seen = (await ask(own.control, '/status?brief')).body.generations[0].children[0].seen;
		}
		expect(own.program.stderr()).not.toMatch(/does not accept/);
	});
});

describe('-ready=accept', () => {
	it('promotes a server that says nothing as soon as it accepts, and takes its message too', async () => {
		const own = site('accept', { flags: ['-ready=accept', '-start=60000'] });
		await own.up();
		own.instruct('boot 0.3 accept');
		const { status, stdout } = await command(['rotate', `-control=${own.control}`]).done;
		expect(status).toBe(0);
		expect(stdout).toMatch(
			/^✔ Generation 2 serves: ready in .* \(accepts\), pid \d+\n {2}Generation 1 is draining\.$/m,
		);
		expect(await rotation(own, 2)).toMatchObject({ readyBy: 'accept', unverified: false, code: null });
		own.instruct('ready print said await FOLDER/go accept');
		own.program.signal('SIGHUP');
		await own.program.logged(/\] said$/);
		await wait(200);
		expect(own.program.lines().join('\n')).not.toMatch(/Generation 3 is up/);
		own.open('go');
		await own.program.logged(/^Generation 3 is up/);
	});

	it('takes as long as the last of many workers boots', async () => {
		const own = site('accept', { flags: ['-ready=accept', '-start=60000', '-workers=8'] });
		await own.up();
		own.instruct('print here await FOLDER/go accept');
		own.program.signal('SIGHUP');
		await own.program.logged(/\] here$/, 8);
		own.open('go');
		const began = performance.now();
		await own.program.logged(/^Generation 2 is up/);
		console.log(`eight workers were seen within ${Math.round(performance.now() - began)} ms`);
	});

	it('takes a -start above 0', async () => {
		const { status, stderr } = await run(['-ready=accept', '-start=0', '-command=true']).ended;
		expect(status).toBe(2);
		expect(stderr).toMatch(/^-ready=accept takes a -start above 0/);
	});
});

describe('-verify', () => {
	it.each([
		['-verify=hold', 'elsewhere ready', true],
		['-verify=hold', 'close ready', false],
		['-verify=none', 'close ready', true],
		['-start=0', 'elsewhere ready', true],
	])('%s with a candidate that says %s: promoted is %s', async (flag, instructions, isPromoted) => {
		const own = site('accept ready', { flags: ['-start=60000', flag] });
		await own.up();
		own.instruct(instructions);
		own.program.signal('SIGHUP');
		await own.program.logged(isPromoted ? /^Generation 2 is up/ : /^Generation 2 failed: \d+ does not hold /);
	});
});

describe('a look that fails, or does not come back', () => {
	const epoll = `
import ctypes, fcntl, os, select, socket, struct, threading, time
speaker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def ready(): speaker.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])
`;

	/** A first generation that accepts; the next one is a program in Python. */
	async function following(program: string, flags: string[], listen: string[] = []) {
		const folder = scratch();
		const command = join(folder, 'command');
		symlinkSync(fixture('acceptor.py'), command);
		const own = site('accept ready', { flags: [`-command=${command}`, ...flags], folder, listen });
		await own.up();
		unlinkSync(command);
		writeFileSync(command, `#!/usr/bin/env python3\n${epoll}${program}`, { mode: 0o755 });
		return own;
	}

	it('at the last moment does not outweigh those before it: threads that come and go', async () => {
		const own = await following(
			`
os.close(3)
ready()
while True:
    threads = [threading.Thread(target=time.sleep, args=(0.002,)) for _ in range(30)]
    for each in threads: each.start()
    for each in threads: each.join()
`,
			['-ready=notify', '-start=2000', '-kill=200'],
		);
		for (let generation = 2; generation <= 4; generation += 1) {
			own.program.signal('SIGHUP');
			await own.program.logged(new RegExp(`^Generation ${generation} failed: \\d+ does not hold `));
		}
		expect(own.program.lines().join('\n')).not.toContain("can't be seen");
	});

	const pages = `
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.epoll_wait.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
page = libc.mmap(None, 8192, 3, 0x22, -1, 0)
uffd = libc.syscall(323 if os.uname().machine == 'x86_64' else 282, 0o2000000)
if uffd < 0: os._exit(77)
fcntl.ioctl(uffd, 0xc018aa3f, bytearray(struct.pack('QQQ', 0xAA, 0, 0)))
fcntl.ioctl(uffd, 0xc020aa00, bytearray(struct.pack('QQQQ', page, 8192, 1, 0)))
r, w = os.pipe()
os.write(w, b'x')
instance = select.epoll()
instance.register(r, select.EPOLLIN)
`;
	const canFault = isRoot && spawnSync('python3', ['-c', `${epoll}${pages}`]).status === 0;

	it.runIf(canFault)(
		'as a page does not come: it is said in time, and the next version is not kept waiting',
		async () => {
			const stuck = `
ready()
print('stuck', flush=True)
libc.epoll_wait(instance.fileno(), page, 10, -1)
`;
			const own = await following(`${pages}${stuck}`, ['-ready=notify', '-start=3000', '-kill=200']);
			own.program.signal('SIGHUP');
			await own.program.logged(/\] stuck$/);
			// Nothing was seen of it, or that it does not hold it: in time, either way.
			const [, rest] = await own.program.logged(/^Generation 2 (failed|is up \(\d+\), and was not seen to accept)/);
			expect(['failed', expect.stringContaining('not seen')]).toContainEqual(rest);
			const command = join(own.folder, 'command');
			unlinkSync(command);
			symlinkSync(fixture('acceptor.py'), command);
			own.program.signal('SIGHUP');
			await own.program.logged(/^Generation 3 is up/);
			expect(await own.answer()).toBeGreaterThan(0);
		},
	);

	it('on one listener of two that share a port shows nothing of the other: IPv4 and IPv6', async () => {
		const port = await freePort();
		const own = await following(
			`
listener = socket.socket(fileno=3)
listener.setblocking(False)
instance = select.epoll()
instance.register(3, select.EPOLLIN)
kept = []
ready()
while True:
    for _ in instance.poll():
        try: kept.append(listener.accept()[0])
        except BlockingIOError: pass
`,
			['-ready=notify', '-start=4000', '-kill=200'],
			[`tcp4://:${port}`, `tcp6://:${port}`],
		);
		own.program.signal('SIGHUP');
		const clients = setInterval(
			() =>
				connect(port, '127.0.0.1')
					.on('error', () => {})
					.unref(),
			20,
		);
		onTestFinished(() => clearInterval(clients));
		await own.program.logged(/^Generation 2 failed: \d+ does not accept on tcp6:\/\/:\d+ \(its fd 4\)/);
	});
});

describe('a server that accepts by io_uring', () => {
	const uring = join(mkdtempSync(join(tmpdir(), 'socketmaster-uring-')), 'server');
	const isThere =
		spawnSync('cc', ['-o', uring, fixture('uring.c')]).status === 0 &&
		spawnSync('timeout', ['0.2', uring, 'idle']).status !== 77;
	afterAll(() => rmSync(dirname(uring), { recursive: true, force: true }));

	/** The candidate is the server, after a generation that accepts. */
	async function rotated(mode: string, flags: string[]) {
		const folder = scratch();
		const command = join(folder, 'command');
		symlinkSync(fixture('acceptor.py'), command);
		const own = site('accept', { flags: [...flags, `-command=${command}`], folder });
		await own.up();
		unlinkSync(command);
		writeFileSync(command, `#!/bin/sh\nexec ${uring} ${mode}\n`, { mode: 0o755 });
		own.program.signal('SIGHUP');
		return own;
	}

	it.runIf(isThere)('is seen to', async () => {
		const journal = `-journal=${join(scratch(), 'journal')}`;
		const own = await rotated('', ['-ready=accept', '-start=60000', journal]);
		await own.program.logged(/^Generation 2 is up/);
		expect(await rotation(own, 2)).toMatchObject({ readyBy: 'accept', unverified: false });
	});

	it.runIf(isThere)('on a port of its own is not taken for one that can’t be seen', async () => {
		const own = await rotated('elsewhere', ['-ready=accept', '-start=6000']);
		await own.program.logged(/^Generation 2 failed: \d+ listens on 127\.0\.0\.1:\d+ and does not accept on /);
	});

	it.runIf(isThere)('and was told to leave, is not said to accept no more where that can’t be told', async () => {
		const folder = scratch();
		const command = join(folder, 'command');
		writeFileSync(command, `#!/bin/sh\ntrap '' USR1\nexec ${uring}\n`, { mode: 0o755 });
		const own = site('accept', {
			flags: [`-command=${command}`, '-signal=USR1', '-listen=tcp://127.0.0.1:0'],
			folder,
		});
		await own.program.logged(/^Generation 1 is up/);
		await own.program.logged(/\] read$/);
		unlinkSync(command);
		symlinkSync(fixture('acceptor.py'), command);
		own.program.signal('SIGHUP');
		await own.program.logged(/^Generation 2 is up/);
		const { generations } = (await ask(own.control, '/status')).body;
		expect(generations[0]).toMatchObject({ generation: 1, children: [{ phase: 'draining', accepting: null }] });
	});

	it.runIf(isThere)('on one of two listeners, and it can’t be told on which, is up unverified after 5 s', async () => {
		const own = await rotated('', ['-ready=wait', '-listen=tcp://127.0.0.1:0']);
		await own.program.logged(/^Whether \d+ accepts can't be seen: it uses io_uring; it counts as up unverified$/);
		await own.program.logged(/^Generation 2 is up \(\d+\), and was not seen to accept; sending SIGHUP to /);
	});

	it.runIf(isThere)('has something pending: an instance that waits for nothing is none', async () => {
		const own = await rotated('idle', ['-ready=accept', '-start=7000']);
		await own.program.logged(/^Generation 2 failed: \d+ does not accept on /);
		expect(own.program.lines().join('\n')).not.toContain("can't be seen");
	});
});

describe('what can’t be seen', () => {
	const without = (capabilities: string) => [
		'setpriv',
		`--bounding-set=${capabilities}`,
		`--inh-caps=${capabilities}`,
		'--',
	];

	it.runIf(isRoot)('without CAP_SYS_PTRACE the user of the children looks: what hangs replaces nothing', async () => {
		const folder = scratch();
		spawnSync('chmod', ['755', folder]);
		const flags = ['-user=nobody', '-ready=accept', '-start=2000'];
		const own = site('accept', { wrapper: without('-sys_ptrace'), flags, folder });
		await own.up();
		own.instruct('elsewhere');
		own.program.signal('SIGHUP');
		await own.program.logged(
			/^Generation 2 failed: \d+ listens on .* and does not accept on .*; generation 1 keeps serving$/,
		);
		for (const [generation, way] of [
			[3, 'accept'],
			[4, 'accept-epoll'],
		] as const) {
			own.instruct(way);
			own.program.signal('SIGHUP');
			await own.program.logged(new RegExp(`^Generation ${generation} is up`));
			expect(await rotation(own, generation)).toMatchObject({ readyBy: 'accept', unverified: false });
		}
		expect(own.program.lines().filter((line) => /can't be seen/.test(line))).toEqual([]);
	});

	it.runIf(isRoot)(
		'without CAP_SYS_PTRACE, of a server that hides, is said once, and rotations go on unverified',
		async () => {
			const folder = scratch();
			const own = site('hide accept', { wrapper: without('-sys_ptrace'), folder });
			await own.up();
			await own.program.logged(/^Whether \d+ accepts can't be seen: .*CAP_SYS_PTRACE.*; it counts as up unverified$/);
			own.program.signal('SIGHUP');
			await own.program.logged(/^Generation 2 is up/);
			await own.program.logged(/exit status 0$/);
			expect(await rotation(own, 2)).toMatchObject({ result: 'promoted', unverified: true });
			own.program.signal('SIGHUP');
			await own.program.logged(/^Generation 3 is up/);
			await own.program.logged(/exit status 0$/, 2);
			expect(own.program.lines().filter((line) => /can't be seen/.test(line))).toHaveLength(1);
			// What it holds can't be counted either.
			const [host, port] = (await own.address()).split(':');
			const client = connect(Number(port), host);
			onTestFinished(() => void client.destroy());
			await once(client, 'connect');
			const held = async () => (await ask(own.control, '/status')).body.generations.at(-1).children[0].connections;
			// While it waits to be accepted nobody holds it.
			while ((await held()) === 0) await new Promise(setImmediate);
			expect(await held()).toBeNull();
		},
	);

	it.runIf(isRoot)('without CAP_KILL nobody of another user leaves, which is said at the start', async () => {
		const folder = scratch();
		spawnSync('chmod', ['755', folder]);
		const own = site('accept', { wrapper: without('-kill'), flags: ['-user=nobody'], folder });
		await own.program.logged(/^Without CAP_KILL no signal reaches the processes of nobody: they do not leave$/);
		const [, pid = ''] = await own.program.logged(/^Generation 1 is up \((\d+)\)/);
		kill(Number(pid), 'SIGKILL');
		await own.program.ended;
	});

	it.runIf(isRoot)(
		'without CAP_SYS_PTRACE processes of root are looked at as root: who holds an address is named',
		async () => {
			const uri = `-listen=tcp://127.0.0.1:${await freePort()}`;
			const [name = '', ...rest] = [...without('-sys_ptrace'), executable];
			const holder = run([...rest, uri, '-start=50', '-verify=hold', '-command=/bin/sleep', '--', '1000'], {
				command: name,
			});
			await holder.logged(/^Generation 1 is up/);
			const { stderr } = await run([...rest, uri, '-user=nobody', '-command=/bin/true'], { command: name }).ended;
			expect(stderr).toMatch(new RegExp(` is held by .*${holder.pid} \\(`));
		},
	);

	it.runIf(isRoot)('with -ready=accept is up by -start', async () => {
		const folder = scratch();
		const flags = ['-ready=accept', '-start=3000'];
		const own = site('hide accept', { wrapper: without('-sys_ptrace'), flags, folder });
		await own.program.logged(/^Whether \d+ accepts can't be seen: .*; it counts as up after -start$/);
		await own.up();
		own.program.signal('SIGHUP');
		await own.program.logged(/^Generation 2 is up/);
		expect(await rotation(own, 2)).toMatchObject({ readyBy: 'wait', unverified: true });
	});

	it.runIf(isRoot)('as /proc hides it (hidepid=) does not keep rotations waiting', async () => {
		const folder = scratch();
		spawnSync('chmod', ['777', folder]);
		const script =
			'mount -t proc -o hidepid=2,gid=4242 proc /proc && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$0" "$@"';
		const own = site('hide accept', { wrapper: ['unshare', '--mount', 'sh', '-c', script], folder });
		await own.up();
		await own.program.logged(/^Whether \d+ accepts can't be seen: \/proc hides its processes/);
		own.program.signal('SIGHUP');
		await own.program.logged(/^Generation 2 is up/);
		own.program.signal('SIGHUP');
		await own.program.logged(/^Generation 3 is up/);
	});

	it.runIf(isRoot)(
		'as /proc hides it is not forgotten after a crash: the start says whom it can’t take over',
		async () => {
			const folder = scratch();
			spawnSync('chmod', ['777', folder]);
			const script =
				'mount -t proc -o hidepid=2,gid=4242 proc /proc && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$0" "$@"';
			const wrapper = ['unshare', '--mount', 'sh', '-c', script];
			const flags = [`-journal=${join(folder, 'journal')}`];
			const own = site('hide print hidden accept', { wrapper, flags, folder });
			const [, pid = ''] = await own.program.logged(/^Generation 1 is up \((\d+)\)/);
			await own.program.logged(/\] hidden$/);
			const address = await own.address();
			own.program.signal('SIGKILL');
			await own.program.ended;
			const next = site('accept', { wrapper, flags, folder, listen: [`tcp://${address}`] });
			await next.program.logged(
				new RegExp(`^Children ${pid} of an earlier supervisor can't be taken over: /proc hides them`),
			);
			const { status, stderr } = await next.program.ended;
			kill(Number(pid), 'SIGKILL');
			expect(status).toBe(1);
			expect(stderr).toMatch(/children of an earlier supervisor hold it|can't be taken over/);
		},
	);

	it.runIf(isRoot)('in a pid namespace with the /proc of another is said, and rotations go on', async () => {
		const own = site('accept', { wrapper: ['unshare', '--pid', '--fork', '--kill-child=TERM', '--'] });
		await own.program.logged(/^Whether \d+ accepts can't be seen: \/proc is not that of our pid namespace/);
		// The supervisor is PID 1 there: it is asked by its socket.
		await ask(own.control, '/rotate', { method: 'POST' });
		await own.program.logged(/^Generation 2 is up/);
		await ask(own.control, '/stop', { method: 'POST' });
		await own.program.ended;
	});
});

describe('a child that tries to listen on the supervisor’s own address', () => {
	it('is told how to take it, in the log and by the command', async () => {
		const own = site('accept');
		await own.up();
		const port = (await own.address()).split(':')[1];
		own.instruct(`bind ${port}`);
		const { status, stderr } = await command(['rotate', `-control=${own.control}`]).done;
		expect(status).toBe(1);
		const hint = "the address is the supervisor's: accept on tcp://127.0.0.1:0 (its fd 3) instead, see docs/servers.md";
		expect(stderr).toContain(hint);
		expect(own.program.lines().join('\n')).toMatch(/^\d+ exit status 1 \(the address is the supervisor's/m);
	});
});

describe('an old generation that still accepts', () => {
	it('is shown in the status and in the metrics', async () => {
		const own = site('linger accept');
		await own.up();
		own.instruct('accept');
		own.program.signal('SIGHUP');
		await own.program.logged(/^Generation 2 is up/);
		const { generations } = (await ask(own.control, '/status')).body;
		expect(generations[0]).toMatchObject({ state: 'draining', children: [{ accepting: true }] });
		expect(generations[1]).toMatchObject({ state: 'serving', children: [{ accepting: null, seen: true }] });
		const { stdout } = await command(['status', `-control=${own.control}`]).done;
		expect(stdout).toMatch(/draining .* still accepts: does it leave on this signal \(-signal\)\?/);
		const { body } = await ask(own.control, '/metrics');
		expect(body).toContain('socketmaster_draining_accepting_children{generation="1"} 1\n');
	});
});

describe('the backlog', () => {
	it.each(['tcp://127.0.0.1:0', 'unix:FOLDER/app.sock'])(
		'that a server’s own listen() has changed is set again, on %s',
		async (uri) => {
			const folder = scratch();
			const own = site('backlog 7 accept', { listen: [`${uri.replace('FOLDER', folder)}?backlog=33`], folder });
			await own.up();
			const backlog = async () => (await ask(own.control, '/status?brief')).body.listeners[0].backlog;
			while ((await backlog()) !== 33) await wait(10);
			own.program.signal('SIGHUP');
			await own.program.logged(/^Generation 2 is up/);
			expect(await backlog()).toBe(33);
		},
	);
});

describe('what was started', () => {
	/** Two releases, and a link to the first. */
	function releases() {
		const folder = scratch();
		for (const name of ['one', 'two']) {
			mkdirSync(join(folder, name));
			symlinkSync(fixture('acceptor.py'), join(folder, name, 'server'));
		}
		const current = join(folder, 'current');
		const deploy = (name: string) => {
			spawnSync('ln', ['-sfn', name, current]);
		};
		deploy('one');
		writeFileSync(join(folder, 'instructions'), 'accept');
		const control = join(folder, 'control');
		const program = run(['-listen=tcp://127.0.0.1:0', '-start=100', `-control=${control}`, '-command=./server'], {
			cwd: current,
			env: environment({ PWD: current, INSTRUCTIONS: join(folder, 'instructions') }),
		});
		return { folder, program, deploy, control };
	}

	it('is in the rotation, in the status and in the log, as real paths, where it is another directory', async () => {
		const { folder, program, deploy, control } = releases();
		await program.logged(/^Generation 1 is up/);
		deploy('two');
		const { stdout } = await command(['rotate', `-control=${control}`]).done;
		expect(stdout).toContain(`\n  Generation 2 was started from ${folder}/two, generation 1 from ${folder}/one\n`);
		expect((await ask(control, '/rotations/2')).body).toMatchObject({
			directory: join(folder, 'two'),
			program: fixture('acceptor.py'),
		});
		expect(program.lines()).toContain(`Generation 2 comes from ${folder}/two, generation 1 from ${folder}/one`);
		const { generations } = (await ask(control, '/status?brief')).body;
		expect(generations.at(-1).directory).toBe(join(folder, 'two'));
	});

	it('is not an older release where the link leads nowhere: the rotation fails, and says so', async () => {
		const { program, deploy, control } = releases();
		await program.logged(/^Generation 1 is up/);
		deploy('three');
		const { status, stderr } = await command(['rotate', `-control=${control}`]).done;
		expect(status).toBe(1);
		expect(stderr).toMatch(
			/could not be started: the directory .*\/current: no such file or directory\n {2}Generation 1 keeps serving\./,
		);
		expect((await ask(control, '/rotations/2')).body).toMatchObject({ code: 'spawn-failed' });
	});

	it('fails a rotation that expects another directory', async () => {
		const { folder, program, deploy, control } = releases();
		await program.logged(/^Generation 1 is up/);
		deploy('two');
		const args = ['rotate', `-control=${control}`];
		expect((await command([...args, `-expect=${folder}/current`]).done).status).toBe(0);
		const other = await command([...args, `-expect=${folder}/one`]).done;
		expect(other.status).toBe(1);
		expect(other.stderr).toBe(
			`✘ Generation 3 serves, and was started as ${fixture('acceptor.py')} in ${folder}/two, not from ${folder}/one (-expect)\n`,
		);
		for (const name of ['/nowhere', '']) {
			const wrong = await command([...args, `-expect=${name}`]).done;
			expect(wrong.status).toBe(2);
			expect(wrong.stderr).toBe(`invalid value "${name}" for flag -expect: no such directory\n`);
		}
	});
});

describe('while older generations drain and none serves', () => {
	it('a new one is started, after a second and then ever later, until one serves', async () => {
		const own = site('linger accept ready', { flags: ['-ready=notify', '-start=60000'] });
		const [, old = ''] = await own.program.logged(/^Generation 1 is up \((\d+)\)/);
		await own.up();
		own.instruct('accept ready await FOLDER/go exit 3');
		own.program.signal('SIGHUP');
		await own.program.logged(/^Generation 2 is up/);
		own.instruct('exit 4');
		own.open('go');
		await own.program.logged(/^No generation serves any more; waiting for \d+ to leave$/);
		await own.program.logged(/^No generation serves: a new one will be started in 1000 ms$/);
		expect((await ask(own.control, '/status?brief')).body).toMatchObject({ state: 'unserved' });
		await own.program.logged(/^No generation serves: a new one will be started in 2000 ms$/);
		own.instruct('accept ready');
		await own.program.logged(/^Generation 4 is up/);
		kill(Number(old), 'SIGKILL');
		expect(await own.answer()).toBeGreaterThan(0);
	});
});
