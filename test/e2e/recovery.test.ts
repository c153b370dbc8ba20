/** The supervisor is killed at any moment, and the next one goes on where it was. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
	appendFileSync,
	chmodSync,
	chownSync,
	constants,
	existsSync,
	mkdirSync,
	openSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	symlinkSync,
	truncateSync,
	unlinkSync,
	writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lookUp } from '../../src/effects/os/proc.ts';
import { load } from '../support/load.ts';
import { randomFrom, storiesOf } from '../support/log.ts';
import { fdsOf, until, untilBlocked } from '../support/proc.ts';
import { environment, executable, fixture, isRoot, kill, type Program, run, scratch } from '../support/program.ts';

const kills = 100;

/** A supervisor that can be killed and started again: its lives share a journal, a port and a log. */
async function lives(flags: string[], child: string[], env: NodeJS.ProcessEnv = environment()) {
	const folder = scratch();
	const [journal, log] = [join(folder, 'journal'), join(folder, 'log')];
	const port = await freePort();
	const fd = openSync(log, 'a');
	const text = () => readFileSync(log, 'latin1');
	let current: Program;
	onTestFinished(() => {
		for (const [, pid] of text().matchAll(/"pid":(\d+)|\[(\d+)\] /g)) if (Number(pid) > 1) kill(Number(pid), 'SIGKILL');
		for (const pid of pidsIn(readFileSync(journal, 'utf8'))) kill(pid, 'SIGKILL');
	});
	const self = {
		journal,
		log,
		port,
		text,
		start(more: string[] = []) {
			const args = [`-listen=tcp://127.0.0.1:${port}`, `-journal=${journal}`, ...flags, ...more, ...child];
			current = run(args, { stdio: ['ignore', 'ignore', fd], env });
			return current;
		},
		pid: () => current.pid,
		signal: (name: NodeJS.Signals) => current.signal(name),
		async kill() {
			current.signal('SIGKILL');
			await current.ended;
		},
		ended: () => current.ended,
		/** Waits until a line of the log matches for the nth time. */
		async logged(pattern: RegExp, times = 1) {
			const all = new RegExp(pattern.source, 'gm');
			for (let tries = 0; tries < 2000; tries += 1) {
				const found = [...text().matchAll(all)];
				if (found.length >= times) return found[times - 1] as RegExpMatchArray;
				await new Promise((resolve) => setTimeout(resolve, 10));
			}
			throw new Error(`${pattern} did not come ${times} times:\n${text().slice(-3000)}`);
		},
	};
	return self;
}

/** The children that a journal tells of. */
function pidsIn(journal: string): number[] {
	return [...journal.matchAll(/"type":"child\.spawned".*?"pid":(\d+)/g)].map(([, pid]) => Number(pid));
}

/** How many of them live, with those whose spawn only a recovery has recorded, in its state. */
function livingChildren(journal: string): number {
	const facts = journal.split('\n').filter((line) => line.startsWith('{"seq"') || line.startsWith('{"checkpoint"'));
	const known = facts.flatMap((line) => [...line.matchAll(/"pid":(\d+),"startTime":(\d+)/g)]);
	const living = known.filter(([, pid, start]) => {
		const stat = lookUp(Number(pid));
		return stat?.isAlive && stat.startTime === Number(start);
	});
	return new Set(living.map(([, pid]) => pid)).size;
}

async function freePort(): Promise<number> {
	const probe = createServer();
	await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
	const { port } = probe.address() as { port: number };
	await new Promise((resolve) => probe.close(resolve));
	return port;
}

const answers = (port: number) =>
	new Promise<boolean>((resolve) => {
		const socket = connect(port, '127.0.0.1');
		socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
		socket.on('connect', () => socket.destroy());
	});

const shell = (script: string) => ['-verify=hold', '-command=/bin/sh', '--', '-c', script];
const patient = 'trap "echo told; exit 0" HUP TERM; echo up; while :; do sleep 0.02; done';

