/** A supervisor was killed, and its journal can't be read: its children are found by their marks, and replaced. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
	chmodSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	truncateSync,
	writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ask, command } from '../support/asking.ts';
import { load } from '../support/load.ts';
import { until } from '../support/proc.ts';
import { environment, executable, fixture, freePort, isRoot, kill, run, scratch } from '../support/program.ts';

interface SiteOptions {
	flags?: string[];
	/** What the listener is. */
	listen?: string;
}

/** Supervisors that follow each other at one journal, with children that serve. */
async function site({ flags = [], listen }: SiteOptions = {}) {
	const folder = scratch();
	const [journal, control] = [join(folder, 'journal'), join(folder, 'control')];
	const uri = listen?.replace('FOLDER', folder) ?? `tcp://127.0.0.1:${await freePort()}`;
	const start = (more: string[] = []) =>
		run([`-listen=${uri}`, `-journal=${journal}`, `-control=${control}`, '-ready=accept', ...flags, ...more]);
	const server = [`-command=${fixture('server.mjs')}`];
	/** The first supervisor was killed. @returns its children */
	async function killed(command = server): Promise<number[]> {
		const first = start(command);
		const [, pids = ''] = await first.logged(/^Generation 1 is up \((.*)\)/);
		const children = pids.split(', ').map(Number);
		onTestFinished(() => {
			for (const pid of children) kill(pid, 'SIGKILL');
		});
		first.signal('SIGKILL');
		await first.ended;
		return children;
	}
	return { folder, journal, control, uri, server, start, killed };
}

/** The status of an answer; the connection is not kept. */
const answer = async (address: string) =>
	(await fetch(`http://${address}/`, { headers: { Connection: 'close' } })).status;

const change = (path: string, by: (text: string) => string) => writeFileSync(path, by(readFileSync(path, 'latin1')));
const withoutHeader = (text: string) => text.slice(text.indexOf('\n') + 1);
/** The lines of a file that was compacted: a header and a checkpoint. */
function compacted(text: string): string {
	const [header = ''] = text.split('\n');
	return `${header}\n{"checkpoint":{"damaged\n`;
}

const damages: [string, (path: string) => void][] = [
	['removed', (path) => rmSync(path)],
	['empty', (path) => writeFileSync(path, '')],
	['without its header', (path) => change(path, withoutHeader)],
	['without its header, behind NULs', (path) => change(path, (text) => `${'\0'.repeat(4000)}${withoutHeader(text)}`)],
	['NULs', (path) => change(path, (text) => '\0'.repeat(text.length))],
	['of a newer format', (path) => change(path, (text) => text.replaceAll('"journal":5', '"journal":5000'))],
	['of an older format', (path) => change(path, (text) => text.replaceAll('"journal":5', '"journal":3'))],
	['damaged in its first line', (path) => change(path, (text) => text.replace('"run"', '"r\0n"'))],
	['a header and a checkpoint that is damaged', (path) => change(path, compacted)],
	['no journal at all', (path) => writeFileSync(path, 'precious data\n')],
];

describe.each(damages)('where the journal is %s', (_, damage) => {
	it('the children serve on, are one old generation, and are replaced by one rotation', async () => {
		const own = await site({ flags: ['-workers=2'] });
		const children = await own.killed();
		const finish = await load(own.uri.slice('tcp://'.length), 4);
		damage(own.journal);
		const next = own.start(own.server);
		const [, taken = ''] = await next.logged(/took over (.*), found by their environment$/);
		expect(taken.split(', ').map(Number)).toEqual(children);
		const [, generation = ''] = await next.logged(/^Generation (\d+) is up \(.*\); sending SIGHUP to (.*)$/);
		for (const pid of children) await next.logged(new RegExp(`^${pid} exit status unknown$`));
		const { failures, requests } = await finish();
		expect(failures).toEqual([]);
		expect(requests).toBeGreaterThan(0);
		expect(next.lines().join('\n')).not.toMatch(new RegExp(`internal error|Generation ${Number(generation) + 1}`, 'i'));
		next.signal('SIGTERM');
		expect((await next.ended).status).toBe(0);
		const replayed = spawnSync(executable, ['replay', own.journal], { encoding: 'utf8', env: environment() });
		expect(replayed).toMatchObject({ status: 0, stderr: '' });
	});
});

