/** A start script without exec, a server that goes into the background: who outlives the first process of a child. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ask, command } from '../support/asking.ts';
import { until } from '../support/proc.ts';
import { environment, fixture, isRoot, kill, type Program, run, scratch } from '../support/program.ts';

/** A server that answers with its version; `go` is how the script starts it. */
function site(flags: string[] = []) {
	const folder = scratch();
	const control = join(folder, 'control');
	const server = `python3 ${fixture('acceptor.py')}`;
	const script = join(folder, 'server.sh');
	const deploy = (text: string, instructions = 'accept') => {
		writeFileSync(`${script}.new`, `#!/bin/sh\n${text.replaceAll('SERVER', server)}\n`, { mode: 0o755 });
		// As a release is put in place.
		writeFileSync(join(folder, 'instructions'), instructions);
		execFileSync('mv', [`${script}.new`, script]);
	};
	return {
		folder,
		control,
		deploy,
		start: () =>
			run(
				[
					'-listen=tcp://127.0.0.1:0',
					'-start=150',
					'-signal=TERM',
					`-control=${control}`,
					...flags,
					`-command=${script}`,
				],
				{ env: environment({ INSTRUCTIONS: join(folder, 'instructions') }) },
			),
	};
}

async function addressOf(program: Program): Promise<string> {
	return (await program.logged(/^Bound to (.*)$/))[1] ?? '';
}

/** Who answers, several times. */
async function answers(address: string): Promise<Set<number>> {
	const pids = new Set<number>();
	for (let count = 0; count < 20; count += 1) pids.add(Number(await (await fetch(`http://${address}/`)).text()));
	return pids;
}

/** Asks until the supervisor is in a state. */
async function follow(control: string, isWanted: (state: string) => boolean) {
	while (!isWanted((await ask(control, '/status?brief')).body.state)) await new Promise((next) => setTimeout(next, 10));
}

const isAlive = (pid: number) => kill(pid, 0) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));

it('a version that failed leaves no process, whatever it ignores, also without -kill', async () => {
	const own = site(['-ready=notify', '-start=1500']);
	own.deploy('exec SERVER', 'ready accept');
	const program = own.start();
	await program.logged(/^Generation 1 is up/);
	// Its first process is ended by the signal; its worker ignores it, and holds no listener of the supervisor's.
	own.deploy(
		`(trap "" TERM; exec 3>&-; while [ -d ${own.folder} ]; do sleep 0.1; done) & echo "worker $!"\nexec SERVER`,
		'ready',
	);
	const rotated = command(['rotate', `-control=${own.control}`]).done;
	const worker = Number((await program.logged(/\] worker (\d+)$/))[1]);
	expect((await rotated).status).toBe(1);
	await program.logged(/ of it lives? on$|of it live on$/);
	await until('the worker is gone', () => !isAlive(worker));
	program.signal('SIGTERM');
	expect((await program.ended).status).toBe(0);
});

it('while surviving processes of the last child are waited for, no rotation is promised, and SIGHUP is answered', async () => {
	const own = site();
	// Without the test's folder the worker ends by itself.
	own.deploy(`(trap "" TERM; while [ -d ${own.folder} ]; do sleep 0.1; done) & echo "worker $!"\nexec SERVER`);
	const program = own.start();
	const worker = Number((await program.logged(/\] worker (\d+)$/))[1]);
	const [, leader] = await program.logged(/^Generation 1 is up \((\d+)\)/);
	kill(Number(leader), 'SIGKILL');
	await program.logged(/signal: killed.* lives? on/);
	const { status, stderr } = await command(['rotate', `-control=${own.control}`]).done;
	expect({ status, stderr }).toEqual({ status: 3, stderr: expect.stringContaining('no supervisor') });
	program.signal('SIGHUP');
	await program.logged(/^SIGHUP: ignored, as no child is left and the supervisor exits$/);
	kill(worker, 'SIGKILL');
	expect((await program.ended).status).toBe(137);
});

