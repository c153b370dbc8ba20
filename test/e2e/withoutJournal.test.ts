/** A supervisor was killed, and its journal can't be read: its children are found by their marks, and replaced. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ask, command } from '../support/asking.ts';
import { load } from '../support/load.ts';
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
	['of a newer format', (path) => change(path, (text) => text.replaceAll('"journal":4', '"journal":5000'))],
	['of an older format', (path) => change(path, (text) => text.replaceAll('"journal":4', '"journal":3'))],
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
		await next.logged(/^Generation 2 is up \(.*\); sending SIGHUP to (.*)$/);
		for (const pid of children) await next.logged(new RegExp(`^${pid} exit status unknown$`));
		const { failures, requests } = await finish();
		expect(failures).toEqual([]);
		expect(requests).toBeGreaterThan(0);
		expect(next.lines().join('\n')).not.toMatch(/internal error|Generation 3/i);
		next.signal('SIGTERM');
		expect((await next.ended).status).toBe(0);
		const replayed = spawnSync(executable, ['replay', own.journal], { encoding: 'utf8', env: environment() });
		expect(replayed).toMatchObject({ status: 0, stderr: '' });
	});
});

it('what could not be read is kept beside the journal, and the new one can be recovered from', async () => {
	const own = await site();
	await own.killed();
	change(own.journal, (text) => text.replaceAll('"journal":4', '"journal":5000'));
	const before = readFileSync(own.journal, 'utf8');
	const second = own.start(own.server);
	await second.logged(
		/^Journal .*: its format 5000 is newer than this program, which knows 4; version \S+, which wrote it, reads it$/,
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
	await program.logged(/^Journal .*: its format 9 is newer than this program, which knows 4$/);
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
	change(own.journal, (text) => text.replaceAll('"journal":4', '"journal":5000'));
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
	await next.logged(/^Generation 2 .* gave? up|given up|exit status 1/);
	const status = await ask(own.control, '/status');
	expect(status.body.generations).toMatchObject([{ generation: 1, state: 'serving', children: [{ pid: child }] }]);
	const { status: verdict, stderr } = await command(['rotate', `-control=${own.control}`]).done;
	expect({ verdict, stderr }).toMatchObject({ verdict: 1, stderr: expect.stringContaining('exit status 1') });
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
	const stranger = spawn(fixture('server.mjs'), {
		env: { ...process.env, PORT: port },
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	onTestFinished(() => void stranger.kill('SIGKILL'));
	await once(stranger.stdout as Readable, 'data');
	const program = own.start(own.server);
	expect((await program.ended).status).toBe(1);
	expect(program.lines().join('\n')).toContain('address already in use');
	expect(kill(stranger.pid ?? 0, 0)).toBe(true);
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
