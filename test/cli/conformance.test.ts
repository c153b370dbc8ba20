/** The original's command line and start-up, case by case, as observed on the Go program. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { environment, executable, fixture, isRoot, prefix, root, run, scratch } from '../support/program.ts';

interface Case {
	args: string[];
	status: number;
	/** The last line of stderr, without the prefix; of a usage error the first one. */
	says: string | RegExp;
	/** The line has no prefix, and names the help in the next one. */
	isUsage?: boolean;
	env?: Record<string, string>;
}

const usage = (args: string[], says: string): Case => ({ args, status: 2, says, isUsage: true });
const refused = (args: string[], says: string | RegExp): Case => ({ args, status: 1, says });
const listening = (uri: string, says: string | RegExp) =>
	refused([`-listen=${uri}`, '-command=true'], says instanceof RegExp ? says : `Unable to open socket ${says}`);
const runsTrue = (...args: string[]): Case => ({
	args: [...args, '-command=true'],
	status: 0,
	says: /^\d+ exit status 0$/,
});
const quick = ['-listen=tcp://127.0.0.1:0', '-start=0'];

let taken: Server;
beforeAll(async () => {
	taken = createServer();
	await new Promise<void>((resolve) => taken.listen(39001, '127.0.0.1', resolve));
});
afterAll(() => {
	taken.close();
});

const cases: Case[] = [
	// Command line.
	refused([], 'Command path is mandatory'),
	usage(['-foo'], 'flag provided but not defined: -foo'),
	usage(['-constructor=x'], 'flag provided but not defined: -constructor'),
	usage(['--foo=1'], 'flag provided but not defined: -foo'),
	usage(['-listen'], 'flag needs an argument: -listen'),
	usage(['-start=abc'], 'invalid value "abc" for flag -start: parse error'),
	usage(['-start', '1e3'], 'invalid value "1e3" for flag -start: parse error'),
	usage(['-start='], 'invalid value "" for flag -start: parse error'),
	usage(['-kill=soon'], 'invalid value "soon" for flag -kill: parse error'),
	usage(['-syslog=maybe'], 'invalid boolean value "maybe" for -syslog: parse error'),
	usage(['-json=2'], 'invalid boolean value "2" for -json: parse error'),
	usage(['-signal=NOPE'], 'invalid value "NOPE" for flag -signal: no such signal'),
	usage(['-signal='], 'invalid value "" for flag -signal: no such signal'),
	usage(['---x'], 'bad flag syntax: ---x'),
	usage(['-=x'], 'bad flag syntax: -=x'),
	runsTrue(...quick, '-start=0x10'),
	runsTrue(...quick, '-start=-5'),
	runsTrue(...quick, '-start', '1_0'),
	runsTrue(...quick, '-signal=SIGTERM'),
	runsTrue(...quick, '-signal', 'usr1'),
	...['1', '0', 't', 'f', 'T', 'F', 'true', 'false', 'TRUE', 'FALSE', 'True', 'False'].map((value) =>
		runsTrue(...quick, `-json=${value}`, '-json=false'),
	),
	runsTrue(...quick, '-syslog=false'),
	runsTrue('--listen', 'tcp://127.0.0.1:0', '--start=0'),
	{ ...refused(['-listen=x', '-foo'], ''), ...usage(['-listen=x', '-foo'], 'flag provided but not defined: -foo') },
	refused(['word', '-command=true'], 'Command path is mandatory'),

	// The executable.
	refused(
		['-command=/nonexistent'],
		'Could not find executable exec: "/nonexistent": stat /nonexistent: no such file or directory',
	),
	refused(['-command=nosuch'], 'Could not find executable exec: "nosuch": executable file not found in $PATH'),
	refused(['-command=/tmp'], 'Could not find executable exec: "/tmp": permission denied'),
	refused([`-command=${root}package.json`], `Could not find executable exec: "${root}package.json": permission denied`),

	// The socket.
	listening('foo://x', 'Unsupported scheme: foo'),
	listening('udp://127.0.0.1:1', 'Unsupported scheme: udp'),
	listening('127.0.0.1:9000', /^Unable to open socket 127\.0\.0\.1:9000: no scheme; say tcp:\/\/HOST:PORT/),
	listening('', /^Unable to open socket "": no scheme; say tcp:\/\/HOST:PORT/),
	listening('tcp://localhost', 'address localhost: missing port in address'),
	listening('tcp://[::1]', 'address [::1]: missing port in address'),
	listening('tcp://::1:80', 'address ::1:80: too many colons in address'),
	listening('tcp://127.0.0.1:99999', 'address 99999: invalid port'),
	listening('tcp://127.0.0.1:-1', 'address -1: invalid port'),
	listening('tcp://127.0.0.1:nosuchservice', 'lookup tcp/nosuchservice: unknown port'),
	listening('tcp4://[::1]:39001', 'address ::1: no suitable address found'),
	listening('tcp6://127.0.0.1:39001', 'address 127.0.0.1: no suitable address found'),
	listening('tcp://no.such.host.invalid:80', 'lookup no.such.host.invalid: no such host'),
	listening('tcp://127.0.0.1:39001', 'listen tcp 127.0.0.1:39001: bind: address already in use'),
	listening('tcp4://127.0.0.1:39001', 'listen tcp4 127.0.0.1:39001: bind: address already in use'),
	listening('tcp://192.0.2.1:39002', 'listen tcp 192.0.2.1:39002: bind: cannot assign requested address'),
	listening('unix:///nonexistent/x', 'listen unix /nonexistent/x: bind: no such file or directory'),
	listening('unix:///etc/passwd', 'listen unix /etc/passwd: bind: address already in use'),
	listening('unix://', 'listen unix: the path is empty'),
	listening(
		`unix:///${'x'.repeat(200)}`,
		`listen unix /${'x'.repeat(200)}: the path has 201 bytes, and that of a socket has 107 at the most`,
	),
	listening('fd://9', 'fd 9: bad file descriptor'),
	listening('fd://0', 'fd 0: not a listening socket'),
	listening(
		'fd://x',
		'fd x: no listening socket of that name in LISTEN_FDNAMES; a manager has passed none to this process',
	),
	listening('fd://', 'fd : bad file descriptor'),
	runsTrue('-start=0', '-listen=TCP://127.0.0.1:0'),
	runsTrue('-start=0', '-listen=tcp://127.0.0.1:0/foo?x#y'),
	runsTrue('-start=0', '-listen=tcp://127.0.0.1:'),
	runsTrue('-start=0', '-listen=tcp://localhost:0'),
	runsTrue('-start=0', '-listen=tcp4://:0'),
	runsTrue('-start=0', '-listen=tcp6://[::1]:0'),

	// The user.
	...(isRoot
		? [
				refused([...quick, '-user=nosuch', '-command=true'], 'Unable to find user user: unknown user nosuch'),
				refused([...quick, '-user=1001', '-command=true'], 'Unable to find user user: unknown user 1001'),
			]
		: [
				refused(
					[...quick, '-user=root', '-command=/bin/true'],
					'Could not start process fork/exec /bin/true: operation not permitted',
				),
			]),
	refused(
		[...quick, `-command=${fixture('noshebang')}`],
		`Could not start process fork/exec ${fixture('noshebang')}: exec format error`,
	),
];