it('a version that fails by its own end leaves no process either, whatever it ignores', async () => {
	const own = site();
	own.deploy('exec SERVER');
	const program = own.start();
	await program.logged(/^Generation 1 is up/);
	own.deploy(
		'(trap "" TERM; exec 3>&-; exec setsid sh -c "while :; do sleep 0.1; done") & echo "worker $!"\nsleep 0.1; exit 3',
	);
	const rotated = command(['rotate', `-control=${own.control}`]).done;
	const worker = Number((await program.logged(/\] worker (\d+)$/))[1]);
	await program.logged(/exit status 3; process(es)? .* of it lives? on: sending SIGTERM, and SIGKILL after 10 s$/);
	expect((await rotated).status).toBe(1);
	await until('the worker is gone', () => !isAlive(worker));
	program.signal('SIGTERM');
	expect((await program.ended).status).toBe(0);
});

describe('a start script without exec', () => {
	it('has its server told to leave too: no answer is the old version’s, and a stop leaves nothing', async () => {
		const own = site();
		own.deploy('SERVER\nexit');
		const program = own.start();
		const address = await addressOf(program);
		await program.logged(/^Generation 1 is up/);
		const [first = 0] = await answers(address);
		expect((await command(['rotate', `-control=${own.control}`]).done).status).toBe(0);
		await program.logged(
			new RegExp(
				`process ${first} of it lives on, and it holds its sockets: told to leave too; a start script has to exec`,
			),
		);
		await until('the old server is gone', () => !isAlive(first));
		const [second = 0, ...others] = await answers(address);
		expect(others).toEqual([]);
		expect(second).not.toBe(first);
		expect((await command(['stop', `-control=${own.control}`]).done).status).toBe(0);
		expect(isAlive(second)).toBe(false);
	});

	it('whose server takes its time is draining in the status, until it is gone, and in the rotation', async () => {
		const own = site(['-signal=HUP']);
		own.deploy('SERVER\nexit', 'accept linger');
		const program = own.start();
		await program.logged(/^Generation 1 is up/);
		await program.logged(/\] read$/);
		const before = (await ask(own.control, '/status')).body;
		own.deploy('exec SERVER');
		await command(['rotate', `-control=${own.control}`]).done;
		const [, first] = await program.logged(/; process(?:es)? (.*) of it lives? on, and /);
		const { generations } = (await ask(own.control, '/status')).body;
		expect(generations[0]).toMatchObject({ generation: 1, state: 'draining', children: [{ phase: 'orphaned' }] });
		expect(generations[0].children[0].survivors.length).toBeGreaterThan(0);
		const { survivors } = (await ask(own.control, '/rotations/2')).body;
		expect(survivors[0]).toMatchObject({ generation: 1, fds: [3] });
		const { stdout } = await command(['status', `-control=${own.control}`]).done;
		expect(stdout).toMatch(/^1 +0 +\d+ +orphaned .* left [\d, ]+ behind/m);
		expect(before.generations).toHaveLength(1);
		for (const pid of String(first).split(', ')) kill(Number(pid), 'SIGKILL');
		await follow(own.control, (state) => state === 'running');
		expect((await ask(own.control, '/rotations/2')).body.survivors).toEqual([]);
	});

	it('with -kill has it told first, and killed in the end by its own number', async () => {
		const own = site(['-kill=300']);
		own.deploy(`sh -c 'trap "echo told" TERM; SERVER & while :; do sleep 0.01; done'\nexit`);
		const program = own.start();
		await program.logged(/^Generation 1 is up/);
		own.deploy('exec SERVER');
		program.signal('SIGHUP');
		await program.logged(/\] told$/);
		const [, leader] = await program.logged(/^process(?:es)? [\d, ]+, left behind by (\d+), still there 300 ms after/);
		expect(program.lines().join('\n')).not.toContain(`${leader} is still alive`);
	});

	it('gets every signal with -group at once', async () => {
		const own = site(['-group', '-signal=USR1']);
		own.deploy(
			`trap 'echo shell; exit' USR1\npython3 -c 'import os, signal, time\nsignal.signal(signal.SIGUSR1, lambda *_: (os.write(1, b"worker\\n"), os._exit(0)))\nopen("${own.folder}/up", "w")\ntime.sleep(100)' 3>&- &\nwhile :; do sleep 0.02; done`,
		);
		const program = run(
			[
				'-listen=tcp://127.0.0.1:0',
				'-start=150',
				'-verify=hold',
				'-group',
				'-signal=USR1',
				`-command=${join(own.folder, 'server.sh')}`,
			],
			{},
		);
		await program.logged(/^Generation 1 is up/);
		await until('the worker listens', () => existsSync(join(own.folder, 'up')));
		program.signal('SIGHUP');
		await program.logged(/\] worker/);
		await program.logged(/shell/);
	});
});

