import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished } from 'vitest';
import { writeHistory } from '../support/history.mjs';
import { environment, executable, run, scratch } from '../support/program.ts';

const replay = (...args: string[]) =>
	spawnSync(executable, ['replay', ...args], { encoding: 'utf8', env: environment(), maxBuffer: 1 << 28 });

/** A journal of one rotation and a stop, by a real run. */
async function realJournal(): Promise<string> {
	const path = join(scratch(), 'journal');
	const script = 'trap "exit 0" HUP TERM; while :; do sleep 0.02; done';
	const program = run([
		'-listen=tcp://127.0.0.1:0',
		'-start=50',
		`-journal=${path}`,
		'-verify=hold',
		'-command=/bin/sh',
		'--',
		'-c',
		script,
	]);
	await program.logged(/^Generation 1 is up/);
	program.signal('SIGHUP');
	await program.logged(/exit status 0$/);
	program.signal('SIGTERM');
	await program.ended;
	return path;
}

describe('replay', () => {
	it('tells the story of a real run: facts, states, decisions', async () => {
		const { stdout, stderr, status } = replay(await realJournal());
		expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
		const timeline = stdout
			.replace(/^\S+ +\d+ {2}/gm, '')
			.replace(/\d{3,}/g, 'N')
			.replace(/ +/g, ' ');
		expect(timeline.split('\n').filter((line) => /->|=> (spawn|send)|decided/.test(line))).toEqual([
			' => spawn child 1 of generation 1',
			' decided generation.started generation=1 trigger=start size=1',
			' decided child.spawning child=1 generation=1 index=0',
			'timer.elapsed child=1 timer=boot starting -> running 1:serving',
			' decided child.verifying child=1 by=wait',
			' decided child.ready child=1',
			' decided generation.promoted generation=1',
			'signal.HUP running -> rotating 1:serving 2:spawning',
			' => spawn child 2 of generation 2',
			' decided generation.started generation=2 trigger=SIGHUP size=1',
			' decided child.spawning child=2 generation=2 index=0',
			' decided child.verifying child=2 by=wait',
			'child.verified child=2 isSeen=true rotating -> draining 1:draining 2:serving',
			' => send SIGHUP to child 1',
			' decided child.ready child=2',
			' decided generation.promoted generation=2 replaced=1',
			' decided child.signalled child=1 signal=HUP reason=drain',
			'child.exited child=1 pid=N code=0 status=0 draining -> running 2:serving',
			'signal.TERM running -> stopping 2:draining',
			' => send SIGTERM to child 2',
			' decided stop.begun request=signal.TERM signal=TERM kill=0',
			' decided child.signalled child=2 signal=TERM reason=stop',
			'child.exited child=2 pid=N code=0 status=0 stopping -> stopped',
		]);
	});

	it('is JSON with -json: the fact, the states before and after, what was decided', async () => {
		const { stdout } = replay(await realJournal(), '-json');
		const steps = stdout
			.trim()
			.split('\n')
			.map((line) => JSON.parse(line));
		expect(steps.find(({ type }) => type === 'signal.HUP')).toMatchObject({
			seq: expect.any(Number),
			at: expect.any(Number),
			before: 'running 1:serving',
			after: 'rotating 1:serving 2:spawning',
			commands: [{ type: 'spawn', child: 2, generation: 2 }],
		});
		expect(steps.find(({ type, generation }) => type === 'generation.started' && generation === 2)).toMatchObject({
			seq: expect.any(Number),
			says: 'SIGHUP: starting generation 2',
		});
	});

	it('ends where it is told to, by number and by time', async () => {
		const path = await realJournal();
		expect(replay(path, '-until=4', '-json').stdout.trim().split('\n')).toHaveLength(4);
		const fourth = JSON.parse(readFileSync(path, 'utf8').split('\n')[4] ?? '');
		const until = new Date(fourth.at).toISOString();
		const seqs = replay(path, `-until=${until}`, '-json')
			.stdout.trim()
			.split('\n')
			.map((line) => JSON.parse(line));
		expect(seqs.every(({ at }) => at <= fourth.at)).toBe(true);
		expect(seqs.length).toBeGreaterThanOrEqual(4);
	});

	it('is exact, or says at which fact it is not', async () => {
		const path = await realJournal();
		// As if the new child had never been up: the charts can't have been draining then.
		const text = readFileSync(path, 'utf8').replace(/^.*"child.verified","child":2.*\n/m, '');
		writeFileSync(path, text);
		const { stderr, status } = replay(path);
		expect(status).toBe(1);
		expect(stderr).toMatch(/: fact \d+ is \{"type":"child.ready","child":2\}, the statecharts decide nothing\n$/);
	});

	it('names the decision that the statecharts take otherwise', async () => {
		const path = await realJournal();
		writeFileSync(
			path,
			readFileSync(path, 'utf8').replace('"generation":2,"replaced":[1]', '"generation":2,"replaced":[]'),
		);
		const { stderr, status } = replay(path);
		expect(status).toBe(1);
		expect(stderr).toMatch(/: fact \d+ is \{.*"replaced":\[\]\}, the statecharts decide \{.*"replaced":\[1\]\}\n$/);
	});

	it('names the decision that was made upon another happening', async () => {
		const path = await realJournal();
		const text = readFileSync(path, 'utf8');
		const [, cause = ''] = /"type":"generation.promoted","generation":2,.*?"cause":(\d+)/.exec(text) ?? [];
		writeFileSync(path, text.replace(new RegExp(`("generation.promoted","generation":2,.*?"cause":)${cause}`), '$11'));
		const { stderr, status } = replay(path);
		expect(status).toBe(1);
		expect(stderr).toMatch(new RegExp(`fact \\d+ is .* upon 1, the statecharts decide .* upon ${cause}\n$`));
	});

	it('leaves a torn last line out', async () => {
		const path = await realJournal();
		appendFileSync(path, '{"seq":99,"at":1,"type":"sig');
		expect(replay(path)).toMatchObject({ status: 0, stderr: '' });
	});

	it('prints the processes that hold listeners, with their fds', () => {
		const path = join(scratch(), 'journal');
		writeHistory(path, 30);
		const lines = readFileSync(path, 'utf8').trim().split('\n');
		const place = lines.findIndex((line) => line.includes('"child.exited"'));
		lines[place] = JSON.stringify({ ...JSON.parse(lines[place] ?? ''), holders: [{ pid: 7, fds: [3, 4] }] });
		writeFileSync(path, `${lines.join('\n')}\n`);
		expect(replay(path).stdout).toContain(' holders=[{"pid":7,"fds":[3,4]}]');
	});

	it('takes a date for its beginning in local time', () => {
		const path = join(scratch(), 'journal');
		writeHistory(path, 30);
		// The first fact is of 2023-11-14 22:13 UTC, which is 2023-11-15 in Tokyo.
		const factsUntil = (zone: string, until: string) =>
			spawnSync(executable, ['replay', path, `-until=${until}`], {
				encoding: 'utf8',
				env: environment({ TZ: zone }),
			}).stdout.split('\n').length;
		expect(factsUntil('Asia/Tokyo', '2023-11-15')).toBe(1);
		expect(factsUntil('UTC', '2023-11-15')).toBeGreaterThan(30);
		expect(factsUntil('Asia/Tokyo', '2023-11-15T00:00')).toBe(factsUntil('Asia/Tokyo', '2023-11-15'));
	});

	it('follows a journal as it grows, and the files that take its place: of another run, and compacted', async () => {
		const path = join(scratch(), 'journal');
		const history = join(scratch(), 'history');
		writeHistory(history, 12);
		const [header = '', ...facts] = readFileSync(history, 'utf8').trim().split('\n');
		writeFileSync(path, `${header}\n${facts[0]}\n`);
		const child = spawn(executable, ['replay', path, '-follow', '-json'], {
			stdio: ['ignore', 'pipe', 'inherit'],
			env: environment(),
		});
		onTestFinished(() => void child.kill());
		const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
		expect(JSON.parse((await lines.next()).value)).toMatchObject({ type: 'supervisor.started' });
		appendFileSync(path, `${facts[1]}\n`);
		expect(JSON.parse((await lines.next()).value)).toMatchObject({ type: 'generation.started' });
		const next = join(scratch(), 'next');
		writeFileSync(next, `${header}\n${facts[0]}\n`);
		execFileSync('mv', [next, path]);
		expect(JSON.parse((await lines.next()).value)).toMatchObject({ type: 'supervisor.started', seq: 1 });
		execFileSync('cp', [join(import.meta.dirname, '../formats/journal-5-checkpoint.jsonl'), next]);
		execFileSync('mv', [next, path]);
		expect(JSON.parse((await lines.next()).value)).toHaveProperty('checkpoint');
		child.kill('SIGINT');
		expect((await once(child, 'exit'))[1]).toBe('SIGINT');
	});

	it.each([
		[['/nonexistent'], 1, '/nonexistent: no such file or directory\n'],
		[['/tmp'], 1, '/tmp: it is a directory\n'],
		[['/etc/passwd'], 1, '/etc/passwd: line 1 is no journal header\n'],
		[['/etc/passwd', '-until=soon'], 2, 'invalid value "soon" for -until: no number and no time\n'],
	])('refuses %s with status %i and one sentence', (args, status, stderr) => {
		expect(replay(...args)).toMatchObject({ status, stdout: '', stderr });
	});

	it('refuses what it does not know', () => {
		expect(replay('/etc/passwd', '-foo')).toMatchObject({ status: 2, stderr: expect.stringContaining('-foo') });
		expect(replay()).toMatchObject({ status: 2, stderr: 'replay needs an argument: path\n' });
	});
});