const tell = ({ args, status, says }: Case) => `${args.join(' ') || 'nothing'}: ${status}, ${says}`;

describe('the command line and the start', () => {
	it.each(cases.map((each) => [tell(each), each] as const))('%s', async (_, { args, status, says, isUsage }) => {
		const program = run(args, { env: environment({ LC_ALL: 'C' }) });
		const ended = await program.ended;
		const raw = ended.stderr.split('\n');
		const line = isUsage ? (raw[0] ?? '') : (raw.at(-2) ?? '').replace(prefix, '');
		if (typeof says === 'string') expect(line).toBe(says);
		else expect(line).toMatch(says);
		expect(ended.status).toBe(status);
		if (isUsage)
			expect(raw.slice(1)).toEqual([expect.stringMatching(/^(did you mean -[\w-]+\? )?See socketmaster -h$/), '']);
		else for (const each of raw.slice(0, -1)) expect(each).toMatch(prefix);
		expect(ended.stderr).not.toMatch(/^\s+at /m);
	});

	it.each(['-h', '-help', '--help'])('%s prints the usage with all flags and defaults', async (flag) => {
		const { status, stderr, stdout } = await run([flag]).ended;
		expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
		for (const name of ['listen', 'command', 'start', 'syslog', 'user', 'signal', 'kill', 'json']) {
			expect(stderr).toMatch(new RegExp(`^  -${name}\\b`, 'm'));
		}
		expect(stderr).toContain('(default tcp://:8080)');
		expect(stderr).toContain('(default 3000)');
	});

	it('-h fits 80 columns', async () => {
		const { stderr } = await run(['-h']).ended;
		expect(stderr.split('\n').filter((line) => line.length > 80)).toEqual([]);
	});

	it('a flag that is misspelt is named as it may have been meant', async () => {
		const { status, stderr } = await run(['-workrs=3']).ended;
		expect({ status, stderr }).toEqual({
			status: 2,
			stderr: 'flag provided but not defined: -workrs\ndid you mean -workers? See socketmaster -h\n',
		});
	});

	it('-version prints the version of the package', async () => {
		const { version } = await import('../../package.json', { with: { type: 'json' } }).then((json) => json.default);
		const { status, stdout } = await run(['-version']).ended;
		expect({ status, stdout }).toEqual({ status: 0, stdout: `socketmaster ${version}\n` });
	});

	it('what follows the first word that is no flag belongs to the child', async () => {
		const { stderr } = await run([...quick, '-command=/bin/echo', 'x', '-listen=y', '--', '--help']).ended;
		expect(stderr).toMatch(/Starting \/bin\/echo x -listen=y -- --help\n/);
		expect(stderr).toMatch(/\[\d+\] x -listen=y -- --help\n/);
	});

	it('what follows -- belongs to the child', async () => {
		const { stderr } = await run([...quick, '-command=/bin/echo', '--', '-h']).ended;
		expect(stderr).toMatch(/\[\d+\] -h\n/);
	});

	it('the last one of a flag given twice counts', async () => {
		const { stderr } = await run([...quick, '-command=/bin/false', '-command=/bin/echo', 'yes']).ended;
		expect(stderr).toMatch(/\] yes\n/);
	});

	it('finds a command in $PATH and says where', async () => {
		const folder = scratch();
		writeFileSync(join(folder, 'hello'), '#!/bin/sh\necho hi\n');
		chmodSync(join(folder, 'hello'), 0o755);
		mkdirSync(join(folder, 'a/hello'), { recursive: true });
		const PATH = `${folder}/a:${folder}:${process.env.PATH}`;
		const { stderr } = await run([...quick, '-command=hello'], { env: environment({ PATH }) }).ended;
		expect(stderr).toContain(`Starting ${folder}/hello\n`);
	});

	it('says what port 0 became in a line of its own', async () => {
		const program = run(['-listen=tcp://127.0.0.1:0', '-start=0', '-command=true']);
		await program.ended;
		expect(program.lines()[0]).toBe('Listening on tcp://127.0.0.1:0');
		expect(program.lines()[1]).toMatch(/^Bound to 127\.0\.0\.1:\d+$/);
	});

	it('refuses -syslog where no daemon listens, without a prefix', () => {
		const { status, stderr } = spawnSync(
			'unshare',
			['-rm', 'sh', '-c', `mount -t tmpfs none /dev && exec 0<&1 ${executable} -syslog -command=/bin/true`],
			{ encoding: 'utf8' },
		);
		expect(stderr).toBe('Unable to open syslog /dev/log: no such file or directory\n');
		expect(status).toBe(1);
	});
});