const closures: [string, (path: string) => void, string][] = [
	['in a directory that is gone', (path) => rmSync(path, { recursive: true }), 'no such file or directory'],
	[
		'a directory',
		(path) => {
			rmSync(path);
			mkdirSync(path);
		},
		'illegal operation on a directory',
	],
	['open for others to write', (path) => chmodSync(path, 0o666), 'others may write to it'],
];

it.each(closures)(
	'where the journal is %s the children serve on and are replaced, and nothing is recorded',
	async (_, close, why) => {
		const own = await site();
		const place = join(own.folder, 'place');
		mkdirSync(place);
		const journal = join(place, 'journal');
		const children = await own.killed([`-journal=${journal}`, ...own.server]);
		close(why.startsWith('no such') ? place : journal);
		const next = own.start([`-journal=${journal}`, ...own.server]);
		await next.logged(new RegExp(`^Unable to open journal ${journal}: ${why}; nothing is recorded$`));
		await next.logged(new RegExp(`^Generation \\d+ is up \\(.*\\); sending SIGHUP to ${children.join(', ')}$`));
		next.signal('SIGTERM');
		expect((await next.ended).status).toBe(0);
	},
);

it('what could not be read is kept beside the journal, and the new one can be recovered from', async () => {
	const own = await site();
	await own.killed();
	change(own.journal, (text) => text.replaceAll('"journal":5', '"journal":5000'));
	const before = readFileSync(own.journal, 'utf8');
	const second = own.start(own.server);
	await second.logged(
		/^Journal .*: its format 5000 is newer than this program, which knows 4 to 5; version \S+, which wrote it, reads it$/,
	);
	await second.logged(/^Journal .*: it is kept in .*\.bad, and a new one begins$/);
	await second.logged(/^Generation 2 is up/);
	expect(readFileSync(`${own.journal}.bad`, 'utf8')).toBe(before);
	second.signal('SIGKILL');
	await second.ended;
	const third = own.start(own.server);
	await third.logged(/^Recovered from .*: took over \d+/);
	third.signal('SIGTERM');
	expect((await third.ended).status).toBe(0);
});

it('where no children live, one of a newer format is kept beside the new one, and the server starts', async () => {
	const own = await site();
	writeFileSync(own.journal, '{"journal":9,"run":"x"}\n', { mode: 0o600 });
	const program = own.start(own.server);
	await program.logged(/^Journal .*: its format 9 is newer than this program, which knows 4 to 5$/);
	await program.logged(/^Generation 1 is up/);
	expect(readFileSync(`${own.journal}.bad`, 'utf8')).toBe('{"journal":9,"run":"x"}\n');
});

it('a child that has the port of the kernel’s choice is found by what the damaged file tells', async () => {
	const own = await site({ listen: 'tcp://127.0.0.1:0' });
	const [child] = await own.killed();
	change(own.journal, withoutHeader);
	const next = own.start(own.server);
	const [, address = ''] = await next.logged(/^Bound to (.*)$/);
	await next.logged(new RegExp(`took over ${child}, found by`));
	await next.logged(/^Generation 2 is up/);
	expect(readFileSync(`${own.journal}.bad`, 'utf8')).toContain(`"pid":${child}`);
	expect(await answer(address)).toBe(200);
});