describe('kill -9', () => {
	it(`${kills} times at random moments under load loses no request`, async () => {
		const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
		console.log(`SEED=${seed}`);
		const random = randomFrom(seed);
		const self = await lives(['-start=100'], [`-command=${fixture('server.mjs')}`], environment({ CHATTY: '2' }));
		self.start();
		await self.logged(/Generation 1 is up/);
		const finish = await load(`127.0.0.1:${self.port}`, 4);
		const fds = fdsOf(self.pid()).length;
		for (let count = 1; count <= kills; count += 1) {
			if (random() < 0.4) self.signal('SIGHUP');
			if (random() < 0.2) self.signal('SIGUSR2');
			await new Promise((resolve) => setTimeout(resolve, random() * 250));
			await self.kill();
			self.start();
			await self.logged(/Recovered from/, count);
			// Without those that live beside the one that serves: who was about to be told to leave when a supervisor was
			// killed is not told again. Each has a pipe, a pidfd and a socket for its words; one that was taken over has two
			// more, and what goes on (a check of a new program) some more for now.
			if (count % 25 === 0) {
				await until('no fd is left over', () => {
					const living = livingChildren(readFileSync(self.journal, 'utf8'));
					// It was counted while the check of the first generation may have had files open: fewer are no leak.
					return fdsOf(self.pid()).length - 3 * (living - 1) - fds <= 2;
				});
			}
		}
		const { failures, requests, pids } = await finish();
		self.signal('SIGTERM');
		expect((await self.ended()).status).toBe(0);
		expect(failures).toEqual([]);
		expect(requests).toBeGreaterThan(kills);

		const stories = storiesOf(self.text());
		let [lost, gaps, twice] = [0, 0, 0];
		for (const { numbers, told, printed } of stories) {
			expect(told).toBeLessThanOrEqual(1);
			expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
			twice += numbers.length - new Set(numbers).size;
			const all = [0, ...numbers, ...(printed === null ? [] : [printed + 1])];
			const missing = all.slice(1).map((number, index) => number - (all[index] ?? 0) - 1);
			lost += missing.reduce((sum, count) => sum + count, 0);
			gaps += missing.filter((count) => count > 0).length;
		}
		console.log(
			`${kills} kills; ${pids.length} children answered ${requests} requests; ${lost} lines lost in ${gaps} chunks`,
		);
		expect(twice).toBe(0);
		// A kill may cost each child that prints one chunk, that was read and not yet written.
		expect(gaps).toBeLessThanOrEqual(2 * kills);
		expect(spawnSync(executable, ['replay', self.journal]).status).toBe(0);
		const zombies = pidsIn(readFileSync(self.journal, 'utf8')).filter(
			(pid) => existsSync(`/proc/${pid}/stat`) && !isZombie(pid),
		);
		expect(zombies).toEqual([]);
	}, 400_000);

	it('until -start is over: the candidate has time to be seen, and the end of the old generation is known first', async () => {
		const folder = scratch();
		const [instructions, go] = [join(folder, 'instructions'), join(folder, 'go')];
		writeFileSync(instructions, 'accept linger');
		const env = environment({ INSTRUCTIONS: instructions });
		const self = await lives(['-start=1200', '-ready=accept'], [`-command=${fixture('acceptor.py')}`], env);
		self.start();
		await self.logged(/Generation 1 is up/);
		writeFileSync(instructions, `print booted await ${go} accept`);
		self.signal('SIGHUP');
		await self.logged(/\] booted$/);
		await self.kill();
		const [first = 0] = pidsIn(readFileSync(self.journal, 'utf8'));
		kill(first, 'SIGKILL');
		// Nothing happens that could be awaited: -start goes by.
		await new Promise((resolve) => setTimeout(resolve, 1300));
		self.start();
		await self.logged(/exit status unknown/);
		writeFileSync(go, '');
		await self.logged(/Generation 2 is up/);
		self.signal('SIGTERM');
		await self.ended();
		expect(self.text()).not.toMatch(/does not accept|failed|degraded/);
	});

	it('in the wait of a rotation: the rotation is finished at its old deadline, and the old child told once', async () => {
		const self = await lives(['-start=1500'], shell(patient));
		self.start();
		await self.logged(/Generation 1 is up/);
		self.signal('SIGHUP');
		await self.logged(/\] up$/, 2);
		await self.kill();
		self.start();
		await self.logged(/Generation 2 is up/);
		await self.logged(/\] told$/);
		await self.logged(/exit status unknown$/);
		self.signal('SIGTERM');
		expect((await self.ended()).status).toBe(0);
		const facts = readFileSync(self.journal, 'utf8')
			.trim()
			.split('\n')
			.map((line) => JSON.parse(line));
		const spawned = facts.find(({ type, child }) => type === 'child.spawned' && child === 2);
		const elapsed = facts.find(({ type, child }) => type === 'timer.elapsed' && child === 2);
		expect(elapsed.at - spawned.at).toBeLessThan(1500 + 1000);
		expect(facts.filter(({ type, child }) => type === 'child.signalled' && child === 1)).toHaveLength(1);
	});

	it('in a drain: the drain goes on, and -kill ends it at its old deadline', async () => {
		const self = await lives(['-start=50', '-kill=1000'], shell('trap "" HUP; echo up; while :; do sleep 0.02; done'));
		self.start();
		await self.logged(/Generation 1 is up/);
		self.signal('SIGHUP');
		await self.logged(/Generation 2 is up/);
		await self.kill();
		self.start();
		await self.logged(/still alive 1000 ms after it was told to leave; killing it/);
		await self.logged(/exit status unknown$/);
		self.signal('SIGTERM');
		expect((await self.ended()).status).toBe(0);
	});

	it('in a stop: a start is a wish to serve, so who was told to leave leaves, and a new generation starts', async () => {
		const self = await lives(
			['-start=50'],
			shell('trap "echo told; sleep 1; exit 0" TERM; echo up; while :; do sleep 0.02; done'),
		);
		self.start();
		await self.logged(/Generation 1 is up/);
		self.signal('SIGTERM');
		await self.logged(/\] told$/);
		await self.kill();
		self.start();
		await self.logged(/A start ends the stop that an earlier supervisor had begun; \d+ will leave$/);
		await self.logged(/Generation 2 is up/);
		await self.logged(/exit status unknown$/);
		expect(self.text().match(/\] told$/gm)).toHaveLength(1);
		self.signal('SIGTERM');
		expect((await self.ended()).status).toBe(0);
	});

	it('when the next start listens elsewhere: the children are replaced at once, and the old path is gone', async () => {
		const [old, next] = [join(scratch(), 'old.sock'), join(scratch(), 'new.sock')];
		const self = await lives(['-start=50'], shell(patient));
		self.start([`-listen=unix://${old}`]);
		await self.logged(/Generation 1 is up/);
		await self.kill();
		self.start([`-listen=unix://${next}`]);
		await self.logged(/The listeners have changed: the children are replaced at once$/);
		await self.logged(/Generation 2 is up/);
		expect([existsSync(old), existsSync(next)]).toEqual([false, true]);
		await self.logged(/exit status unknown$/);
	});

	it('of a server that prints to its stderr alone: that is taken over', async () => {
		const self = await lives(
			['-start=50'],
			shell('exec >/dev/null; trap "exit 0" TERM; while :; do echo "some words to fill a pipe with" >&2; done'),
		);
		self.start();
		await self.logged(/Generation 1 is up/);
		await self.kill();
		const [child = 0] = pidsIn(readFileSync(self.journal, 'utf8'));
		await untilBlocked(child);
		self.start();
		const before = (await self.logged(/Recovered from/)).index ?? 0;
		await until('more of it', () => self.text().length > before + 300_000);
		self.signal('SIGTERM');
		expect((await self.ended()).status).toBe(0);
		expect(self.text()).not.toContain('prints elsewhere');
	});

	it('of a server that sets its process title, over its environment: it is taken over all the same', async () => {
		const title = `$0 = "x" x 5000; $SIG{TERM} = $SIG{HUP} = sub { exit 0 }; $| = 1; print "up\\n"; sleep 1 while 1`;
		const self = await lives(['-start=50'], ['-verify=hold', '-command=/usr/bin/perl', '--', '-e', title]);
		self.start();
		await self.logged(/Generation 1 is up/);
		await self.kill();
		const [child = 0] = pidsIn(readFileSync(self.journal, 'utf8'));
		expect(readFileSync(`/proc/${child}/environ`, 'latin1')).not.toContain('SOCKETMASTER_RUN');
		self.start();
		await self.logged(/Recovered from/);
		self.signal('SIGHUP');
		await self.logged(/Generation 2 is up/);
		expect(self.text()).not.toContain('prints elsewhere');
	});

	it('while what a failed version left behind is being stopped: the next supervisor ends it, and the service goes on', async () => {
		const folder = scratch();
		const [cur, bad] = [join(folder, 'cur'), join(folder, 'bad')];
		writeFileSync(
			bad,
			`#!/usr/bin/python3
import os, signal, socket, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork():
    time.sleep(0.2)
    os._exit(1)
listener = socket.socket(fileno=3)
os.write(1, b"left %d\\n" % os.getpid())
time.sleep(600)
`,
			{ mode: 0o755 },
		);
		writeFileSync(join(folder, 'instructions'), 'accept');
		symlinkSync(fixture('acceptor.py'), cur);
		const env = environment({ INSTRUCTIONS: join(folder, 'instructions') });
		const self = await lives(['-ready=accept', '-start=5000', '-signal=TERM'], [`-command=${cur}`], env);
		self.start();
		await self.logged(/Generation 1 is up/);
		unlinkSync(cur);
		symlinkSync(bad, cur);
		self.signal('SIGHUP');
		await self.logged(/Generation 2 failed/);
		const left = Number((await self.logged(/\] left (\d+)$/))[1]);
		onTestFinished(() => void kill(left, 'SIGKILL'));
		expect(kill(left, 0)).toBe(true);
		await self.kill();
		self.start();
		await self.logged(/Recovered from/);
		await self.logged(
			new RegExp(`Sending SIGTERM to ${left}, which an earlier supervisor has left, and SIGKILL after 10 s$`),
		);
		await until('it is gone', () => !kill(left, 0));
		expect((await fetch(`http://127.0.0.1:${self.port}/`)).status).toBe(200);
	});

	it.each([
		['without -kill', []],
		['with -kill', ['-kill=60000']],
	])(
		'during a drain by processes whose leader has exited, %s: it goes on, and a stop waits for them',
		async (_, flags) => {
			// The worker holds the listener when its leader exits, and closes it later, as a server does that serves its last clients.
			const go = join(scratch(), 'go');
			const there = `[ -d ${dirname(go)} ]`;
			const worker = `trap "" TERM; sh -c 'echo worker $PPID'; while ${there} && ! [ -e ${go} ]; do sleep 0.02; done; exec 3<&-; echo closed; while ${there}; do sleep 0.02; done`;
			const script = `trap "exit 0" TERM; (${worker}) & echo up; while :; do sleep 0.02; done`;
			const self = await lives(['-start=50', '-signal=TERM', ...flags], shell(script));
			self.start();
			await self.logged(/Generation 1 is up/);
			self.signal('SIGHUP');
			await self.logged(/of it lives? on, and .* its sockets/);
			const [, left = ''] = await self.logged(/\] worker (\d+)$/);
			onTestFinished(() => {
				for (const [, pid] of self.text().matchAll(/\] worker (\d+)$/gm)) kill(Number(pid), 'SIGKILL');
			});
			await self.logged(/Generation 2 is up/);
			writeFileSync(go, '');
			await self.logged(/\] closed$/);
			await self.kill();
			self.start();
			await self.logged(/Recovered from/);
			const facts = () =>
				readFileSync(self.journal, 'utf8')
					.split('\n')
					.slice(0, -1)
					.map((line) => JSON.parse(line));
			await until('it stands in the journal', () => facts().some(({ type }) => type === 'supervisor.recovered'));
			self.signal('SIGHUP');
			await self.logged(/Generation 3 is up/);
			expect(facts().filter(({ type }) => type === 'group.gone')).toEqual([]);
			kill(Number(left), 'SIGKILL');
			await until('the drain is over', () => facts().some(({ type, child }) => type === 'group.gone' && child === 1));
		},
	);

	it('and the death of a draining leader, whose workers say nothing of whose they are: they are not taken for what a lost child left', async () => {
		const folder = scratch();
		writeFileSync(join(folder, 'instructions'), 'accept linger');
		const server = `env -i PATH="$PATH" INSTRUCTIONS=${folder}/instructions EINHORN_FDS=3 python3 ${fixture('acceptor.py')}`;
		const self = await lives(
			['-start=50', '-signal=HUP'],
			shell(`trap "" HUP; ${server} & echo "worker $!"; wait; sleep 60`),
		);
		onTestFinished(() => {
			for (const [, pid] of self.text().matchAll(/\] worker (\d+)$/gm)) kill(Number(pid), 'SIGKILL');
		});
		self.start();
		const [, worker = ''] = await self.logged(/\] worker (\d+)$/);
		await self.logged(/\] read$/);
		await self.logged(/Generation 1 is up/);
		self.signal('SIGHUP');
		await self.logged(/Generation 2 is up/);
		await self.kill();
		const [leader = 0] = pidsIn(readFileSync(self.journal, 'utf8'));
		kill(leader, 'SIGKILL');
		self.start();
		await self.logged(new RegExp(`^.*${leader} exit status unknown; .*${worker}.* its sockets`));
		expect(self.text()).not.toContain('which an earlier supervisor has left');
	});

	it('and the death of a master leave its workers reading nothing: what they print is taken over', async () => {
		const go = join(scratch(), 'go');
		const fill = `i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo "a worker, filling the pipe"; done`;
		const worker = `trap "" HUP TERM; while ! [ -e ${go} ]; do sleep 0.02; done; ${fill}; exec sleep 1000`;
		const self = await lives(['-start=50'], shell(`(${worker}) & echo "worker $!"; wait`));
		self.start();
		const [, pid] = await self.logged(/\] worker (\d+)$/);
		await self.logged(/Generation 1 is up/);
		await self.kill();
		for (const child of pidsIn(readFileSync(self.journal, 'utf8'))) kill(child, 'SIGKILL');
		// The generation that follows has one of its own.
		onTestFinished(() => {
			for (const [, worker] of self.text().matchAll(/\] worker (\d+)$/gm)) kill(Number(worker), 'SIGKILL');
		});
		writeFileSync(go, '');
		await untilBlocked(Number(pid));
		const before = self.text().length;
		self.start();
		await until('more of it', () => self.text().length > before + 300_000);
	});

	it('and the death of a master whose workers say nothing of whose they are: the next start has their sockets, and tells them when it is up', async () => {
		const server = `env -i PATH="$PATH" INSTRUCTIONS=FOLDER/instructions EINHORN_FDS=3 python3 ${fixture('acceptor.py')}`;
		const folder = scratch();
		writeFileSync(join(folder, 'instructions'), 'accept');
		const self = await lives(['-start=50', '-signal=TERM'], shell(`${server.replace('FOLDER', folder)}; exit`));
		self.start();
		await self.logged(/Generation 1 is up/);
		const old = Number(await (await fetch(`http://127.0.0.1:${self.port}/`)).text());
		await self.kill();
		for (const pid of pidsIn(readFileSync(self.journal, 'utf8'))) kill(pid, 'SIGKILL');
		self.start();
		await self.logged(new RegExp(`Processes ${old} of an earlier supervisor live on`));
		await self.logged(
			new RegExp(`Sending SIGTERM to ${old}, which an earlier supervisor has left, and SIGKILL after 10 s$`),
		);
		await until('the old one is gone', () => !kill(old, 0));
		expect(Number(await (await fetch(`http://127.0.0.1:${self.port}/`)).text())).not.toBe(old);
	});

	it('while a child prints: not a line is missing that was printed without a supervisor', async () => {
		const script = 'trap "exit 0" TERM; i=0; while :; do i=$((i+1)); echo "number $i"; sleep 0.005; done';
		const self = await lives(['-start=50'], shell(script));
		self.start();
		await self.logged(/Generation 1 is up/);
		await self.kill();
		const before = self.text().match(/number \d+$/gm)?.length ?? 0;
		await new Promise((resolve) => setTimeout(resolve, 500));
		self.start();
		await self.logged(/number \d+$/, before + 60);
		self.signal('SIGTERM');
		await self.ended();
		const numbers = [...self.text().matchAll(/number (\d+)$/gm)].map(([, number]) => Number(number));
		const missing = numbers.flatMap((number, index) => number - (numbers[index - 1] ?? 0) - 1);
		// One chunk may have been read and not written: here that is a line or two.
		expect(missing.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(2);
	});

	it('of a supervisor whose children have all died meanwhile is followed by a fresh start', async () => {
		const self = await lives(['-start=50'], shell(patient));
		self.start();
		await self.logged(/Generation 1 is up/);
		await self.kill();
		for (const pid of pidsIn(readFileSync(self.journal, 'utf8'))) kill(pid, 'SIGKILL');
		for (let tries = 0; (await answers(self.port)) && tries < 100; tries += 1)
			await new Promise((resolve) => setTimeout(resolve, 10));
		self.start();
		await self.logged(/Generation 1 is up/, 2);
		expect(self.text()).not.toMatch(/Recovered/);
	});

	it.each([
		['-chdir', 'Unable to use -chdir'],
		['-env', 'Unable to read -env'],
		['-command', 'Could not find executable'],
	])('and a %s that is gone: the children serve on, and a rotation follows when it is back', async (flag, sentence) => {
		const folder = scratch();
		const release = join(folder, 'release');
		mkdirSync(release);
		writeFileSync(join(release, 'env'), 'A=1\n');
		writeFileSync(join(release, 'server'), `#!/bin/sh\nexec ${fixture('server.mjs')}\n`, { mode: 0o755 });
		const named = { '-chdir': release, '-env': join(release, 'env'), '-command': join(release, 'server') };
		const other = Object.entries(named).map(([name, path]) =>
			name === flag ? `${name}=${path}` : name === '-command' ? `-command=${fixture('server.mjs')}` : '',
		);
		const self = await lives(['-start=100', '-verify=hold', ...other.filter(Boolean)], []);
		self.start();
		await self.logged(/Generation 1 is up/);
		await self.kill();
		renameSync(release, `${release}.gone`);
		self.start();
		await self.logged(new RegExp(`${sentence}.*; the children of the earlier program are taken over$`));
		await self.logged(/Recovered from/);
		expect(await answers(self.port)).toBe(true);
		self.signal('SIGHUP');
		await self.logged(/Generation 2 failed: .*; generation 1 keeps serving$/);
		renameSync(`${release}.gone`, release);
		self.signal('SIGHUP');
		await self.logged(/Generation 3 is up/);
		self.signal('SIGTERM');
		expect((await self.ended()).status).toBe(0);
	});

	it('and a command that is not there, where no children live, is refused, and leaves nothing behind', async () => {
		const self = await lives(['-start=100'], ['-command=/nonexistent/server']);
		writeFileSync(self.journal, '');
		self.start();
		expect((await self.ended()).status).toBe(1);
		expect(self.text()).toMatch(/Could not find executable/);
		expect(await answers(self.port)).toBe(false);
	});

	it('of a supervisor that runs: another start says so, and nothing of taking over', async () => {
		const port = await freePort();
		const flags = [
			'-journal=',
			`-listen=tcp://127.0.0.1:${port}`,
			'-start=100',
			'-verify=hold',
			'-command=sleep',
			'--',
			'1000',
		];
		const first = run(flags);
		await first.logged(/^Generation 1 is up/);
		const second = run(flags);
		await second.logged(
			new RegExp(`is held by .*; ${first.pid} is a supervisor that runs: socketmaster status shows it`),
		);
		expect((await second.ended).status).toBe(1);
		first.signal('SIGTERM');
		await first.ended;
	});

	it('of a supervisor without a journal: the next start says how its child is taken over', async () => {
		const port = await freePort();
		const flags = [`-listen=tcp://127.0.0.1:${port}`, '-start=100', '-verify=hold', '-command=sleep', '--', '1000'];
		const first = run(['-journal=', ...flags]);
		const [, child = ''] = await first.logged(/^Generation 1 is up \((\d+)\)/);
		onTestFinished(() => void kill(Number(child), 'SIGKILL'));
		first.signal('SIGKILL');
		await first.ended;
		const second = run(['-journal=', ...flags]);
		await second.logged(
			new RegExp(
				`is held by ${child} \\(sleep\\); ${child} is a child of an earlier supervisor: start with -journal=PATH`,
			),
		);
		expect((await second.ended).status).toBe(1);
		const third = run([`-journal=${join(scratch(), 'journal')}`, ...flags]);
		await third.logged(new RegExp(`took over ${child}`));
		third.signal('SIGTERM');
		expect((await third.ended).status).toBe(0);
	});

	it('of a supervisor with a UNIX listener: the path stays, and is removed at the end', async () => {
		const path = join(scratch(), 'server.sock');
		const self = await lives(['-start=50', `-listen=unix://${path}`], shell(patient));
		self.start();
		await self.logged(/Generation 1 is up/);
		const { ino } = statSync(path);
		await self.kill();
		self.start();
		await self.logged(/Recovered from/);
		expect(statSync(path).ino).toBe(ino);
		self.signal('SIGTERM');
		await self.ended();
		expect(existsSync(path)).toBe(false);
	});

	it('and a start that then fails leave the served path alone', async () => {
		const path = join(scratch(), 'server.sock');
		const self = await lives(['-start=50', `-listen=unix://${path}`], shell(patient));
		self.start();
		await self.logged(/Generation 1 is up/);
		const { ino } = statSync(path);
		await self.kill();
		self.start(['-listen=tcp://192.0.2.1:1']);
		expect((await self.ended()).status).toBe(1);
		expect(statSync(path).ino).toBe(ino);
		self.start();
		await self.logged(/Recovered from/, 2);
	});

	it('between a spawn and its record: the child is found by its environment', async () => {
		const self = await lives(['-start=200'], shell(patient));
		self.start();
		await self.logged(/Generation 1 is up/);
		self.signal('SIGHUP');
		await self.logged(/\] up$/, 2);
		await self.kill();
		// As if it had been killed a moment earlier: the record of the second child is gone.
		const lines = readFileSync(self.journal, 'utf8').split('\n');
		const spawned = lines.findIndex((line) => line.includes('"type":"child.spawned","child":2'));
		const { pid, clock } = JSON.parse(lines[spawned] ?? '');
		writeFileSync(self.journal, `${lines.slice(0, spawned).join('\n')}\n`);
		self.start();
		await self.logged(new RegExp(`Recovered from .*: took over \\d+, ${pid}$`));
		const recoveredLine = () =>
			readFileSync(self.journal, 'utf8')
				.split('\n')
				.slice(0, -1)
				.find((line) => line.includes('supervisor.recovered'));
		await until('the recovery is recorded', () => recoveredLine() !== undefined);
		const { children } = JSON.parse(recoveredLine() ?? '').state;
		// Its waits count from its spawn, not from the boot of the machine.
		const { spawnedClock } = children.find((child: { pid: number }) => child.pid === pid);
		expect(Math.abs(spawnedClock - clock)).toBeLessThan(1000);
		await self.logged(new RegExp(`Generation 2 is up \\(${pid}\\)`));
		expect(self.text().match(/Starting/g)).toHaveLength(2);
	});

	it.each([0, 1])('before a spawn that was recorded as to come: the rotation begins again (%i)', async (spawning) => {
		const self = await lives(['-start=200'], shell(patient));
		self.start();
		await self.logged(/Generation 1 is up/);
		await self.kill();
		const { seq, at } = JSON.parse(readFileSync(self.journal, 'utf8').trim().split('\n').at(-1) ?? '');
		appendFileSync(self.journal, `{"seq":${seq + 1},"at":${at},"type":"signal.HUP"}\n`);
		appendFileSync(
			self.journal,
			`{"seq":${seq + 2},"at":${at},"type":"generation.started","generation":2,"trigger":"SIGHUP","size":1}\n`,
		);
		if (spawning) {
			appendFileSync(
				self.journal,
				`{"seq":${seq + 3},"at":${at},"type":"child.spawning","child":2,"generation":2,"index":0}\n`,
			);
		}
		self.start();
		await self.logged(/Generation 3 is up/);
		await self.logged(/\] told$/);
	});

	it('right after a request was recorded: the request is answered', async () => {
		const self = await lives(['-start=50'], shell(patient));
		self.start();
		await self.logged(/Generation 1 is up/);
		await self.kill();
		const { seq, at } = JSON.parse(readFileSync(self.journal, 'utf8').trim().split('\n').at(-1) ?? '');
		appendFileSync(self.journal, `{"seq":${seq + 1},"at":${at},"type":"signal.HUP"}\n`);
		self.start();
		await self.logged(/SIGHUP: starting generation 2/);
		await self.logged(/Generation 2 is up/);
		await self.logged(/\] told$/);
	});

	it('leaves a stranger alone that got the number of a child', async () => {
		const self = await lives(['-start=50'], shell(patient));
		self.start();
		await self.logged(/Generation 1 is up/);
		await self.kill();
		const [child = 0] = pidsIn(readFileSync(self.journal, 'utf8'));
		const nonChild = spawn('/bin/sleep', ['60']);
		onTestFinished(() => void nonChild.kill());
		const text = readFileSync(self.journal, 'utf8').replaceAll(`"pid":${child},`, `"pid":${nonChild.pid},`);
		writeFileSync(self.journal, text);
		kill(child, 'SIGKILL');
		for (let tries = 0; (await answers(self.port)) && tries < 100; tries += 1)
			await new Promise((resolve) => setTimeout(resolve, 10));
		self.start();
		await self.logged(/Generation 1 is up/, 2);
		self.signal('SIGTERM');
		await self.ended();
		expect(nonChild.exitCode).toBeNull();
		expect(nonChild.signalCode).toBeNull();
	});
});