describe('a word where the flags end, and no -command', () => {
	it.each([
		[['rotat'], 'rotat is no command: is it socketmaster rotate?'],
		[['stauts', '-json'], 'stauts is no command: is it socketmaster status?'],
		[['reload'], 'reload is no command: try socketmaster rotate'],
		[['help'], 'help is no command: try socketmaster -h'],
		[['logs'], expect.stringMatching(/^logs is no command: try socketmaster replay JOURNAL /)],
		[['restart'], 'restart is no command: try socketmaster rotate (the new program takes over when it is ready)'],
		[
			['sh', 'server.sh', 'a b'],
			"sh is no command of socketmaster; a program is started so: socketmaster -command=sh -- server.sh 'a b'",
		],
		[
			['./server\n[1] forged'],
			"./server\u00b7[1] forged is no command of socketmaster; a program is started so: socketmaster -command='./server\u00b7[1] forged'",
		],
		[['xyzzy', '-command=true'], expect.stringMatching(/^xyzzy is no command \(rotate, .*-command=PATH/)],
	])('as in %j is answered before the original’s sentence', (args, says) => {
		const { status, stderr } = spawnSync(executable, args, { encoding: 'utf8', env: environment() });
		const lines = stderr.trimEnd().split('\n');
		expect(lines.map((line) => line.replace(prefix, ''))).toEqual([says, 'Command path is mandatory']);
		expect(status).toBe(1);
	});
});