it('a server that writes over its environment is found by what a file of a newer format tells', async () => {
	const own = await site({ flags: ['-ready=wait', '-verify=hold', '-start=50'] });
	const title = `$0 = "x" x 5000; $SIG{TERM} = $SIG{HUP} = sub { exit 0 }; $| = 1; print "up\\n"; sleep 1 while 1`;
	const perl = ['-command=/usr/bin/perl', '--', '-e', title];
	const [child] = await own.killed(perl);
	expect(readFileSync(`/proc/${child}/environ`, 'latin1')).not.toContain('SOCKETMASTER_RUN');
	change(own.journal, (text) => text.replaceAll('"journal":5', '"journal":5000'));
	const next = own.start(perl);
	await next.logged(new RegExp(`took over ${child}, found by`));
	await next.logged(new RegExp(`^Generation 2 is up .*; sending SIGHUP to ${child}$`));
	await next.logged(new RegExp(`^${child} exit status unknown$`));
	next.signal('SIGTERM');
	expect((await next.ended).status).toBe(0);
});

it('a UNIX listener keeps its path', async () => {
	const own = await site({ listen: 'unix:FOLDER/app.sock' });
	await own.killed();
	const path = join(own.folder, 'app.sock');
	const { ino } = statSync(path);
	const finish = await load(path, 4);
	rmSync(own.journal);
	const next = own.start(own.server);
	await next.logged(/^Generation 2 is up .*; sending SIGHUP to /);
	await next.logged(/exit status unknown$/);
	expect((await finish()).failures).toEqual([]);
	expect(statSync(path).ino).toBe(ino);
	next.signal('SIGTERM');
	expect((await next.ended).status).toBe(0);
});

it('a child serves on where the version that should replace it fails', async () => {
	const own = await site();
	const [child = 0] = await own.killed();
	rmSync(own.journal);
	const next = own.start(['-command=/bin/false']);
	await next.logged(/^Generation 2 .* gave? up|failed|exit status 1/);
	const status = await ask(own.control, '/status');
	expect(status.body.generations).toMatchObject([{ generation: 1, state: 'serving', children: [{ pid: child }] }]);
	const { status: result, stderr } = await command(['rotate', `-control=${own.control}`]).done;
	expect({ result, stderr }).toMatchObject({ result: 1, stderr: expect.stringContaining('exit status 1') });
	expect(await answer(own.uri.slice('tcp://'.length))).toBe(200);
});

it('a supervisor that lives keeps its children and its address, though its journal was moved away', async () => {
	const own = await site();
	const first = own.start(own.server);
	await first.logged(/^Generation 1 is up/);
	// It is written anew at once, and locked: the other one is given a journal that nobody has.
	const other = run([`-listen=${own.uri}`, `-journal=${own.journal}.other`, ...own.server]);
	expect((await other.ended).status).toBe(1);
	expect(other.lines().join('\n')).toMatch(/address already in use|is still alive/);
	expect(first.lines().join('\n')).not.toMatch(/exit status|signal:/);
	expect(await answer(own.uri.slice('tcp://'.length))).toBe(200);
	first.signal('SIGTERM');
	expect((await first.ended).status).toBe(0);
});