function isZombie(pid: number): boolean {
	return readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
}

describe('a child that ended while there was no supervisor', () => {
	it('has nothing to do with the group of a stranger who has its number by now', async () => {
		const self = await lives(['-start=50', '-workers=2', '-kill=300'], shell(patient));
		self.start();
		await self.logged(/Generation 1 is up/);
		await self.kill();
		const [pid = 0] = pidsIn(readFileSync(self.journal, 'utf8'));
		kill(pid, 'SIGKILL');
		const nonChild = spawn('/bin/sh', ['-c', 'sleep 1000 & echo $!; exec sleep 1000'], {
			detached: true,
			stdio: ['ignore', 'pipe', 'ignore'],
		});
		const [said] = await once(nonChild.stdout, 'data');
		const nonChildren = [nonChild.pid ?? 0, Number(said)];
		onTestFinished(() => nonChildren.forEach((each) => void kill(each, 'SIGKILL')));
		const facts = readFileSync(self.journal, 'utf8').replaceAll(`"pid":${pid},`, `"pid":${nonChild.pid},`);
		writeFileSync(self.journal, facts);
		self.start();
		await self.logged(new RegExp(`${nonChild.pid} exit status unknown$`));
		self.signal('SIGTERM');
		expect((await self.ended()).status).toBe(0);
		expect(nonChildren.map((each) => kill(each, 0))).toEqual([true, true]);
	});
});

