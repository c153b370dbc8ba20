/** -output: what becomes of the lines that children print. */
import { once } from 'node:events';
import { chmodSync, constants, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { command } from '../support/asking.ts';
import { isRoot, run, scratch } from '../support/program.ts';

/** A supervisor of a shell script that prints and then sleeps. */
function printing(script: string, flags: string[]) {
	const folder = scratch();
	const control = join(folder, 'control');
	const path = join(folder, 'script');
	const write = (text: string) => writeFileSync(path, text);
	write(script);
	chmodSync(folder, 0o755);
	const program = run([
		'-listen=tcp://127.0.0.1:0',
		'-verify=none',
		'-start=100',
		`-control=${control}`,
		'-command=/bin/sh',
		...flags,
		'--',
		path,
	]);
	return { program, control, write, folder };
}

const sleeping = 'exec sleep 60';
const text = ({ stderr }: { stderr: () => string }) => Buffer.from(stderr(), 'latin1').toString();
const isUp = (own: ReturnType<typeof printing>) => own.program.logged(/Generation 1 is up/);

describe('-output=raw', () => {
	it('logs the lines of the children byte for byte, without prefix', async () => {
		const own = printing(`printf '{"a": "gr\\303\\274n",\\t"n":12345678901234567890}\\n\\n  plain\\n'\n${sleeping}`, [
			'-output=raw',
		]);
		await isUp(own);
		expect(text(own.program)).toContain('\n{"a": "grün",\t"n":12345678901234567890}\n\n  plain\n');
		expect(own.program.stderr()).toMatch(/^socketmaster\[\d+\] .* Listening on/);
	});

	it('keeps a line of 900 KiB in one piece', async () => {
		const own = printing(`printf '{"a":"%0921600d"}\\n' 7\n${sleeping}`, ['-output=raw']);
		await isUp(own);
		expect(text(own.program)).toContain(`\n{"a":"${'0'.repeat(921_599)}7"}\n`);
	});

	it('nests a line that is a JSON object in the line of -json, byte for byte; others are texts', async () => {
		const own = printing(
			`printf '{"n":12345678901234567890, "a":{}}\\n[1]\\n{no\\n "text"\\n{"x":"\\377"}\\n'\n${sleeping}`,
			['-output=raw', '-json'],
		);
		await isUp(own);
		const lines = text(own.program).split('\n');
		const nested = lines.find((line) => line.includes('"output"')) ?? '';
		expect(nested).toMatch(/,"output":\{"n":12345678901234567890, "a":\{\}\}\}$/);
		expect(JSON.parse(nested)).toMatchObject({
			level: 30,
			time: expect.any(Number),
			pid: own.program.pid,
			child: expect.any(Number),
			generation: 1,
			output: { a: {} },
		});
		const messages = lines.filter(Boolean).map((line) => JSON.parse(line).msg);
		// Bytes that are no UTF-8 are no JSON.
		for (const message of ['[1]', '{no', ' "text"', '{"x":"\ufffd"}']) expect(messages).toContain(message);
	});

	it('shows the last output of a version that failed as without it', async () => {
		const own = printing(sleeping, ['-output=raw']);
		await isUp(own);
		own.write('echo broken; exit 3');
		const { stderr } = await command(['rotate', `-control=${own.control}`]).done;
		expect(stderr).toMatch(/^✘ Generation 2 failed .*\n.*\nLast output:\n\s+\| broken\n/);
	});
});

describe('-output=inherit', () => {
	it('leaves the stderr that others write to blocking', async () => {
		const own = printing(`grep flags: /proc/self/fdinfo/2 >&2\n${sleeping}`, ['-output=inherit']);
		await isUp(own);
		const [, flags = ''] = /flags:\s+(\d+)/.exec(text(own.program)) ?? [];
		expect(Number.parseInt(flags, 8) & constants.O_NONBLOCK).toBe(0);
	});

	it("gives the children the supervisor's own stdout and stderr", async () => {
		const own = printing(`echo to stdout; echo to stderr >&2; readlink /proc/self/fd/1 /proc/$PPID/fd/1\n${sleeping}`, [
			'-output=inherit',
		]);
		await isUp(own);
		expect(text(own.program)).toContain('\nto stderr\n');
		own.program.signal('SIGTERM');
		const { stdout } = await own.program.ended;
		const [first, mine, ours] = stdout.split('\n');
		expect(first).toBe('to stdout');
		expect(mine).toBe(ours);
	});

	it.runIf(isRoot)('does so for children of another user too', async () => {
		const own = printing(`echo to stdout; echo to stderr >&2\n${sleeping}`, [
			'-output=inherit',
			'-user=nobody',
			'-env=',
		]);
		await isUp(own);
		expect(text(own.program)).toContain('\nto stderr\n');
	});

	it('is taken over after kill -9 without a word about the output', async () => {
		const own = printing(`echo here >&2\n${sleeping}`, ['-output=inherit', `-journal=${join(scratch(), 'journal')}`]);
		await isUp(own);
		// Its stdout and stderr stay open: the children hold them.
		const exited = once(own.program.process, 'exit');
		own.program.signal('SIGKILL');
		await exited;
		const next = run(own.program.process.spawnargs.slice(1));
		const [, pid] = await next.logged(/took over.* (\d+)/i);
		expect(next.lines().join('\n')).not.toMatch(/output/);
		next.signal('SIGHUP');
		await next.logged(new RegExp(`Generation 2 is up .*sending SIGHUP to ${pid}`));
		next.signal('SIGTERM');
		expect((await next.ended).status).toBe(0);
	});
});

it('another value of -output is refused with a sentence', async () => {
	const { status, stderr } = await run(['-output=none', '-command=/bin/true']).ended;
	expect(status).toBe(2);
	expect(stderr.split('\n')[0]).toBe('invalid value "none" for flag -output: prefix, raw or inherit');
});
