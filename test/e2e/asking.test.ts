/** A deploy script asks, and is told the truth: through rotations, upgrades, crashes and stops. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { askUntilAnswered } from '../../src/effects/control/client.ts';
import { ask, command, type Row } from '../support/asking.ts';
import { load } from '../support/load.ts';
import { childrenOf, fdsOf, until } from '../support/proc.ts';
import {
	environment,
	executable,
	fixture,
	isRoot,
	kill,
	type Program,
	root,
	run,
	scratch,
} from '../support/program.ts';

const say = `python3 ${fixture('say.py')}`;

/** A supervisor with a control socket; its children do what a script says, which `next` changes for those to come. */
function supervised(script = 'exec sleep 1000', flags: string[] = [], start = 50) {
	const folder = scratch();
	const control = join(folder, 'control');
	const journal = join(folder, 'journal');
	const path = join(folder, 'child.sh');
	const next = (text: string) => writeFileSync(path, `${text}\n`, { mode: 0o755 });
	next(script);
	const args = [
		'-listen=tcp://127.0.0.1:0',
		`-start=${start}`,
		'-signal=TERM',
		`-control=${control}`,
		...flags,
		'-verify=hold',
		'-command=/bin/sh',
		'--',
		path,
	];
	const begin = () => run(args);
	const rotate = (...more: string[]) => command(['rotate', `-control=${control}`, ...more]);
	const lines = () => begun.lines();
	const begun = begin();
	return { program: begun, begin, control, folder, journal, next, rotate, lines };
}

const up = ({ program }: { program: Program }, generation = 1) =>
	program.logged(new RegExp(`^Generation ${generation} is up`));

/** Its children outlive it: whoever is started next has to find them. */
async function killed({ process, ended }: Program) {
	process.kill('SIGKILL');
	await ended;
}