describe('a journal', () => {
	/** A life that was killed and left a child, or has ended well; then another one on the same journal. */
	const killed = async () => {
		const self = await lives(['-start=50'], shell(patient));
		self.start();
		await self.logged(/Generation 1 is up/);
		await self.kill();
		return self;
	};

	it('with a torn last line is read up to there', async () => {
		const self = await killed();
		appendFileSync(self.journal, '{"seq":99,"at":1,"ty');
		self.start();
		await self.logged(/line \d+ is torn off; it was left out$/);
		await self.logged(/Recovered from/);
		self.signal('SIGTERM');
		await self.ended();
		expect(spawnSync(executable, ['replay', self.journal]).status).toBe(0);
	});

	it.each([
		'{"seq":99,"at":1,"checkpoint":null}',
		'{}',
		'{"seq":99,"at":1,"type":"supervisor.recovered","pid":1,"by":"start","state":{"children":null}}',
		'{"seq":99,"at":1,"type":"constructor"}',
		'no JSON at all',
		'{"seq":99,"at":1,"type":"child.married","child":1}',
		'{"seq":99,"at":1,"type":"child.exited","child":"x"}',
		'{"seq":99,"at":1e20,"type":"signal.HUP"}',
	])('with the line %s is read up to there, and what follows is kept beside it', async (line) => {
		const self = await killed();
		const number = readFileSync(self.journal, 'utf8').split('\n').length;
		appendFileSync(self.journal, `${line}\n`);
		self.start();
		await self.logged(new RegExp(`line ${number} is no fact( of a known shape)?; it was read up to there$`));
		await self.logged(/Recovered from/);
		expect(readFileSync(`${self.journal}.bad`, 'utf8')).toBe(`${line}\n`);
	});

	it('that is damaged, and can’t be kept beside it, does not keep anybody from serving', async () => {
		const self = await killed();
		mkdirSync(`${self.journal}.bad`);
		appendFileSync(self.journal, '{}\n');
		self.start();
		await self.logged(/the rest could not be kept in .*\.bad, and is lost: /);
		await self.logged(/Recovered from/);
	});

	it('of an older program is put aside, and a new one begins', async () => {
		const self = await lives(['-start=50'], shell(patient));
		const old =
			'{"journal":2,"program":"x","boot":"b","run":"of-old","pid":1,"startTime":1,"args":[],"listeners":[]}\n';
		writeFileSync(self.journal, old);
		self.start();
		await self.logged(
			/Journal .*: its format 2 is older than this program, which knows 4 to 5; version x, which wrote it/,
		);
		await self.logged(/Generation 1 is up/);
		expect(readFileSync(`${self.journal}.bad`, 'utf8')).toBe(old);
	});

	it('whose first fact comes before the start is read up to there', async () => {
		const self = await lives(['-start=50'], shell(patient));
		const header =
			'{"journal":4,"program":"x","boot":"b","run":"r","pid":1,"startTime":1,"args":[],"listeners":[],"words":null}';
		writeFileSync(self.journal, `${header}\n{"seq":1,"at":1,"type":"signal.HUP"}\n`);
		self.start();
		await self.logged(/line 2 is a fact before the start; it was read up to there$/);
		await self.logged(/Generation 1 is up/);
	});

	it('with bytes that are no UTF-8, and a torn tail, is cut where it was understood', async () => {
		const self = await killed();
		const sound = readFileSync(self.journal);
		appendFileSync(self.journal, Buffer.concat([Buffer.from([0xff, 0xfe, 0x80, 10]), Buffer.from('{"seq":9')]));
		self.start();
		await self.logged(/Recovered from/);
		expect(readFileSync(self.journal).subarray(0, sound.length)).toEqual(sound);
		expect(readFileSync(self.journal).includes(0)).toBe(false);
		expect(spawnSync(executable, ['replay', self.journal]).status).toBe(0);
	});

	it('that can’t be compacted keeps growing, with one line in the log', async () => {
		const self = await killed();
		mkdirSync(`${self.journal}.new`);
		const last = JSON.parse(readFileSync(self.journal, 'utf8').trim().split('\n').at(-1) ?? '');
		let text = '';
		for (let seq = last.seq + 1; text.length < 1024 * 1024; seq += 1) {
			text += `${JSON.stringify({ seq, at: last.at, type: 'upgrade.refused', reason: 'x'.repeat(900) })}\n`;
		}
		appendFileSync(self.journal, text);
		self.start();
		await self.logged(/Recovered from/);
		for (let count = 2; count <= 6; count += 1) {
			self.signal('SIGHUP');
			await self.logged(new RegExp(`Generation ${count} is up`));
		}
		await self.logged(/exit status (unknown|0)$/, 5);
		self.signal('SIGTERM');
		await self.ended();
		expect(self.text().match(/can't be compacted: .*; it keeps growing$/gm)).toHaveLength(1);
		expect(self.text()).not.toMatch(/can't be written/);
		const replayed = spawnSync(executable, ['replay', self.journal], { encoding: 'utf8', maxBuffer: 1 << 26 });
		expect(replayed).toMatchObject({ status: 0, stderr: '' });
		expect(replayed.stdout).not.toContain('facts are missing');
	});

	it('that is empty is a fresh start', async () => {
		const self = await lives(['-start=50'], shell(patient));
		writeFileSync(self.journal, '');
		self.start();
		await self.logged(/Generation 1 is up/);
		expect(statSync(self.journal).mode & 0o777).toBe(0o644);
	});

	it('is readable for its owner alone', async () => {
		const self = await killed();
		expect(statSync(self.journal).mode & 0o777).toBe(0o600);
	});

	it('from another boot is a fresh start', async () => {
		const self = await killed();
		const [child = 0] = pidsIn(readFileSync(self.journal, 'utf8'));
		writeFileSync(self.journal, readFileSync(self.journal, 'utf8').replace(/"boot":"[^"]*"/, '"boot":"another"'));
		const other = run([`-listen=tcp://127.0.0.1:0`, `-journal=${self.journal}`, '-start=50', ...shell(patient)]);
		await other.logged(/^Generation 1 is up/);
		expect(kill(child, 0)).toBe(true);
	});

	const bad: [string, (path: string) => void, RegExp][] = [
		[
			'is garbage',
			(path) => writeFileSync(path, 'precious data\n'),
			/^Unable to use journal .*: line 1 is no journal header$/,
		],
		[
			'belongs to somebody else',
			(path) => {
				writeFileSync(path, '{"journal":4}\n');
				chownSync(path, 65534, 65534);
			},
			/^Unable to open journal .*: it belongs to another user \(uid 65534\)$/,
		],
		[
			'others may write to',
			(path) => {
				writeFileSync(path, '{"journal":4}\n');
				chmodSync(path, 0o620);
			},
			/^Unable to open journal .*: others may write to it$/,
		],
		['is a directory', (path) => mkdirSync(path), /^Unable to open journal .*: illegal operation on a directory$/],
	];
	it.each(bad)('that %s is refused in one sentence and left as it is', async (_, make, says) => {
		const path = join(scratch(), 'journal');
		make(path);
		const before = statSync(path).size;
		const program = run(['-listen=tcp://127.0.0.1:0', `-journal=${path}`, '-command=/bin/true']);
		expect((await program.ended).status).toBe(1);
		expect(program.lines().at(-1)).toMatch(says);
		expect(statSync(path).size).toBe(before);
	});

	it('in a directory that does not exist is refused in one sentence', async () => {
		const program = run(['-listen=tcp://127.0.0.1:0', '-journal=/nonexistent/journal', '-command=/bin/true']);
		expect((await program.ended).status).toBe(1);
		expect(program.lines().at(-1)).toBe('Unable to open journal /nonexistent/journal: no such file or directory');
	});

	it('of another running supervisor is refused', async () => {
		const self = await lives(['-start=50'], shell(patient));
		self.start();
		await self.logged(/Generation 1 is up/);
		const second = run(['-listen=tcp://127.0.0.1:0', `-journal=${self.journal}`, '-command=/bin/true']);
		expect((await second.ended).status).toBe(1);
		expect(second.lines().at(-1)).toBe(`Unable to open journal ${self.journal}: another supervisor writes to it`);
	});

	it('lies in $RUNTIME_DIRECTORY when no path is given', async () => {
		const folder = scratch();
		const env = environment({ RUNTIME_DIRECTORY: folder });
		const program = run(['-listen=tcp://127.0.0.1:0', '-start=0', '-command=/bin/true'], { env });
		await program.ended;
		expect(readFileSync(join(folder, 'journal'), 'utf8')).toMatch(/^\{"journal":5,/);
	});

	it.runIf(isRoot)(
		'on a full disk costs one line in the log; when there is room again it goes on, with a mark',
		async () => {
			const folder = scratch();
			execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', folder]);
			onTestFinished(() => void spawnSync('umount', ['-l', folder]));
			const path = join(folder, 'journal');
			const program = run(['-listen=tcp://127.0.0.1:0', '-start=0', `-journal=${path}`, ...shell(patient)]);
			await program.logged(/^Generation 1 is up/);
			spawnSync('sh', ['-c', `cat /dev/zero > ${folder}/filler`]);
			const size = statSync(path).size;
			truncateSync(path, size);
			for (let count = 1; count <= 40; count += 1) {
				program.signal('SIGHUP');
				await program.logged(/exit status 0$|signal: hangup$/, count);
			}
			expect(
				program.lines().filter((line) => /can't be written: no space left on device; supervision continues/.test(line)),
			).toHaveLength(1);
			execFileSync('rm', [`${folder}/filler`]);
			program.signal('SIGHUP');
			await program.logged(/is written again; what happened in between is missing in it$/);
			program.signal('SIGTERM');
			expect((await program.ended).status).toBe(0);
			const replay = spawnSync(executable, ['replay', path], { encoding: 'utf8' });
			expect(replay.stdout).toContain('facts are missing before it');
			expect(replay.stderr).toBe('');
			expect(replay.status).toBe(0);
		},
	);

	it('that somebody removes is written anew at once, and a start after a crash finds it', async () => {
		const self = await lives(['-start=50'], shell(patient));
		self.start();
		await self.logged(/Generation 1 is up/);
		rmSync(self.journal);
		await self.logged(/Somebody has removed the journal .*; it is written anew$/);
		await self.kill();
		self.start();
		await self.logged(/Recovered from .*: took over \d+$/);
		self.signal('SIGTERM');
		expect((await self.ended()).status).toBe(0);
	});

	it.each([
		['truncates', (path: string) => truncateSync(path, 0), 'truncated'],
		['cuts short', (path: string) => truncateSync(path, 100), 'truncated'],
		['adds to', (path: string) => appendFileSync(path, 'x'), 'written to'],
	])('that somebody %s is written anew at once, and a start after a crash finds it', async (_, spoil, what) => {
		const self = await lives(['-start=50'], shell(patient));
		self.start();
		await self.logged(/Generation 1 is up/);
		// As logrotate's copytruncate does.
		spoil(self.journal);
		await self.logged(new RegExp(`Somebody has ${what} the journal .*; it is written anew$`));
		expect(readFileSync(self.journal, 'latin1')).not.toContain('\0');
		await self.kill();
		self.start();
		await self.logged(/Recovered from .*: took over \d+$/);
		self.signal('SIGTERM');
		expect((await self.ended()).status).toBe(0);
	});

	it('in the place of which somebody has put another is not written over', async () => {
		const self = await lives(['-start=50'], shell(patient));
		self.start();
		await self.logged(/Generation 1 is up/);
		writeFileSync(`${self.journal}.other`, 'other\n');
		renameSync(`${self.journal}.other`, self.journal);
		self.signal('SIGHUP');
		await self.logged(/Somebody has put another file at .*: a start after a crash goes by that one$/);
		await self.logged(/Generation 2 is up/);
		self.signal('SIGTERM');
		expect((await self.ended()).status).toBe(0);
		expect(readFileSync(self.journal, 'utf8')).toBe('other\n');
	});

	it('whose folder is gone is said once to be lost, and written anew when there is one again', async () => {
		const folder = join(scratch(), 'folder');
		mkdirSync(folder);
		const journal = join(folder, 'journal');
		const program = run(['-listen=tcp://127.0.0.1:0', '-start=50', `-journal=${journal}`, ...shell(patient)]);
		await program.logged(/^Generation 1 is up/);
		// By one step, or the journal is written anew before its folder is gone.
		renameSync(folder, `${folder}.old`);
		rmSync(`${folder}.old`, { recursive: true });
		for (const generation of [2, 3]) {
			program.signal('SIGHUP');
			await program.logged(new RegExp(`^Generation ${generation} is up`));
		}
		mkdirSync(folder);
		program.signal('SIGHUP');
		await program.logged(/^Somebody has removed the journal .*; it is written anew$/);
		expect(program.lines().filter((line) => line.includes('journal'))).toEqual([
			`Somebody has removed the journal ${journal}, and it can't be written anew: no such file or directory`,
			`Somebody has removed the journal ${journal}; it is written anew`,
		]);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
	});

	it('that can’t be looked at any more is said once, and nobody ends for it', async () => {
		const folder = join(scratch(), 'folder');
		mkdirSync(folder);
		const program = run(['-listen=tcp://127.0.0.1:0', '-start=50', `-journal=${folder}/journal`, ...shell(patient)]);
		await program.logged(/^Generation 1 is up/);
		renameSync(folder, `${folder}.old`);
		rmSync(`${folder}.old`, { recursive: true });
		await program.logged(/^Somebody has removed the journal /);
		writeFileSync(folder, 'a file');
		for (const generation of [2, 3]) {
			program.signal('SIGHUP');
			await program.logged(new RegExp(`^Generation ${generation} is up`));
		}
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
		expect(program.lines().filter((line) => /journal|Internal/.test(line))).toEqual([
			`Somebody has removed the journal ${folder}/journal, and it can't be written anew: no such file or directory`,
			`The journal ${folder}/journal can't be looked at: not a directory`,
		]);
	});

	it('that knows nothing of a child has it named', async () => {
		const self = await lives(['-start=50', '-signal=USR1'], shell('trap "" USR1; while :; do sleep 0.02; done'));
		self.start();
		await self.logged(/Generation 1 is up/);
		const known = readFileSync(self.journal, 'utf8');
		self.signal('SIGHUP');
		await self.logged(/Generation 2 is up/);
		await self.kill();
		const [, unknown = 0] = pidsIn(readFileSync(self.journal, 'utf8'));
		onTestFinished(() => void kill(unknown, 'SIGKILL'));
		writeFileSync(self.journal, known);
		self.start();
		await self.logged(
			new RegExp(`Processes ${unknown} of an earlier supervisor live on, and are no child that it knew$`),
		);
	});

	it('is compacted when it has grown, and the next life recovers from it', async () => {
		const self = await killed();
		const lines = readFileSync(self.journal, 'utf8').trim().split('\n');
		const last = JSON.parse(lines.at(-1) ?? '');
		let text = `${lines.join('\n')}\n`;
		for (let seq = last.seq + 1; text.length < 1024 * 1024; seq += 1) {
			text += `${JSON.stringify({ seq, at: last.at, type: 'upgrade.refused', reason: 'x'.repeat(900) })}\n`;
		}
		writeFileSync(self.journal, text);
		self.start();
		await self.logged(/Recovered from/);
		self.signal('SIGHUP');
		await self.logged(/exit status unknown$/);
		await self.logged(/Generation 2 is up/);
		expect(statSync(self.journal).size).toBeLessThan(10_000);
		await self.kill();
		self.start();
		await self.logged(/Recovered from/, 2);
		self.signal('SIGTERM');
		expect((await self.ended()).status).toBe(0);
		expect(spawnSync(executable, ['replay', self.journal]).status).toBe(0);
	});
});

describe('without the right to', () => {
	it.runIf(isRoot)('take over, it says what is missing and who holds the address', async () => {
		const self = await lives(['-start=50'], shell(patient));
		self.start();
		await self.logged(/Generation 1 is up/);
		await self.kill();
		const [child = 0] = pidsIn(readFileSync(self.journal, 'utf8'));
		chmodSync(join(self.journal, '..'), 0o777);
		chownSync(self.journal, 65534, 65534);
		const args = [`-listen=tcp://127.0.0.1:${self.port}`, `-journal=${self.journal}`, '-start=50', ...shell(patient)];
		const other = run(['--reuid=65534', '--regid=65534', '--clear-groups', executable, ...args], {
			command: 'setpriv',
		});
		expect((await other.ended).status).toBe(1);
		expect(other.lines()).toEqual([
			`Children ${child} of an earlier supervisor can't be taken over: operation not permitted (it takes CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, or the same user and ptrace allowed)`,
			`Unable to open socket listen tcp 127.0.0.1:${self.port}: bind: address already in use; children of an earlier supervisor hold it: ${child}`,
		]);
		expect(kill(child, 0)).toBe(true);
		// A socket that is inherited can be opened all the same: that is no reason for a second set of children.
		const script = `import os, socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); os.dup2(s.fileno(), 9); os.execvp("setpriv", ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "${executable}", "-listen=fd://9", "-journal=${self.journal}", '-verify=hold', "-command=/bin/sleep", "--", "60"])`;
		const inherited = run(['-c', script], { command: 'python3' });
		expect((await inherited.ended).status).toBe(1);
		expect(inherited.lines().at(-1)).toBe(
			`Unable to start: children ${child} of an earlier supervisor live on and can't be taken over`,
		);
	});
});

describe('SOCKETMASTER_FD', () => {
	it('names the socket to start with', async () => {
		const first = await lives(['-start=50'], shell(patient));
		const script = `import os, socket; s = socket.socket(); s.bind(("127.0.0.1", ${first.port})); s.listen(); os.dup2(s.fileno(), 9); os.execv("${executable}", ["socketmaster", "-start=50", "-listen=tcp://127.0.0.1:${first.port}?nonblocking", '-verify=hold', "-command=/bin/sh", "--", "-c", "echo fd=[$SOCKETMASTER_FD]; grep flags: /proc/self/fdinfo/3; exec sleep 60"])`;
		writeFileSync(first.journal, '');
		const program = run(['-c', script], { command: 'python3', env: environment({ SOCKETMASTER_FD: '9' }) });
		await program.logged(/^Generation 1 is up/);
		expect(program.lines()).toContainEqual(expect.stringMatching(/\] fd=\[\]$/));
		const [, flags = ''] = await program.logged(/\] flags:\s+(\d+)$/);
		expect(Number.parseInt(flags, 8) & constants.O_NONBLOCK).not.toBe(0);
		expect(await answers(first.port)).toBe(true);
	});
});

describe('under a service manager', () => {
	it('the listeners are kept in its store and taken back first, and it is told once that the service is up', async () => {
		const folder = scratch();
		const program = run(
			[
				fixture('manager.py'),
				folder,
				executable,
				'-listen=tcp://127.0.0.1:0',
				'-start=50',
				...shell('echo "env=[$LISTEN_PID$FDNAME]"; exec sleep 60'),
			],
			{ command: 'python3' },
		);
		const { stdout, status } = await program.ended;
		const said = JSON.parse(stdout);
		expect(said.first.messages).toEqual([
			'FDSTORE=1\nFDNAME=socketmaster-0',
			'STATUS=generation 1 starts',
			// -start, and some more.
			expect.stringMatching(/^EXTEND_TIMEOUT_USEC=10\d\d\d000$/),
			'READY=1\nSTATUS=generation 1 serves',
		]);
		expect(said.second.address).toBe(said.first.address);
		expect(said.second.messages).toContain('READY=1\nSTATUS=generation 1 serves');
		expect(program.stderr()).toMatch(/\] env=\[\]$/m);
		expect(status).toBe(0);
	});
});