it('a server that no supervisor has started is in the way, and is left alone', async () => {
	const own = await site();
	const port = own.uri.split(':')[2] ?? '';
	const nonChild = spawn(fixture('server.mjs'), {
		env: { ...process.env, PORT: port },
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	onTestFinished(() => void nonChild.kill('SIGKILL'));
	await once(nonChild.stdout as Readable, 'data');
	const program = own.start(own.server);
	expect((await program.ended).status).toBe(1);
	expect(program.lines().join('\n')).toContain('address already in use');
	expect(kill(nonChild.pid ?? 0, 0)).toBe(true);
});

it.runIf(isRoot)('a socket that another user has made is not taken over, whatever its holder says it is', async () => {
	const own = await site();
	const port = own.uri.split(':')[2] ?? '';
	const marks = { SOCKETMASTER_RUN: 'made-up', SOCKETMASTER_CHILD: '1' };
	const listens = `require('node:net').createServer().listen(${port}, '127.0.0.1', () => console.log('listens'))`;
	const other = spawn('setpriv', ['--reuid=65534', '--clear-groups', process.execPath, '-e', listens], {
		detached: true,
		env: { ...process.env, ...marks },
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	onTestFinished(() => void other.kill('SIGKILL'));
	await once(other.stdout as Readable, 'data');
	const program = own.start(['-user=nobody', ...own.server]);
	expect((await program.ended).status).toBe(1);
	expect(program.lines().join('\n')).toContain('address already in use');
	expect(kill(other.pid ?? 0, 0)).toBe(true);
});

it('a file that others may read is no journal, and is refused as it is where no child serves', async () => {
	const own = await site();
	writeFileSync(own.journal, 'precious data\n');
	chmodSync(own.journal, 0o644);
	const program = own.start(own.server);
	expect((await program.ended).status).toBe(1);
	expect(program.lines().at(-1)).toMatch(/^Unable to use journal .*: line 1 is no journal header$/);
	expect(readFileSync(own.journal, 'utf8')).toBe('precious data\n');
});

describe('where the journal tells less than there was', () => {
	it('as it is another supervisor’s, put back, the children are found all the same', async () => {
		const own = await site();
		const first = own.start(own.server);
		await first.logged(/^Generation 1 is up/);
		const before = readFileSync(own.journal);
		first.signal('SIGTERM');
		await first.ended;
		rmSync(own.journal);
		const [child] = await own.killed();
		writeFileSync(own.journal, before);
		const next = own.start(own.server);
		await next.logged(new RegExp(`took over ${child}, found by`));
		await next.logged(new RegExp(`is up .*; sending SIGHUP to ${child}$`));
	});

	it.runIf(isRoot)('as the disk was full, and its last lines are of a run that has ended well', async () => {
		const own = await site();
		execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', own.folder]);
		onTestFinished(() => void spawnSync('umount', ['-l', own.folder]));
		const first = own.start(own.server);
		await first.logged(/^Generation 1 is up/);
		spawnSync('sh', ['-c', `cat /dev/zero > ${own.folder}/filler`]);
		for (let count = 2; !first.lines().some((line) => /can't be written/.test(line)); count += 1) {
			first.signal('SIGHUP');
			await first.logged(new RegExp(`^Generation ${count} is up`));
		}
		first.signal('SIGTERM');
		await first.ended;
		const second = own.start(own.server);
		await second.logged(/^The journal .* can't be written: no space left on device/);
		const [, child = ''] = await second.logged(/^Generation 1 is up \((\d+)\)/);
		onTestFinished(() => void kill(Number(child), 'SIGKILL'));
		second.signal('SIGKILL');
		await second.ended;
		const third = own.start(own.server);
		await third.logged(new RegExp(`took over ${child}, found by`));
		third.signal('SIGTERM');
		expect((await third.ended).status).toBe(0);
	});

	it('as it was cut, the generation that serves is known by its marks, and is replaced', async () => {
		const own = await site();
		const first = own.start(own.server);
		const [, old = ''] = await first.logged(/^Generation 1 is up \((\d+)\)/);
		const cut = statSync(own.journal).size;
		first.signal('SIGHUP');
		const [, serving = ''] = await first.logged(/^Generation 2 is up \((\d+)\)/);
		await first.logged(new RegExp(`^${old} exit status 0$`));
		onTestFinished(() => void kill(Number(serving), 'SIGKILL'));
		first.signal('SIGKILL');
		await first.ended;
		truncateSync(own.journal, cut - 5);
		const next = own.start(own.server);
		await next.logged(new RegExp(`took over ${serving}, found by`));
		await next.logged(new RegExp(`is up .*; sending SIGHUP to ${serving}$`));
		await next.logged(new RegExp(`^${serving} exit status unknown$`));
		next.signal('SIGTERM');
		expect((await next.ended).status).toBe(0);
	});

	it('as a start has failed in between, the children are found by what was set aside', async () => {
		const own = await site({ flags: ['-ready=wait', '-verify=hold', '-start=50'] });
		const title = `$0 = "x" x 5000; $SIG{TERM} = $SIG{HUP} = sub { exit 0 }; $| = 1; print "up\\n"; sleep 1 while 1`;
		const perl = ['-command=/usr/bin/perl', '--', '-e', title];
		const [child] = await own.killed(perl);
		change(own.journal, (text) =>
			text.replaceAll('"journal":5', '"journal":5000').replace(/"notifyDir":"[^"]*"/, '"notifyDir":null'),
		);
		const busy = createServer();
		await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', resolve));
		const { port } = busy.address() as { port: number };
		const failed = own.start([`-listen=tcp://127.0.0.1:${port}`, ...perl]);
		expect((await failed.ended).status).toBe(1);
		await new Promise((resolve) => busy.close(resolve));
		const next = own.start(perl);
		await next.logged(new RegExp(`took over ${child}, found by`));
	});
});

it('a server that writes over its environment is found by the socket for its messages, where the journal is gone', async () => {
	const own = await site({ flags: ['-ready=wait', '-verify=hold', '-start=50'] });
	const title = `$0 = "x" x 5000; $SIG{TERM} = $SIG{HUP} = sub { exit 0 }; $| = 1; print "up\\n"; sleep 1 while 1`;
	const perl = ['-command=/usr/bin/perl', '--', '-e', title];
	const [child] = await own.killed(perl);
	rmSync(own.journal);
	const next = own.start(perl);
	await next.logged(new RegExp(`took over ${child}, found by`));
	await next.logged(new RegExp(`is up .*; sending SIGHUP to ${child}$`));
});

it('a start within a process of a child does not take itself for a child', async () => {
	const own = await site();
	const [child = 0] = await own.killed();
	const [, runOf = ''] = /SOCKETMASTER_RUN=([^\0]*)/.exec(readFileSync(`/proc/${child}/environ`, 'latin1')) ?? [];
	rmSync(own.journal);
	const env = environment({ SOCKETMASTER_RUN: runOf, SOCKETMASTER_CHILD: '7' });
	const next = run([`-listen=${own.uri}`, `-journal=${own.journal}`, '-ready=accept', ...own.server], {
		env,
		detached: true,
	});
	const [, taken] = await next.logged(/took over (.*), found by/);
	expect(taken).toBe(String(child));
	await next.logged(/^Generation 2 is up/);
	next.signal('SIGTERM');
	expect((await next.ended).status).toBe(0);
});

it('a job that a child has left running, and that holds no listener, is left alone', async () => {
	const own = await site();
	const script = `setsid sleep 1000 3>&- & echo "job $!"; exec ${fixture('server.mjs')}`;
	const first = own.start(['-command=/bin/sh', '--', '-c', script]);
	const job = Number((await first.logged(/\] job (\d+)$/))[1]);
	const [, child = ''] = await first.logged(/^Generation 1 is up \((\d+)\)/);
	onTestFinished(() => {
		for (const pid of [job, Number(child)]) kill(pid, 'SIGKILL');
	});
	first.signal('SIGKILL');
	await first.ended;
	rmSync(own.journal);
	const next = own.start(own.server);
	expect((await next.logged(/took over (.*), found by/))[1]).toBe(child);
	await next.logged(new RegExp(`^${child} exit status unknown`));
	next.signal('SIGTERM');
	expect((await next.ended).status).toBe(0);
	expect(kill(job, 0)).toBe(true);
});

it('a file of another boot names no child: its numbers are others’ now', async () => {
	const own = await site();
	const nonChild = spawn('sleep', ['1000'], { detached: true });
	onTestFinished(() => void nonChild.kill('SIGKILL'));
	const stat = readFileSync(`/proc/${nonChild.pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
	const header = { journal: 9, program: 'x', boot: 'another', run: 'r', pid: 1, startTime: 1, listeners: [] };
	const fact = {
		seq: 2,
		at: 1,
		type: 'child.spawned',
		child: 1,
		pid: nonChild.pid,
		startTime: Number(stat[19]),
		pipe: 1,
	};
	writeFileSync(own.journal, `${JSON.stringify(header)}\n${JSON.stringify(fact)}\n`, { mode: 0o600 });
	const program = own.start(own.server);
	await program.logged(/^Generation 1 is up/);
	expect(program.lines().join('\n')).not.toContain('took over');
	program.signal('SIGTERM');
	expect((await program.ended).status).toBe(0);
	expect(kill(nonChild.pid ?? 0, 0)).toBe(true);
});

it('a UNIX path that is gone with the journal is made anew, and clients reach it', async () => {
	const own = await site({ listen: 'unix:FOLDER/app.sock' });
	await own.killed();
	for (const name of ['app.sock', '.app.sock.socketmaster', 'journal', 'control'])
		rmSync(join(own.folder, name), { force: true });
	const next = own.start(own.server);
	await next.logged(/^Generation 1 is up/);
	const finish = await load(join(own.folder, 'app.sock'), 1);
	expect((await finish()).failures).toEqual([]);
});

it('a UNIX path where another server listens meanwhile is left to that server', async () => {
	const own = await site({ listen: 'unix:FOLDER/app.sock' });
	const [child = 0] = await own.killed();
	const path = join(own.folder, 'app.sock');
	change(own.journal, (text) => text.replaceAll('"journal":5', '"journal":5000'));
	rmSync(path);
	rmSync(join(own.folder, '.app.sock.socketmaster'));
	const other = createServer((client) => client.end('another'));
	await new Promise<void>((resolve) => other.listen(path, resolve));
	onTestFinished(() => void other.close());
	const program = own.start(own.server);
	expect((await program.ended).status).toBe(1);
	expect(program.lines().join('\n')).toContain('address already in use');
	expect(statSync(path).isSocket()).toBe(true);
	expect(kill(child, 0)).toBe(true);
});

it('what a child prints to its stderr alone is read on', async () => {
	const own = await site({ flags: ['-ready=wait', '-verify=hold', '-start=50'] });
	const go = join(own.folder, 'go');
	const script = `exec >${own.folder}/out; trap "exit 0" HUP TERM; while :; do [ -e ${go} ] && echo "goes on" >&2; sleep 0.02; done`;
	const [child] = await own.killed(['-command=/bin/sh', '--', '-c', script]);
	rmSync(own.journal);
	const next = own.start(['-command=/bin/false']);
	await next.logged(new RegExp(`took over ${child}, found by`));
	writeFileSync(go, '');
	await next.logged(/\] goes on$/);
});

it('a supervisor that went on after a crash keeps its children, whatever a copy of its journal tells', async () => {
	const own = await site();
	const [child = 0] = await own.killed();
	const second = own.start(own.server);
	await second.logged(/^Recovered from /);
	const copy = join(own.folder, 'copy');
	// Its last header, which names the supervisor, is lost.
	const text = readFileSync(own.journal, 'utf8').replaceAll('"journal":5', '"journal":5000');
	writeFileSync(
		copy,
		text
			.split('\n')
			.filter((line, index) => index === 0 || !line.startsWith('{"journal"'))
			.join('\n'),
		{ mode: 0o600 },
	);
	const third = run([
		`-listen=tcp://127.0.0.1:${await freePort()}`,
		`-listen=${own.uri}`,
		`-journal=${copy}`,
		...own.server,
	]);
	expect((await third.ended).status).toBe(1);
	expect(third.lines().join('\n')).toContain(`its supervisor ${second.pid} is still alive`);
	expect(kill(child, 0)).toBe(true);
	second.signal('SIGTERM');
	expect((await second.ended).status).toBe(0);
});

it.runIf(isRoot)('nothing is made where a child says that its messages go', async () => {
	const own = await site({ flags: ['-user=nobody'] });
	chmodSync(own.folder, 0o777);
	const evil = join(own.folder, 'evil');
	mkdirSync(evil, { mode: 0o777 });
	const script = `NOTIFY_SOCKET=${evil}/socketmaster-$SOCKETMASTER_RUN/1-0 exec ${fixture('server.mjs')}`;
	const [child] = await own.killed(['-command=/bin/sh', '--', '-c', script]);
	rmSync(own.journal);
	const next = own.start(own.server);
	await next.logged(new RegExp(`took over ${child}, found by`));
	await next.logged(/ is up .*; sending SIGHUP to /);
	expect(readdirSync(evil)).toEqual([]);
});

it.each(['the same', 'another'])(
	'an older copy of the journal takes no children of a supervisor that went on after a crash, with %s address',
	async (which) => {
		const own = await site();
		const [child = 0] = await own.killed();
		const copy = join(own.folder, 'copy');
		writeFileSync(copy, readFileSync(own.journal), { mode: 0o600 });
		const second = own.start(own.server);
		await second.logged(/^Recovered from /);
		const uri = which === 'the same' ? own.uri : `tcp://127.0.0.1:${await freePort()}`;
		const third = run([`-listen=${uri}`, `-journal=${copy}`, ...own.server]);
		expect((await third.ended).status).toBe(1);
		expect(third.lines().at(-1)).toContain(`its supervisor ${second.pid} is still alive`);
		expect(kill(child, 0)).toBe(true);
		second.signal('SIGTERM');
		expect((await second.ended).status).toBe(0);
	},
);

it.runIf(isRoot)('children of another user are found where -user is not given any more', async () => {
	const own = await site();
	chmodSync(own.folder, 0o755);
	const [child] = await own.killed(['-user=nobody', ...own.server]);
	rmSync(own.journal);
	const next = own.start(own.server);
	await next.logged(new RegExp(`took over ${child}, found by`));
	await next.logged(new RegExp(`is up .*; sending SIGHUP to ${child}$`));
});

it.runIf(isRoot)(
	'a stranger that bears the marks of a child which was about to be spawned is not taken for it',
	async () => {
		const own = await site();
		const first = own.start(own.server);
		const [, child = ''] = await first.logged(/^Generation 1 is up \((\d+)\)/);
		const lines = readFileSync(own.journal, 'utf8').split('\n');
		const runOf = JSON.parse(lines[0] ?? '').run;
		first.signal('SIGKILL');
		await first.ended;
		kill(Number(child), 'SIGKILL');
		const cut = lines.findIndex((line) => line.includes('"child.spawning"'));
		writeFileSync(own.journal, `${lines.slice(0, cut + 1).join('\n')}\n`);
		const env = { ...process.env, SOCKETMASTER_RUN: runOf, SOCKETMASTER_CHILD: '1' };
		const nonChild = spawn('setpriv', ['--reuid=1', '--clear-groups', 'sleep', '1000'], { detached: true, env });
		onTestFinished(() => void nonChild.kill('SIGKILL'));
		await once(nonChild, 'spawn');
		await until('it sleeps', () => readFileSync(`/proc/${nonChild.pid}/comm`, 'utf8') === 'sleep\n');
		const next = own.start(own.server);
		await next.logged(/^Generation \d+ is up/);
		expect(next.lines().join('\n')).not.toContain('took over');
		next.signal('SIGTERM');
		expect((await next.ended).status).toBe(0);
		expect(kill(nonChild.pid ?? 0, 0)).toBe(true);
	},
);

it('a FIFO in the place of what was set aside does not hold up a start', async () => {
	const own = await site();
	execFileSync('mkfifo', [`${own.journal}.bad`]);
	const program = own.start(own.server);
	await program.logged(/^Generation 1 is up/);
});

it('a file that can’t be kept beside it is left as it is, and nothing is recorded', async () => {
	const own = await site();
	const [child] = await own.killed();
	writeFileSync(own.journal, 'precious data\n');
	mkdirSync(`${own.journal}.bad`);
	const next = own.start(own.server);
	await next.logged(new RegExp(`took over ${child}, found by`));
	await next.logged(/it can't be kept in .*\.bad, and is left as it is: .*; nothing is recorded$/);
	await next.logged(/ is up .*; sending SIGHUP to /);
	expect(readFileSync(own.journal, 'utf8')).toBe('precious data\n');
	next.signal('SIGTERM');
	expect((await next.ended).status).toBe(0);
});

describe('a child that looks like a supervisor is none, and is recovered', () => {
	const recovers = async (more: string[]) => {
		const own = await site({ flags: ['-ready=wait', '-verify=hold', '-start=100', '-signal=TERM'] });
		const [child] = await own.killed(more);
		const next = own.start(more);
		await next.logged(new RegExp(`^Recovered from .*: took over ${child}$`));
		next.signal('SIGTERM');
		expect((await next.ended).status).toBe(0);
	};

	it('as it holds its socket above fd 63', async () => {
		const moved = 'import os, signal; os.dup2(3, 64); os.close(3); print("moved", flush=True); signal.pause()';
		await recovers(['-command=python3', '--', '-c', moved]);
	});

	it('as it is a socketmaster itself', async () => {
		await recovers([`-command=${executable}`, '--', '-listen=fd://3', `-command=${fixture('server.mjs')}`]);
	});
});

it('a copy of the journal from before a rotation takes no children of a supervisor that lives, on another address', async () => {
	const own = await site();
	const [first = 0] = await own.killed();
	const copy = join(own.folder, 'copy');
	writeFileSync(copy, readFileSync(own.journal), { mode: 0o600 });
	const second = own.start(own.server);
	await second.logged(/^Recovered from /);
	second.signal('SIGHUP');
	const [, child = ''] = await second.logged(/^Generation 2 is up \((\d+)\)/);
	await second.logged(new RegExp(`^${first} exit status unknown$`));
	const third = run([`-listen=tcp://127.0.0.1:${await freePort()}`, `-journal=${copy}`, ...own.server]);
	expect((await third.ended).status).toBe(1);
	expect(third.lines().at(-1)).toContain(`its supervisor ${second.pid} is still alive`);
	expect(kill(Number(child), 0)).toBe(true);
	second.signal('SIGTERM');
	expect((await second.ended).status).toBe(0);
});

it('two supervisors that were given one socket are started again each for itself', async () => {
	const own = await site();
	const holder = `
import os, socket, subprocess, sys
s = socket.create_server(("127.0.0.1", 0)); os.dup2(s.fileno(), 3); os.set_inheritable(3, True)
for name in sys.argv[2:]:
    subprocess.Popen([sys.argv[1], "-listen=fd://3", "-journal=" + name, "-ready=accept", "-command=${fixture('server.mjs')}"], pass_fds=[3])
sys.stdin.read()
`;
	const [one, two] = [join(own.folder, 'one'), join(own.folder, 'two')];
	const program = run(['-c', holder, executable, one, two], { command: 'python3', stdio: ['pipe', 'pipe', 'pipe'] });
	await program.logged(/^Generation 1 is up/, 2);
	const pidOf = (path: string) => Number(/"pid":(\d+)/.exec(readFileSync(path, 'utf8'))?.[1]);
	const [a, b] = [pidOf(one), pidOf(two)];
	onTestFinished(() => void kill(b, 'SIGTERM'));
	kill(a, 'SIGTERM');
	await until('it has ended', () => !kill(a, 0) || /^State:\s+Z/m.test(readFileSync(`/proc/${a}/status`, 'utf8')));
	const again = run(['-c', holder.replace('sys.argv[2:]', 'sys.argv[2:3]'), executable, one], {
		command: 'python3',
		stdio: ['pipe', 'pipe', 'pipe'],
	});
	await again.logged(/^Generation 1 is up/);
	expect(again.lines().join('\n')).not.toContain('still alive');
});