describe('socketmaster rotate', () => {
	it('ends with 0 when the new version serves, and says so', async () => {
		const self = supervised();
		await up(self);
		const { status, stdout, stderr } = await self.rotate().done;
		expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
		expect(stdout.replace(/\d{3,}/g, 'N').replace(/in \d+ ms/, 'in N ms')).toBe(
			'Generation 2 was asked for (supervisor N)\n✔ Generation 2 serves: ready in N ms (stayed alive), pid N\n  Generation 1 is draining.\n',
		);
		expect(self.lines()).toContain('A rotation request: starting generation 2');
	});

	it('ends with 1 when it failed, and shows how it ended and its last output', async () => {
		const self = supervised();
		await up(self);
		self.next('echo loading; echo "no such table: users" >&2; exit 3');
		const { status, stdout, stderr } = await self.rotate().done;
		expect(status).toBe(1);
		expect(stdout).toMatch(/^Generation 2 was asked for \(supervisor \d+\)\n$/);
		expect(stderr.replace(/\d{3,}/g, 'N').replace(/after \d+ ms/, 'after N ms')).toBe(
			[
				'✘ Generation 2 failed after N ms: N exit status 3',
				'  Generation 1 keeps serving.',
				'Last output:',
				'  | loading',
				'  | no such table: users',
				'',
			].join('\n'),
		);
	});

	it.each([
		['dies after a while', 'echo early; sleep 0.2; echo "last line"; exit 3'],
		['closes its output long before', 'echo early; echo "last line"; exec >&- 2>&-; sleep 0.2; exit 3'],
		['is killed', 'echo early; echo "last line"; sleep 0.2; kill -9 $$'],
		['ends without a newline', 'echo early; printf "last line"; sleep 0.1; exit 3'],
	])('shows the last output of one that %s', async (_, script) => {
		const self = supervised('exec sleep 1000', [], 2000);
		await up(self);
		self.next(script);
		const { status, stderr } = await self.rotate().done;
		expect(status).toBe(1);
		expect(stderr).toMatch(/\nLast output:\n {2}\| early\n {2}\| last line\n$/);
	});

	it('shows what was printed before an upgrade, and after it', async () => {
		const self = supervised(`${say} READY=1; exec sleep 1000`, ['-ready=notify'], 60_000);
		await up(self);
		const gate = join(self.folder, 'go');
		self.next(`echo before; while [ ! -e ${gate} ]; do sleep 0.01; done; echo after; exit 4`);
		const rotation = self.rotate();
		await self.program.logged(/\] before$/);
		expect((await command(['upgrade', `-control=${self.control}`]).done).status).toBe(0);
		writeFileSync(gate, '');
		expect((await rotation.done).stderr).toMatch(/\nLast output:\n {2}\| before\n {2}\| after\n$/);
	});

	it('shows nothing that would move the cursor of who reads it', async () => {
		const self = supervised();
		await up(self);
		self.next("printf '\\033[2J\\033]0;title\\007\\nplain\\n'; exit 1");
		const { stderr } = await self.rotate().done;
		// biome-ignore lint/suspicious/noControlCharactersInRegex: those must not be there
		expect(stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
		expect(stderr).toMatch(/\| plain$/m);
	});

	it('of one that is late shows what it printed last', async () => {
		const self = supervised(`${say} READY=1; exec sleep 1000`, ['-ready=notify'], 5000);
		await up(self);
		self.next('echo waiting for the database; exec sleep 1000');
		const { status, stderr } = await self.rotate().done;
		expect(status).toBe(1);
		expect(stderr).toMatch(
			/^✘ Generation 2 failed after .*: \d+ did not report ready within 5\.0 s \(-start=5000\)\n {2}Generation 1/,
		);
		expect(stderr).toMatch(/\| waiting for the database$/m);
	});

	it('prints the rotation with -json, also of a failure', async () => {
		const self = supervised();
		await up(self);
		self.next('echo oh; exit 9');
		const { status, stdout, stderr } = await self.rotate('-json').done;
		expect(status).toBe(1);
		expect(stderr).toMatch(/^✘ Generation 2 failed after .*: \d+ exit status 9\n$/);
		const rotation = JSON.parse(stdout);
		expect(rotation).toMatchObject({
			generation: 2,
			result: 'failed',
			trigger: 'rotate',
			lastOutput: ['oh'],
			readyBy: null,
		});
		expect(rotation.exits).toEqual([{ pid: rotation.pids[0], code: 9, signal: null }]);
	});

	it('ends with 4 when the time is over, and the rotation goes on', async () => {
		const self = supervised(`${say} READY=1; exec sleep 1000`, ['-ready=notify'], 60_000);
		await up(self);
		const gate = join(self.folder, 'go');
		self.next(`while [ ! -e ${gate} ]; do sleep 0.01; done; ${say} READY=1; exec sleep 1000`);
		const { status, stderr } = await self.rotate('-timeout=300').done;
		expect(status).toBe(4);
		expect(stderr).toMatch(/^generation 2 has no result after \d+ ms; the rotation goes on\n$/);
		writeFileSync(gate, '');
		await up(self, 2);
	});

	it('ends with 3 where a supervisor that does not run is not even asked, and nothing follows', async () => {
		const self = supervised('exec sleep 1000');
		await up(self);
		self.program.signal('SIGSTOP');
		const { status, stderr } = await command(['rotate', `-control=${self.control}`, '-timeout=300']).done;
		self.program.signal('SIGCONT');
		expect(status).toBe(3);
		expect(stderr).toMatch(/^no supervisor answers at .*: no answer after .*; no rotation was asked for\n$/);
		expect((await ask(self.control, '/rotations')).body).toHaveLength(1);
	});

	it('is not lost where a supervisor that starts again replaces its stale socket at that moment', async () => {
		const path = join(scratch(), 'control');
		const answer = askUntilAnswered(path, '/rotate', { isFirst: true, limit: null });
		// It has found no socket by then, and asks again.
		await new Promise((resolve) => setImmediate(resolve));
		const server = createHttpServer((_, response) => response.writeHead(202).end('{}')).listen(path);
		onTestFinished(() => void server.close());
		expect((await answer).status).toBe(202);
	});

	it('ends with 3 where nobody answers, and with 2 where it is wrongly used', async () => {
		const nowhere = await command(['rotate', '-control=/nonexistent/control']).done;
		expect(nowhere).toEqual({
			status: 3,
			stdout: '',
			stderr: 'no supervisor answers at /nonexistent/control: there is no such socket\n',
		});
		expect((await command(['rotate', '-timeout=soon', '-control=/x/y']).done).status).toBe(2);
		expect((await command(['rotate', 'now']).done).status).toBe(2);
		expect((await command(['rotate', '-never']).done).status).toBe(2);
		expect(await command(['stop', '-control=']).done).toEqual({
			status: 2,
			stdout: '',
			stderr: 'invalid value "" for flag -control: a path or a name is wanted\n',
		});
	});

	it('waits for its turn behind another one, and ten who ask at once share the next', async () => {
		const self = supervised(`${say} READY=1; exec sleep 1000`, ['-ready=notify'], 60_000);
		await up(self);
		const gate = join(self.folder, 'go');
		self.next(`while [ ! -e ${gate} ]; do sleep 0.01; done; ${say} READY=1; exec sleep 1000`);
		const first = self.rotate('-json');
		await self.program.logged(/starting generation 2/);
		const others = Array.from({ length: 10 }, () => self.rotate('-json'));
		await self.program.logged(/generation 2 is still starting; one more rotation will follow already/, 9);
		self.program.signal('SIGHUP');
		await self.program.logged(/^SIGHUP: generation 2 is still starting/);
		writeFileSync(gate, '');
		expect(JSON.parse((await first.done).stdout)).toMatchObject({ generation: 2, result: 'promoted' });
		for (const each of others) {
			const { status, stdout } = await each.done;
			expect(status).toBe(0);
			expect(JSON.parse(stdout)).toMatchObject({ generation: 3, result: 'promoted', trigger: 'rotate' });
		}
		expect(self.lines().filter((line) => /^Generation \d+ is up/.test(line))).toHaveLength(3);
	});

	it('is told its own result where a SIGHUP of somebody else’s comes first', async () => {
		const self = supervised(`${say} READY=1; exec sleep 1000`, ['-ready=notify'], 60_000);
		await up(self);
		const gate = join(self.folder, 'go');
		self.next(`while [ ! -e ${gate} ]; do sleep 0.01; done; exit 5`);
		self.program.signal('SIGHUP');
		await self.program.logged(/^SIGHUP: starting generation 2/);
		const own = self.rotate('-json');
		await self.program.logged(/one more rotation will follow$/);
		self.next(`${say} READY=1; exec sleep 1000`);
		writeFileSync(gate, '');
		expect(JSON.parse((await own.done).stdout)).toMatchObject({ generation: 3, result: 'promoted' });
		const { body } = await ask(self.control, '/rotations/2');
		expect(body).toMatchObject({ result: 'failed', trigger: 'SIGHUP' });
	});

	it('ends with 1 when a stop comes first, also for one that is queued', async () => {
		// It takes a while to stop, so that whoever asks can be told.
		const self = supervised(
			`trap "" TERM; ${say} READY=1; while :; do sleep 0.02; done`,
			['-ready=notify', '-kill=2000'],
			60_000,
		);
		await up(self);
		self.next('exec sleep 1000');
		const first = self.rotate();
		await self.program.logged(/starting generation 2/);
		const second = self.rotate();
		await self.program.logged(/one more rotation will follow/);
		self.program.signal('SIGTERM');
		for (const [generation, each] of [first, second].entries()) {
			const { status, stderr } = await each.done;
			expect(status).toBe(1);
			expect(stderr).toBe(`✘ Generation ${generation + 2} did not come up: the supervisor was told to stop\n`);
		}
		expect((await self.program.ended).status).toBe(0);
	});

	it('ends with 1 whenever a stop comes, before it is asked for, while it is, or after', async () => {
		for (let round = 0; round < 12; round += 1) {
			const self = supervised('exec sleep 1000');
			await up(self);
			const asked = self.rotate();
			await new Promise((resolve) => setTimeout(resolve, round * 10));
			self.program.signal('SIGTERM');
			const { status, stderr } = await asked.done;
			await self.program.ended;
			// Nobody was there any more, or it was promoted first.
			if (!self.program.lines().some((line) => line.startsWith('A rotation request'))) continue;
			if (status !== 0) expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringMatching(/stop/) });
		}
	});

	it('is refused while stopping', async () => {
		const self = supervised('trap "" TERM; while :; do sleep 0.02; done', ['-kill=700']);
		await up(self);
		self.program.signal('SIGTERM');
		await self.program.logged(/stopping/);
		const { status, stderr } = await self.rotate().done;
		expect({ status, stderr }).toEqual({ status: 1, stderr: 'no rotation: already stopping\n' });
	});

	it('is not kept from an end by what is only printed', async () => {
		const self = supervised('exec sleep 1000', [`-journal=${join(scratch(), 'journal')}`]);
		await up(self);
		const path = self.program.process.spawnargs.find((word) => word.startsWith('-journal='))?.slice(9);
		const { status, stderr } = spawnSync('/bin/sh', ['-c', `${executable} replay ${path} >/dev/full`], {
			encoding: 'utf8',
		});
		expect({ status, stderr }).toEqual({
			status: 1,
			stderr: 'what was asked for could not be written: no space left on device\n',
		});
	});

	it('waits across an upgrade', async () => {
		const self = supervised(`${say} READY=1; exec sleep 1000`, ['-ready=notify'], 60_000);
		await up(self);
		const gate = join(self.folder, 'go');
		self.next(`while [ ! -e ${gate} ]; do sleep 0.01; done; ${say} READY=1; exec sleep 1000`);
		const rotation = self.rotate('-json');
		await self.program.logged(/starting generation 2/);
		const upgrade = await command(['upgrade', `-control=${self.control}`]).done;
		expect({ status: upgrade.status, stderr: upgrade.stderr }).toEqual({ status: 0, stderr: '' });
		expect(upgrade.stdout).toMatch(/^Supervisor \d+ runs the installed program now \(version \S+\)\n$/);
		writeFileSync(gate, '');
		const { status, stdout } = await rotation.done;
		expect(status).toBe(0);
		expect(JSON.parse(stdout)).toMatchObject({ generation: 2, result: 'promoted', replaced: [1] });
	});

	it.each(['pending', 'queued'])('waits across a kill -9 and the recovery, one that is %s', async (kind) => {
		const self = supervised(
			`${say} READY=1; exec sleep 1000`,
			['-ready=notify', `-journal=${join(scratch(), 'journal')}`],
			60_000,
		);
		await up(self);
		const gate = join(self.folder, 'go');
		self.next(`while [ ! -e ${gate} ]; do sleep 0.01; done; ${say} READY=1; exec sleep 1000`);
		if (kind === 'queued') self.program.signal('SIGHUP');
		if (kind === 'queued') await self.program.logged(/starting generation 2/);
		const rotation = self.rotate('-json');
		await self.program.logged(kind === 'queued' ? /one more rotation will follow/ : /starting generation 2/);
		await until('the new child', () => childrenOf(self.program.pid).length === 2);
		await killed(self.program);
		const next = self.begin();
		await next.logged(/^Recovered from/);
		writeFileSync(gate, '');
		const { status, stdout, stderr } = await rotation.done;
		expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
		expect(JSON.parse(stdout)).toMatchObject({ generation: kind === 'queued' ? 3 : 2, result: 'promoted' });
	});

	it('is asked for once, where the first answer is lost on its way', async () => {
		const self = supervised(`${say} READY=1; exec sleep 1000`, ['-ready=notify'], 60_000);
		await up(self);
		const between = join(self.folder, 'between');
		let isLost = false;
		const server = createServer((client) => {
			const behind = createConnection(self.control);
			client.on('error', () => behind.destroy()).on('end', () => behind.end());
			behind.on('error', () => client.destroy()).on('end', () => client.end());
			client.on('data', (request) => behind.write(request));
			behind.on('data', (answer) => {
				const isIt = !isLost && answer.includes(' 202 ');
				isLost ||= isIt;
				if (isIt) client.destroy();
				else client.write(answer);
			});
		}).listen(between);
		onTestFinished(() => void server.close());
		const { status, stdout } = await command(['rotate', `-control=${between}`, '-json']).done;
		expect(isLost).toBe(true);
		expect(status).toBe(0);
		expect(JSON.parse(stdout)).toMatchObject({ generation: 2, result: 'promoted' });
		expect(self.lines().filter((line) => line.includes('rotation'))).toEqual([
			'A rotation request: starting generation 2',
		]);
	});

	it('says that another supervisor answers, where the one that was asked has ended without a trace', async () => {
		const self = supervised(`${say} READY=1; exec sleep 1000`, ['-ready=notify'], 60_000);
		await up(self);
		self.next('exec sleep 1000');
		const rotation = self.rotate();
		await rotation.printed(/^Generation 2 was asked for/);
		const orphans = childrenOf(self.program.pid);
		onTestFinished(() => orphans.forEach((pid) => void kill(pid, 'SIGKILL')));
		await killed(self.program);
		self.begin();
		const { status, stderr } = await rotation.done;
		expect(status).toBe(1);
		expect(stderr).toMatch(
			/^generation 2 has no result: its supervisor has ended, and another one \(pid \d+\) has started\n$/,
		);
	});

	it('drops no request, as the deploy script of the guide, and tells whether the new version serves', async () => {
		const folder = scratch();
		const runtime = join(folder, 'run');
		execFileSync('mkdir', ['-p', join(runtime, 'app'), join(folder, '41'), join(folder, '42'), join(folder, '43')]);
		const version = (name: string, script: string) =>
			writeFileSync(join(folder, name, 'server'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
		for (const name of ['41', '42']) version(name, `exec ${process.execPath} ${fixture('server.mjs')}`);
		version('43', 'exit 1');
		execFileSync('ln', ['-s', '41', join(folder, 'current')]);
		const scripts = readFileSync(join(root, 'docs/guide.md'), 'utf8').match(/#!\/bin\/sh\n(?: {4}.+\n)+/g) ?? [];
		const [plain = '', careful = ''] = scripts.map((each) =>
			each.replace(/^ {4}/gm, '').replaceAll('/srv/app', folder),
		);
		expect(plain).toContain('|| exit 1');
		const deploy = (name: string, script = plain) => {
			writeFileSync(join(folder, 'deploy'), script.replaceAll('42', name), { mode: 0o755 });
			const env = environment({ PATH: `${join(root, 'bin')}:${process.env.PATH}`, XDG_RUNTIME_DIR: runtime });
			return spawnSync(join(folder, 'deploy'), { encoding: 'utf8', env });
		};
		const flags = ['-listen=tcp://127.0.0.1:0', '-start=300', `-control=${runtime}/app/control`];
		const program = run([...flags, `-command=${folder}/current/server`]);
		await program.logged(/^Generation 1 is up/);
		const stop = await load((await ask(join(runtime, 'app/control'), '/status')).body.listeners[0].address);
		expect(deploy('42').status).toBe(0);
		const broken = deploy('43');
		expect(broken.status).toBe(1);
		expect(broken.stderr).toMatch(
			/^✘ Generation 3 failed after .*: \d+ exit status 1\n {2}Generation 2 keeps serving\.\n {2}Generation 3 was started from .*\/43\/server, generation 2 from .*\/42\/server\n$/,
		);
		expect(deploy('41', careful).status).toBe(0);
		expect(deploy('43', careful).status).toBe(1);
		expect(readlinkSync(join(folder, 'current'))).toBe(join(folder, '41'));
		const { requests, failures } = await stop();
		expect(failures).toEqual([]);
		expect(requests).toBeGreaterThan(0);
	});
});

describe('what is no supervisor', () => {
	const answer = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
	it.each([
		['answers an empty object', answer('{}'), 'what answers there is none'],
		['answers no JSON', answer('<html>'), 'what answers there is none'],
		['answers what is no HTTP', 'SSH-2.0-x\r\n\r\n', /^.+$/],
		['hangs up', '', 'it has closed the connection'],
		[
			'changes the protocol',
			'HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
			'what answers there is none',
		],
		['breaks off in the middle', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"pid"', /^.+$/],
	])('and %s is nobody for each command', async (_, text, why) => {
		const path = join(scratch(), 'control');
		const server = createServer((socket) => socket.on('error', () => {}).end(text)).listen(path);
		onTestFinished(() => void server.close());
		for (const words of [
			['rotate'],
			['status'],
			['status', '-json'],
			['status', '-metrics'],
			['stop'],
			['upgrade'],
			['inspect'],
		]) {
			const { status, stderr, stdout } = await command([...words, `-control=${path}`]).done;
			expect({ status, stdout }, `${words}: ${stderr}`).toEqual({ status: 3, stdout: '' });
			const [, reason] = /^no supervisor answers at \S+: (.*)\n$/.exec(stderr) ?? [];
			if (typeof why === 'string') expect(reason).toBe(why);
			else expect(reason).toMatch(why);
		}
	});

	it.runIf(isRoot)('by a name that may not be looked at is nobody', async () => {
		const folder = scratch();
		execFileSync('chmod', ['755', folder]);
		mkdirSync(join(folder, 'app'), { mode: 0o700 });
		const words = ['--reuid=65534', '--regid=65534', '--clear-groups', executable, 'status', '-control=app'];
		const env = environment({ XDG_RUNTIME_DIR: folder });
		const { status, stderr } = spawnSync('setpriv', words, { encoding: 'utf8', env });
		expect({ status, stderr }).toEqual({
			status: 3,
			stderr: 'no supervisor answers at /run/app/control: there is no such socket\n',
		});
	});

	it.each(['x'.repeat(300), `${'x'.repeat(150)}/control`])('by the name %s is nobody', async (name) => {
		const { status, stderr } = await command(['status', `-control=${name}`]).done;
		expect(status).toBe(3);
		expect(stderr).toMatch(/^no supervisor answers at .*: .*\n$/);
	});

	it('is not found as one', async () => {
		const runtime = scratch();
		execFileSync('mkdir', [join(runtime, 'other')]);
		const server = createServer((socket) => socket.end(answer('{}'))).listen(join(runtime, 'other/control'));
		onTestFinished(() => void server.close());
		const { status, stderr } = await command(['rotate'], { XDG_RUNTIME_DIR: runtime }).done;
		expect({ status, stderr }).toEqual({
			status: 3,
			// Others that run are named.
			stderr: expect.stringMatching(
				new RegExp(`^no supervisor answers at /run/\\*/control or ${runtime}/\\*/control(;.*)?\n$`),
			),
		});
	});
});

it('a command whose output nobody reads ends with its own status', async () => {
	const self = supervised();
	await up(self);
	self.next('exit 1');
	const words = `${executable} rotate -control=${self.control} | true; echo "\${PIPESTATUS[0]}"`;
	expect(execFileSync('bash', ['-c', words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })).toBe('1\n');
	const full = (args: string) => spawnSync('bash', ['-c', `${executable} ${args}`], { encoding: 'utf8' });
	expect(full(`rotate -control=${self.control} >/dev/full`).status).toBe(1);
	expect(full(`status -metrics -control=${self.control} >/dev/full`)).toMatchObject({
		status: 1,
		stderr: 'the status could not be written: no space left on device\n',
	});
	expect(full('status -control=/nonexistent/x 2>/dev/full').status).toBe(3);
	self.next('exec sleep 1000');
	expect(full(`rotate -control=${self.control} >/dev/full 2>/dev/full`).status).toBe(0);
});

describe('a supervisor is found', () => {
	it('by its name under the runtime directory, by the variable, or as the only one that answers', async () => {
		const runtime = scratch();
		const folder = join(runtime, 'app');
		execFileSync('mkdir', [folder]);
		const program = run([
			'-listen=tcp://127.0.0.1:0',
			'-start=50',
			`-control=${folder}/control`,
			'-verify=hold',
			'-command=/bin/sleep',
			'--',
			'1000',
		]);
		await program.logged(/^Generation 1 is up/);
		const env = { XDG_RUNTIME_DIR: runtime };
		for (const args of [['-control=app'], []]) {
			const { status, stdout } = await command(['status', '-json', ...args], env).done;
			expect(status).toBe(0);
			expect(JSON.parse(stdout).pid).toBe(program.pid);
		}
		const { stdout } = await command(['status', '-json'], { SOCKETMASTER_CONTROL: `${folder}/control` }).done;
		expect(JSON.parse(stdout).pid).toBe(program.pid);

		execFileSync('mkdir', [join(runtime, 'other'), join(runtime, 'foreign')]);
		const second = run([
			'-listen=tcp://127.0.0.1:0',
			'-start=50',
			`-control=${runtime}/other/control`,
			'-verify=hold',
			'-command=/bin/sleep',
			'--',
			'1000',
		]);
		await second.logged(/^Generation 1 is up/);
		const several = await command(['rotate'], env).done;
		expect(several.status).toBe(2);
		expect(several.stderr).toContain(`  ${runtime}/app/control  pid ${program.pid}, running\n`);
		expect(several.stderr).toContain(`  ${runtime}/other/control  pid ${second.pid}, running\n`);
		expect(second.lines().join()).not.toMatch(/generation 2/);
	});

	it('where a manager gives it a directory', async () => {
		const folder = scratch();
		const program = run(
			['-listen=tcp://127.0.0.1:0', '-start=50', '-verify=hold', '-command=/bin/sleep', '--', '1000'],
			{
				env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, RUNTIME_DIRECTORY: folder },
			},
		);
		await program.logged(/^Generation 1 is up/);
		expect((await command(['rotate', `-control=${folder}/control`]).done).status).toBe(0);
		program.signal('SIGTERM');
		await program.ended;
		expect(existsSync(join(folder, 'control'))).toBe(false);
	});
});

describe('a supervisor without -control', () => {
	it('is named by who looks for one', async () => {
		const mute = run(['-listen=tcp://127.0.0.1:0', '-verify=hold', '-start=20', '-command=sleep', '--', '1000']);
		const named = supervised('exec sleep 1000');
		await mute.logged(/^Generation 1 is up/);
		await up(named);
		const { status, stderr } = await command(['status'], { XDG_RUNTIME_DIR: scratch() }).done;
		expect(status).toBe(3);
		expect(stderr).toContain(`; supervisor ${mute.pid} runs without -control=PATH: it takes signals alone`);
		expect(stderr).toContain(`; supervisor ${named.program.pid} was started with -control=${named.control}`);
	});
});

describe('socketmaster stop', () => {
	it('ends with 0 when the supervisor has ended', async () => {
		const self = supervised();
		await up(self);
		const { status, stdout } = await command(['stop', `-control=${self.control}`]).done;
		expect(status).toBe(0);
		expect(stdout).toMatch(/^Supervisor \d+ stops\nSupervisor \d+ has ended after \d+ ms\n$/);
		expect((await self.program.ended).status).toBe(0);
		expect(existsSync(self.control)).toBe(false);
	});

	it('has children killed that do not leave in time, also such that drain already', async () => {
		const self = supervised('trap "" TERM; while :; do sleep 0.02; done');
		await up(self);
		expect((await self.rotate().done).status).toBe(0);
		const { status } = await command(['stop', `-control=${self.control}`, '-kill=100']).done;
		expect(status).toBe(0);
		expect(
			self.lines().filter((line) => /is still alive 100 ms after it was told to leave; killing it$/.test(line)),
		).toHaveLength(2);
	});

	it('ends with 1 where it was killed meanwhile, and a new start ended the stop', async () => {
		const flags = [`-journal=${join(scratch(), 'journal')}`];
		const self = supervised('trap "" TERM; while :; do sleep 0.02; done', flags);
		await up(self);
		const stop = command(['stop', `-control=${self.control}`]);
		await stop.printed(/stops\n/);
		await killed(self.program);
		self.next('exec sleep 1000');
		const next = self.begin();
		const { status, stderr } = await stop.done;
		expect(status).toBe(1);
		expect(stderr).toBe(`it was killed meanwhile, and started again as ${next.pid}: it does not stop\n`);
	});

	it('asks again where the request was lost', async () => {
		const self = supervised();
		await up(self);
		const path = join(self.folder, 'between');
		let lost = 0;
		const between = createServer((client) => {
			client.once('data', (chunk) => {
				if (chunk.toString().startsWith('POST') && lost === 0) {
					lost += 1;
					return void client.destroy();
				}
				const real = createConnection(self.control);
				real.write(chunk);
				real.pipe(client).pipe(real);
				for (const each of [client, real]) each.on('error', () => client.destroy());
			});
		}).listen(path);
		void self.program.ended.then(() => between.close());
		const { status } = await command(['stop', `-control=${path}`]).done;
		expect({ status, lost }).toEqual({ status: 0, lost: 1 });
		expect((await self.program.ended).status).toBe(0);
	});

	it('waits for as long as the children take', async () => {
		const self = supervised('trap "" TERM; while :; do sleep 0.02; done');
		await up(self);
		const stop = command(['stop', `-control=${self.control}`]);
		await self.program.logged(/stopping/);
		await stop.printed(/stops\n/);
		const pids = childrenOf(self.program.pid);
		for (const pid of pids) kill(pid, 'SIGKILL');
		expect((await stop.done).status).toBe(0);
	});
});

describe('socketmaster upgrade', () => {
	it('ends with 1 and its words when the new program is not sound', async () => {
		// The command that children are started by is looked for again.
		const folder = scratch();
		const copy = join(folder, 'sleeper');
		execFileSync('cp', ['/bin/sleep', copy]);
		const program = run([
			'-listen=tcp://127.0.0.1:0',
			'-start=50',
			`-control=${folder}/control`,
			`-command=${copy}`,
			'--',
			'1000',
		]);
		await program.logged(/^Generation 1 is up/);
		rmSync(copy);
		const { status, stderr } = await command(['upgrade', `-control=${folder}/control`]).done;
		expect(status).toBe(1);
		expect(stderr).toMatch(/^no upgrade: the new program says: Could not find executable .*; nothing has changed\n$/);
		expect((await command(['status', `-control=${folder}/control`]).done).status).toBe(0);
	});
});

describe('a name without a slash', () => {
	it('is also the socket of a supervisor that was started here with it', async () => {
		const folder = scratch();
		const words = ['-listen=tcp://127.0.0.1:0', '-start=0', '-control=app', '-command=sleep', '--', '1000'];
		const program = run(words, { cwd: folder, env: environment({ PWD: folder }) });
		await program.logged(/^Generation 1 is up/);
		const { status, stdout } = spawnSync(executable, ['status', '-control=app'], { cwd: folder, encoding: 'utf8' });
		expect(status).toBe(0);
		expect(stdout).toContain(`supervisor ${program.pid}, up`);
	});
});

describe('socketmaster status', () => {
	it('says that nobody serves while the only child is waited for', async () => {
		const self = supervised('exec sleep 1000', ['-respawn=60000']);
		await up(self);
		const [child = 0] = childrenOf(self.program.pid);
		kill(child, 'SIGKILL');
		await self.program.logged(/will be started again in/);
		const { stdout } = await command(['status', `-control=${self.control}`]).done;
		expect(stdout).toMatch(
			/^✘ DOWN {2}generation 1 · 0\/1 serving\n {2}1 restarting \(1st restart of worker 0 in [\w .]+\)\n/,
		);
		expect(stdout).toMatch(/^1 {4}0 +– +waiting +1st restart in /m);
	});

	it('fits 80 columns, and shows listeners, children, what they say, and the last rotation', async () => {
		const self = supervised(
			`${say} READY=1; ${say} STATUS="日本語のとても長い状態の言葉がここに続きます"; ${say} STOPPING=1; ${say} MAINPID=1; exec sleep 1000`,
			[
				'-workers=2',
				'-ready=notify',
				`-listen=unix://${join(scratch(), 'a-very-long-path-to-a-socket-of-a-test-that-is-wider')}.sock`,
			],
			60_000,
		);
		await up(self);
		// On a terminal of 80 columns.
		const shown = `stty cols 80; NO_COLOR=1 ${executable} status -control=${self.control}`;
		const table = async () =>
			execFileSync('script', ['-qec', shown, '/dev/null'], { encoding: 'utf8' }).replaceAll('\r', '');
		let text = await table();
		// Both children have said it.
		while (text.split('日本語').length < 3) text = await table();
		for (const line of text.split('\n')) {
			const wide = line.match(/[\u3000-\u9fff\uff00-\uffef]/g)?.length ?? 0;
			expect(line.length + wide, line).toBeLessThanOrEqual(80);
		}
		expect(text).toMatch(/^● OK {2}generation 1 · 2\/2 serving · [\d.]+ m?s\n/);
		expect(text).toMatch(/^tcp:\/\/127\.0\.0\.1:0 \(127\.0\.0\.1:\d+\) +0 of \d+$/m);
		expect(text).toMatch(/^1 {4}0 +\d+ +serving +[\d.]+ m?s +0 {2}/m);
		expect(text).toMatch(/^last rotation {2}✔ #1 ready in .* · [\d:]+ \(.* ago, start\)/m);
		const { body } = await ask(self.control, '/status');
		expect(body.generations[0].children.map(({ index }: Row) => index)).toEqual([0, 1]);
		// Noted, and passed on to nobody.
		expect(body.state).toBe('running');
	});

	it.each([
		['q', 'q'],
		['Ctrl-C', '\u0003'],
	])(
		'draws with -watch no more than there is room for, every line in its full width, and ends with %s',
		async (_, key) => {
			const self = supervised('exec sleep 1000', ['-workers=20']);
			await up(self);
			const shown = `stty rows 10 cols 80; NO_COLOR=1 ${executable} status -watch -v -control=${self.control}`;
			const terminal = spawn('script', ['-qec', shown, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] });
			onTestFinished(() => void terminal.kill('SIGKILL'));
			let stdout = '';
			for await (const chunk of terminal.stdout.setEncoding('utf8')) {
				stdout += chunk;
				// When it has drawn again.
				if (stdout.split('\u001b[H').length === 3) terminal.stdin.end(key);
			}
			const pages = stdout.replaceAll('\r', '').split('\u001b[H').slice(1);
			expect(pages.length).toBeGreaterThan(1);
			for (const page of pages) {
				expect(page.split('\n')).toHaveLength(10);
				expect(page).toContain('q quits  ');
				expect(page).toMatch(/… \d+ more\n/);
				// Cleared behind its end, a line of full width would lose its last place.
				expect(page).not.toContain('\u001b[K');
			}
			expect(stdout.endsWith('\u001b[?7h\u001b[?25h\u001b[?1049l')).toBe(true);
		},
	);

	it('tells who holds 12 connections, and why an old generation is still there', async () => {
		const self = supervised(
			`exec ${process.execPath} ${fixture('server.mjs')}`,
			[`-listen=unix://${join(scratch(), 'own.sock')}`],
			400,
		);
		await up(self);
		const { listeners } = (await ask(self.control, '/status')).body;
		const [, port] = listeners[0].address.split(':');
		const sockets = Array.from({ length: 12 }, () => createConnection(Number(port), '127.0.0.1'));
		onTestFinished(() => sockets.forEach((each) => void each.destroy()));
		for (const each of sockets) each.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf');
		const counts = async () =>
			(await ask(self.control, '/status')).body.generations.map((each: Row) => [
				each.state,
				each.children[0].connections,
			]);
		await expect.poll(counts).toEqual([['serving', 12]]);
		expect((await self.rotate().done).status).toBe(0);
		await expect.poll(counts).toEqual([
			['draining', 12],
			['serving', 0],
		]);
		const { body } = await ask(self.control, '/status');
		const { peers } = body.generations[0].children[0];
		expect(peers).toHaveLength(12);
		expect(peers.map(({ address }: Row) => address).sort()).toEqual(
			sockets.map(({ localPort }) => `127.0.0.1:${localPort}`).sort(),
		);
		const table = (await command(['status', `-control=${self.control}`]).done).stdout;
		expect(table).toMatch(/^ {2}1 old generation draining \(12 connections\)$/m);
		expect(table).toMatch(/^ {5}longest idle: 127\.0\.0\.1:\d+, /m);
		const metrics = (await command(['status', '-metrics', `-control=${self.control}`]).done).stdout;
		expect(metrics).toContain('socketmaster_connections{generation="1"} 12\n');
	});

	it('tells how many wait in the backlog, and that it is full', async () => {
		const self = supervised('exec sleep 1000', [`-listen=unix://${join(scratch(), 'own.sock')}?backlog=2`]);
		await up(self);
		const queues = async () =>
			(await ask(self.control, '/status')).body.listeners.map(({ queue, backlog }: Row) => [queue, backlog]);
		expect(await queues()).toEqual([
			[0, expect.any(Number)],
			[0, 2],
		]);
		const { listeners } = (await ask(self.control, '/status')).body;
		const path = listeners[1].address;
		const sockets = Array.from({ length: 3 }, () => createConnection(path));
		onTestFinished(() => sockets.forEach((each) => void each.destroy()));
		const tcp = createConnection(Number(listeners[0].address.split(':')[1]), '127.0.0.1');
		onTestFinished(() => void tcp.destroy());
		await expect.poll(queues).toEqual([
			[1, expect.any(Number)],
			[3, 2],
		]);
		expect((await command(['status', `-control=${self.control}`]).done).stdout).toMatch(/3 of 2 FULL$/m);
	});

	it('prints metrics that promtool finds nothing wrong with', async () => {
		const self = supervised();
		await up(self);
		expect((await self.rotate().done).status).toBe(0);
		const { stdout } = await command(['status', '-metrics', `-control=${self.control}`]).done;
		expect(stdout).toContain('socketmaster_rotations_total{result="promoted"} 1\n');
		expect(stdout).toContain('socketmaster_state{state="running"} 1\n');
		expect(stdout).toMatch(/^socketmaster_ready_seconds_count 2$/m);
		if (existsSync('/usr/bin/promtool')) {
			expect(execFileSync('promtool', ['check', 'metrics'], { input: stdout, encoding: 'utf8' })).toBe('');
		}
	});
});

describe('the control socket', () => {
	it('is there with mode 0600, comes back when somebody removes it, and goes at the end', async () => {
		const self = supervised();
		await up(self);
		expect(statSync(self.control).mode & 0o777).toBe(0o600);
		rmSync(self.control);
		await until('it is back', () => existsSync(self.control));
		expect((await ask(self.control, '/status')).status).toBe(200);
		self.program.signal('SIGTERM');
		await self.program.ended;
		expect(existsSync(self.control)).toBe(false);
		expect(existsSync(join(self.folder, '.control.socketmaster'))).toBe(false);
	});

	it.runIf(isRoot)('is nothing for another user, even where he can reach it', async () => {
		const self = supervised();
		await up(self);
		execFileSync('chmod', ['0777', self.control]);
		execFileSync('chmod', ['0755', self.folder]);
		const script = `
import os, socket
os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX); s.connect("${self.control}"); print("connected")
try:
    s.sendall(b"GET /status HTTP/1.0\\r\\n\\r\\n"); print(s.recv(100))
except OSError as error:
    print(b"")`;
		expect(execFileSync('python3', ['-c', script], { encoding: 'utf8' })).toBe("connected\nb''\n");
	});

	it.each([
		['a path that is not there', '/nope', {}, 404, 'there is no /nope'],
		['a method that is not meant', '/rotate', {}, 405, '/rotate takes POST, and not GET'],
		['another one', '/status', { method: 'DELETE' }, 405, '/status takes GET, and not DELETE'],
		['a generation that is not known', '/rotations/77', {}, 404, 'generation 77 is not known'],
		['a generation that is none', '/rotations/x', {}, 404, 'generation x is not known'],
		['a body that is no JSON', '/stop', { method: 'POST', body: '{' }, 400, 'the body is no JSON'],
		[
			'a patience that is none',
			'/stop',
			{ method: 'POST', body: '{"kill":-1}' },
			400,
			'the body is not what is wanted here: kill',
		],
		[
			'a word that nobody knows',
			'/rotate',
			{ method: 'POST', body: '{"force":true}' },
			400,
			'the body is not what is wanted here: force',
		],
		['a list', '/stop', { method: 'POST', body: '[]' }, 400, 'the body is not what is wanted here'],
		['a body that is too long', '/stop', { method: 'POST', body: ' '.repeat(5000) }, 413, 'a body may have 4096 bytes'],
	])('refuses %s with a sentence, and nothing happens', async (_, path, options, status, sentence) => {
		const self = supervised();
		await up(self);
		const answer = await ask(self.control, path, options);
		expect({ status: answer.status, body: answer.body }).toEqual({ status, body: { error: sentence } });
		expect((await ask(self.control, '/status')).body.state).toBe('running');
	});

	it('refuses what is no HTTP with a sentence', async () => {
		const self = supervised();
		await up(self);
		const socket = createConnection(self.control);
		socket.write('hello\r\n\r\n');
		let text = '';
		for await (const chunk of socket) text += chunk;
		expect(text).toMatch(/^HTTP\/1\.1 400 .*\{"error":"that is no HTTP request"\}$/s);
	});

	it('bears 1,000 connections at once, half of them silent, and keeps nothing of them', async () => {
		const self = supervised();
		await up(self);
		await ask(self.control, '/status');
		const before = fdsOf(self.program.pid).length;
		const idle = Array.from({ length: 500 }, () => createConnection(self.control).on('error', () => {}));
		onTestFinished(() => idle.forEach((each) => void each.destroy()));
		const answers = await Promise.all(Array.from({ length: 500 }, () => ask(self.control, '/status?brief')));
		expect(fdsOf(self.program.pid).length).toBeLessThanOrEqual(before + 512);
		expect(answers.every(({ status }) => status === 200)).toBe(true);
		expect((await self.rotate().done).status).toBe(0);
		for (const each of idle) each.destroy();
		await until('they are gone', () => fdsOf(self.program.pid).length <= before);
	});

	it('takes one request at a time on a connection, and keeps nothing of those behind it', async () => {
		const self = supervised();
		await up(self);
		await ask(self.control, '/status');
		const before = fdsOf(self.program.pid).length;
		const socket = createConnection(self.control);
		socket.write('GET /facts HTTP/1.1\r\n\r\nGET /facts HTTP/1.1\r\n\r\n');
		for await (const _ of socket);
		const garbage = createConnection(self.control);
		garbage.write('GET /facts HTTP/1.1\r\n\r\n\0x\r\n\r\n');
		for await (const _ of garbage);
		await until('it is gone', () => fdsOf(self.program.pid).length <= before);
		expect((await self.rotate().done).status).toBe(0);
	});

	it('answers others while a client says nothing, or takes nothing', async () => {
		const self = supervised();
		await up(self);
		const silent = createConnection(self.control);
		silent.write('POST /rotate HTTP/1.1\r\nContent-Length: 10\r\n\r\n{');
		const deaf = createConnection(self.control);
		deaf.pause();
		for (let count = 0; count < 200; count += 1) deaf.write('GET /status HTTP/1.1\r\n\r\n');
		for (const each of [silent, deaf]) {
			each.on('error', () => {});
			onTestFinished(() => void each.destroy());
		}
		expect((await self.rotate().done).status).toBe(0);
		expect((await ask(self.control, '/rotations')).body.map(({ result }: Row) => result)).toEqual([
			'promoted',
			'promoted',
		]);
	});

	it('is handed over in an upgrade, and comes back after a recovery, with the rotations', async () => {
		const journal = join(scratch(), 'journal');
		const self = supervised('exec sleep 1000', [`-journal=${journal}`]);
		await up(self);
		const { ino } = statSync(self.control);
		self.next('echo no; exit 1');
		await self.rotate().done;
		self.next('exec sleep 1000');
		expect((await command(['upgrade', `-control=${self.control}`]).done).status).toBe(0);
		expect(statSync(self.control).ino).toBe(ino);
		const rotations = (await ask(self.control, '/rotations')).body;
		expect(rotations.map(({ result }: Row) => result)).toEqual(['promoted', 'failed']);
		expect(rotations[1].lastOutput).toEqual(['no']);
		await killed(self.program);
		self.begin();
		await expect.poll(() => ask(self.control, '/rotations').catch(() => null)).toMatchObject({ body: rotations });
		const { body } = await ask(self.control, '/status');
		expect(body).toMatchObject({ upgrades: { done: 1 }, recoveries: 1, last: { generation: 2 } });
		const { stdout } = await command(['replay', journal, '-rotations']).done;
		expect(stdout.split('\n').map((line) => line.slice(31).replace(/\d{3,}|after \d+ m?s/g, 'N'))).toEqual([
			'start   generation 1 came up N',
			'rotate  generation 2 failed N: N exit status 1',
			'',
		]);
		const { stdout: json } = await command(['replay', journal, '-rotations', '-json']).done;
		expect(
			json
				.trim()
				.split('\n')
				.map((line) => JSON.parse(line)),
		).toEqual(rotations);
	});

	it('that can’t be opened is said in one sentence, and nothing is left behind', async () => {
		const folder = scratch();
		const own = join(folder, 'own.sock');
		const program = run([
			`-listen=unix://${own}`,
			'-control=/nonexistent/control',
			'-verify=hold',
			'-command=/bin/sleep',
			'--',
			'9',
		]);
		expect((await program.ended).status).toBe(1);
		expect(program.lines().at(-1)).toBe(
			'Unable to open control socket /nonexistent/control: no such file or directory',
		);
		expect(existsSync(own)).toBe(false);
	});

	it('of another supervisor is not taken away', async () => {
		const self = supervised();
		await up(self);
		const second = run([
			'-listen=tcp://127.0.0.1:0',
			`-control=${self.control}`,
			'-verify=hold',
			'-command=/bin/sleep',
			'--',
			'9',
		]);
		expect((await second.ended).status).toBe(1);
		expect(second.lines().at(-1)).toMatch(/^Unable to open control socket .*: address already in use$/);
		expect((await ask(self.control, '/status')).body.pid).toBe(self.program.pid);
	});
});

describe('the facts', () => {
	it('come as they are admitted, after what all before amount to', async () => {
		const self = supervised();
		await up(self);
		const facts = createConnection(self.control);
		onTestFinished(() => void facts.destroy());
		let text = '';
		facts.setEncoding('utf8').on('data', (chunk) => {
			text += chunk;
		});
		facts.write('GET /facts HTTP/1.1\r\n\r\n');
		await until('the checkpoint', () => text.includes('event: checkpoint'));
		await self.rotate().done;
		await until('the promotion', () => text.includes('generation.promoted'));
		const events = [...text.matchAll(/^id: (\d+)\nevent: (\w+)\ndata: (.*)$/gm)].map(([, id, event, data = '']) => ({
			id: Number(id),
			event,
			data: JSON.parse(data),
		}));
		expect(events[0]).toMatchObject({ event: 'checkpoint', data: { checkpoint: { serving: 1 } } });
		expect(events[0]?.data.seq).toBe(events[0]?.id);
		for (const [index, { id, data }] of events.entries()) {
			expect(data.seq).toBe(id);
			expect(id).toBe((events[0]?.id ?? 0) + index);
		}
		const comeBack = (url: string, sign: string) =>
			new Promise<string>((resolve) => {
				const back = createConnection(self.control);
				onTestFinished(() => void back.destroy());
				let more = '';
				back.setEncoding('utf8').on('data', (chunk) => {
					more += chunk;
					if (more.includes(sign)) resolve(more);
				});
				back.write(`GET ${url} HTTP/1.1\r\nLast-Event-ID: ${events[0]?.id}\r\n\r\n`);
			});
		for (const url of ['/facts', `/facts?run=${events[0]?.data.run}`]) {
			const again = await comeBack(url, 'generation.promoted');
			expect(again).not.toContain('event: checkpoint');
			expect(again).toContain('generation.started');
		}
		// Of another supervisor, whose numbers may be the same.
		await comeBack('/facts?run=another', 'event: checkpoint');
	});
});

describe('-share', () => {
	const receiver = `
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
byte, fds, flags, _ = socket.recv_fds(s, 10, 16)
print(byte, len(fds), [socket.socket(fileno=fd).getsockname()[1] if i == 0 else socket.socket(fileno=fd).getsockname() for i, fd in enumerate(fds)], s.recv(1))`;

	it('hands the listening sockets out, in their order, with one byte and the end', async () => {
		const folder = scratch();
		const own = join(folder, 'own.sock');
		const self = supervised('exec sleep 1000', [`-listen=unix://${own}`, `-share=${join(folder, 'share')}`]);
		await up(self);
		await ask(self.control, '/status');
		const before = fdsOf(self.program.pid);
		const { address } = (await ask(self.control, '/status')).body.listeners[0];
		expect(statSync(join(folder, 'share')).mode & 0o777).toBe(0o600);
		for (let count = 0; count < 3; count += 1) {
			const printed = execFileSync('python3', ['-c', receiver, join(folder, 'share')], { encoding: 'utf8' });
			expect(printed).toBe(`b'!' 2 [${address.split(':')[1]}, '${own}'] b''\n`);
		}
		await until('nothing is kept', () => fdsOf(self.program.pid).length <= before.length);
		expect(childrenOf(self.program.pid)).toHaveLength(1);
		expect((await command(['upgrade', `-control=${self.control}`]).done).status).toBe(0);
		execFileSync('python3', ['-c', receiver, join(folder, 'share')]);
		self.program.signal('SIGTERM');
		await self.program.ended;
		expect(existsSync(join(folder, 'share'))).toBe(false);
	});

	it.runIf(existsSync('/usr/bin/cc'))('speaks as libancillary’s receiver expects', async () => {
		const folder = scratch();
		execFileSync('cc', ['-o', join(folder, 'receiver'), join(root, 'test/fixtures/ancillary.c')]);
		const self = supervised('exec sleep 1000', ['-listen=tcp://127.0.0.1:0', `-share=${join(folder, 'share')}`]);
		await up(self);
		const { listeners } = (await ask(self.control, '/status')).body;
		const printed = execFileSync(join(folder, 'receiver'), [join(folder, 'share'), '2'], { encoding: 'utf8' });
		expect(printed).toBe(listeners.map(({ address }: Row) => `${address.split(':')[1]}\n`).join(''));
	});

	it('serves by a program that is nobody’s child, and no business of a rotation', async () => {
		const folder = scratch();
		const self = supervised('exec sleep 1000', [`-share=${join(folder, 'share')}`]);
		await up(self);
		const server = `
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect("${join(folder, 'share')}")
_, fds, _, _ = socket.recv_fds(s, 1, 1)
listener = socket.socket(fileno=fds[0])
open("${join(folder, 'there')}", "w").close()
while True:
    client, _ = listener.accept(); client.sendall(b"mine"); client.close()`;
		run(['-c', server], { command: 'python3' });
		await until('it has the socket', () => existsSync(join(folder, 'there')));
		const { address } = (await ask(self.control, '/status')).body.listeners[0];
		const answer = () =>
			new Promise<string>((resolve) => {
				let text = '';
				createConnection(Number(address.split(':')[1]), '127.0.0.1')
					.on('data', (chunk) => {
						text += chunk;
					})
					.on('close', () => resolve(text));
			});
		expect(await answer()).toBe('mine');
		expect((await self.rotate().done).status).toBe(0);
		expect(await answer()).toBe('mine');
	});
});