describe('a server that goes into the background', () => {
	const daemonized = `python3 -c 'import os, sys
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.execvp("python3", ["python3", "${fixture('acceptor.py')}"])'`;

	it('does not serve beside the one that goes on, and is named', async () => {
		const own = site();
		own.deploy('exec SERVER');
		const program = own.start();
		const address = await addressOf(program);
		await program.logged(/^Generation 1 is up/);
		const [first] = await answers(address);
		own.deploy(`${daemonized}; exit 0`);
		expect((await command(['rotate', `-control=${own.control}`]).done).status).toBe(1);
		const [, left = ''] = await program.logged(
			/exit status 0; process(?:es)? ([\d, ]+) of it lives? on, and (?:it holds|they hold|[\d, ]+ holds?) its sockets: sending SIGTERM, and SIGKILL after 10 s; a server has to stay in the foreground/,
		);
		await until('they are gone', () => !left.split(', ').some((pid) => isAlive(Number(pid))));
		expect(await answers(address)).toEqual(new Set([first]));
	});

	it('is told, and gone, also where its first process has to be killed', async () => {
		const own = site(['-kill=300']);
		own.deploy(`(setsid SERVER </dev/null &)\ntrap "" TERM\nwhile :; do sleep 0.05; done`);
		const program = own.start();
		const address = await addressOf(program);
		await program.logged(/^Generation 1 is up/);
		const [first = 0] = await answers(address);
		own.deploy('exec SERVER');
		program.signal('SIGHUP');
		await program.logged(/signal: killed; process \d+ of it lives on, and it holds its sockets: told to leave too/);
		await until('the old server is gone', () => !isAlive(first));
		expect(await answers(address)).not.toContain(first);
	});

	/** A daemon with a worker in its group; both ignore the signal that shall end them, and answer. */
	const prefork = `setsid python3 -c 'import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
os.execvp("python3", ["python3", "-c", open("${fixture('acceptor.py')}").read().replace("signal.signal(signal.SIGTERM", "(lambda *_: None)(signal.SIGTERM")])' </dev/null &`;

	it('with workers of its own is killed whole, where it does not leave', async () => {
		const own = site(['-kill=300']);
		own.deploy(`${prefork}\ntrap "exit 0" TERM\nwhile :; do sleep 0.05; done`);
		const program = own.start();
		const address = await addressOf(program);
		await program.logged(/^Generation 1 is up/);
		await program.logged(/\] read$/, 2);
		const [first = 0] = await answers(address);
		program.signal('SIGTERM');
		await program.logged(/, left behind by \d+, still there 300 ms after it had left; killing them$/);
		expect((await program.ended).status).toBe(0);
		expect(isAlive(first)).toBe(false);
		await expect(fetch(`http://${address}/`)).rejects.toThrow();
	});

	it('with workers of its own is killed whole also where its first process ended unasked, and the supervisor ends', async () => {
		const own = site();
		own.deploy(`${prefork}\nwhile ! [ -e ${own.folder}/go ]; do sleep 0.02; done; exit 5`);
		const program = own.start();
		const address = await addressOf(program);
		await program.logged(/\] read$/, 2);
		writeFileSync(join(own.folder, 'go'), '');
		await program.logged(/left behind by \d+, still there; killing$/);
		expect((await program.ended).status).toBe(5);
		await expect(fetch(`http://${address}/`)).rejects.toThrow();
	});

	it('is told after a kill -9 and a recovery too, wherever it went when it lost its parent', async () => {
		const own = site([`-journal=${join(scratch(), 'journal')}`]);
		own.deploy('setsid SERVER </dev/null &\nwait');
		const first = own.start();
		const address = await addressOf(first);
		await first.logged(/^Generation 1 is up/);
		await first.logged(/\] read$/);
		const [old = 0] = await answers(address);
		kill(first.pid, 'SIGKILL');
		await first.ended;
		own.deploy('exec SERVER');
		const second = own.start();
		await second.logged(/^Recovered from/);
		second.signal('SIGHUP');
		await second.logged(/exit status unknown; process \d+ of it lives on, and it holds its sockets: told to leave too/);
		await until('the old server is gone', () => !isAlive(old));
		expect(await answers(address)).not.toContain(old);
	});

	/** Leaves its session, and says nothing of whose it is any more, as php-fpm does: its title is written over its environment. */
	const nameless = `env -i PATH="$PATH" INSTRUCTIONS="$INSTRUCTIONS" EINHORN_FDS=3 setsid SERVER </dev/null >/dev/null 2>&1`;

	it('and says nothing of whose it is any more, is found: a first generation', async () => {
		const own = site();
		own.deploy(`${nameless} &\nwhile ! [ -e ${own.folder}/go ]; do sleep 0.02; done; exit 0`);
		const program = own.start();
		const address = await addressOf(program);
		await program.logged(/^Generation 1 is up/);
		const [first = 0] = await answers(address);
		writeFileSync(join(own.folder, 'go'), '');
		await program.logged(new RegExp(`exit status 0; process ${first} of it lives on, and it holds its sockets`));
		await program.ended;
		expect(isAlive(first)).toBe(false);
	});

	it('and says nothing of whose it is any more, is found where it is replaced, and is not told for another one', async () => {
		const own = site();
		own.deploy(`${nameless} &\ntrap "exit 0" TERM; while :; do sleep 0.02; done`);
		const program = own.start();
		const address = await addressOf(program);
		await program.logged(/^Generation 1 is up/);
		const [first = 0] = await answers(address);
		own.deploy('exec SERVER');
		program.signal('SIGHUP');
		await program.logged(new RegExp(`process ${first} of it lives on, and it holds its sockets: told to leave too`));
		await until('the old server is gone', () => !isAlive(first));
		const [second = 0] = await answers(address);
		// Whose it is, is known where it has not left the group yet as its leader ends; else it may be one of the generation that serves.
		own.deploy(`${nameless} & exit 0`);
		expect((await command(['rotate', `-control=${own.control}`]).done).status).toBe(1);
		const [, told, left] = await program.logged(
			/exit status 0; process (\d+) of it lives on, and |^Process (\d+) holds the sockets, and which child it belongs to is not known/,
		);
		if (told) await until('it is gone', () => !isAlive(Number(told)));
		else kill(Number(left), 'SIGKILL');
		expect(isAlive(second)).toBe(true);
	});

	it('is killed with the first process that is killed for -max-draining', async () => {
		const own = site(['-max-draining=1']);
		const deaf = `setsid python3 -c 'import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
# It ends with the test.
while os.path.exists("${own.folder}"): time.sleep(0.1)' </dev/null &\ntrap "" TERM; SERVER & while :; do sleep 0.02; done`;
		own.deploy(deaf);
		const program = own.start();
		await program.logged(/^Generation 1 is up/);
		for (const generation of [2, 3]) {
			program.signal('SIGHUP');
			await program.logged(new RegExp(`^Generation ${generation} is up`));
		}
		await program.logged(/^More than 1 generations drain \(-max-draining\): killing \d+ of generation 1$/);
		const [, left = ''] = await program.logged(
			/^process(?:es)? ([\d, ]+), left behind by \d+, which was killed: killing (?:it|them) too$/,
		);
		await until('they are gone', () => !left.split(', ').some((pid) => isAlive(Number(pid))));
	});

	it.runIf(isRoot)('is told also where nobody may look at what it holds', async () => {
		const own = site();
		writeFileSync(join(own.folder, 'instructions'), 'hide accept');
		execFileSync('chmod', ['-R', '755', own.folder]);
		own.deploy('SERVER\nexit', 'hide accept');
		const program = run(
			['-listen=tcp://127.0.0.1:0', '-start=150', '-verify=none', '-signal=TERM', `-command=${own.folder}/server.sh`],
			{
				uid: 65534,
				gid: 65534,
				env: environment({ INSTRUCTIONS: join(own.folder, 'instructions'), XDG_RUNTIME_DIR: undefined }),
			},
		);
		const address = await addressOf(program);
		await program.logged(/^Generation 1 is up/);
		const [first = 0] = await answers(address);
		program.signal('SIGHUP');
		await program.logged(new RegExp(`process ${first} of it lives on, and it may hold its sockets: told to leave too`));
		await until('it is gone', () => !isAlive(first));
	});

	it('is known through two signals, also where the process between them has ended meanwhile', async () => {
		const own = site(['-stop=TERM']);
		const between = `sh -c '${nameless} & echo "between $$"; wait'`;
		own.deploy(`trap "" QUIT\n${between} &\ntrap "exit 0" TERM; while :; do sleep 0.02; done`);
		const program = own.start();
		const address = await addressOf(program);
		await program.logged(/^Generation 1 is up/);
		const [first = 0] = await answers(address);
		const [, middle] = await program.logged(/\] between (\d+)$/);
		program.signal('SIGQUIT');
		await program.logged(/^SIGQUIT: /);
		kill(Number(middle), 'SIGKILL');
		await until('it is gone', () => !isAlive(Number(middle)));
		// Another one lives that may have started it: it is known by its descent alone.
		own.deploy('exec SERVER');
		program.signal('SIGHUP');
		await program.logged(new RegExp(`process(?:es)? [\\d, ]*${first}[\\d, ]* of it lives? on, and`));
		await until('the old server is gone', () => !isAlive(first));
	});

	it('is followed where it forks as it is told', async () => {
		const own = site();
		const forks = `setsid python3 -c 'import os, signal, sys, time
left = 3
def fork(*_):
    global left
    left -= 1
    if left < 0: os._exit(0)
    # Else a new process of Python forgets the signals that it gets first.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    if os.fork(): os._exit(0)
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
signal.signal(signal.SIGTERM, fork)
os.write(1, b"forks\\n")
while True: time.sleep(0.01)' </dev/null &`;
		own.deploy(`${forks}\ntrap "exit 0" TERM\nwhile :; do sleep 0.02; done`);
		const program = own.start();
		await program.logged(/\] forks$/);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
		// Each process of the four was told once.
		const left = execFileSync(
			'sh',
			[
				'-c',
				`grep -l "SOCKETMASTER_CHILD=" /proc/[0-9]*/environ 2>/dev/null | xargs -r grep -l "${own.folder}" 2>/dev/null || true`,
			],
			{ encoding: 'utf8' },
		);
		expect(left).toBe('');
	});

	it('as the first one leaves nothing behind when the supervisor ends', async () => {
		const own = site();
		own.deploy(`${daemonized}; exit 0`);
		const program = own.start();
		const [, left = ''] = await program.logged(
			/process(?:es)? ([\d, ]+) of it lives? on, and (?:it holds|they hold|[\d, ]+ holds?) its sockets/,
		);
		await program.ended;
		expect(left.split(', ').some((pid) => isAlive(Number(pid)))).toBe(false);
	});
});
