/** Under a real systemd, in namespaces of its own. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseEnvironmentFile } from '../../src/effects/children/environmentFile.ts';
import { executable, fixture, isRoot, root } from '../support/program.ts';

const canBoot = isRoot && existsSync('/lib/systemd/systemd') && existsSync('/usr/bin/dbus-daemon');
if (!canBoot) console.log('The tests under systemd are left out: they take root, and Debian’s systemd and dbus.');

/** A Debian whose systemd knows Type=notify-reload (253 or newer): the machine's own, or one that debootstrap has made. */
const another = '/var/tmp/socketmaster-trixie';
const isNewEnough =
	canBoot && Number(/\d+/.exec(execFileSync('systemctl', ['--version'], { encoding: 'utf8' }))?.[0]) >= 253;
const canReload = canBoot && (isNewEnough || existsSync(`${another}/lib/systemd/systemd`));
if (canBoot && !canReload) {
	console.log(
		`Type=notify-reload is left out: it takes systemd 253, or "debootstrap --variant=minbase --include=systemd,dbus,procps trixie ${another}"`,
	);
}

/** What a script in there prints, line by line. */
function runThere(script: string, args: string[], system?: string) {
	const words = [join(root, 'test/support/systemd.sh'), fixture(script), ...args];
	const env = { ...process.env, NODE_EXTRA_CA_CERTS: undefined, ...(system && { SYSTEM: system }) };
	const { stdout, stderr, status } = spawnSync('bash', words, { cwd: root, encoding: 'utf8', timeout: 150_000, env });
	return { lines: stdout.trim().split('\n'), stderr, status };
}

const examples = join(root, 'examples/systemd');

describe.runIf(canBoot)('under systemd', () => {
	it('a file of variables means the same to both, also where its lines are awkward', () => {
		const texts = [
			'X_A={"a":1}',
			"X_A=it's fine\nX_B=2",
			'X_A=say "hi" twice',
			'X_A="a"b',
			'X_A="a"  b  ',
			'X_A="a""b"',
			`X_A="a"'b'c"d"`,
			`X_A='a'"b"`,
			'X_A=a"b c"d',
			'X_A= "a"',
			'X_A=  a  ',
			'X_A=a   b   ',
			'X_A="  a  "  ',
			"X_A='  a  '  ",
			'X_A=',
			'X_A=""',
			"X_A=''",
			'X_A="a\nb"\nX_B=c',
			"X_A='a\nb'\nX_B=c",
			'X_A="a\\\nb"',
			'X_A=a\\\nb',
			'X_A=a\\\n  b',
			'X_A=a \\\n  b',
			'X_A=a\\\n\nX_B=c',
			"X_A='a\\\nb'",
			'X_A=a\\ b',
			'X_A=a\\ ',
			'X_A=a\\\\b',
			'X_A=\\"a\\"',
			"X_A=\\'a\\'",
			'X_A="\\"a\\""',
			'X_A="a\\nb\\tc"',
			'X_A="\\$a \\`b\\` \\\\ $c"',
			"X_A='\\$a \\b'",
			'X_A=$HOME $',
			'X_A=a # no comment',
			'X_A="a" # no comment',
			'X_A=a;b',
			'# X_A=1\nX_B=2',
			'; X_A=1\nX_B=2',
			'  # X_A=1\nX_B=2',
			'  X_A=1',
			'X_A =1',
			'X_A\t =\t1',
			'X_A=a=b=c',
			'X_A=1\nX_A=2',
			'export X_A=1\nX_B=2',
			'1X=1\nX-Y=2\nX_B=3',
			'=1\nX_B=2',
			'X_A\nX_B=2',
			'X_A=1\r\nX_B=2\r\n',
			'X_A="1"\r\nX_B=2',
			'X_A=\\',
			'X_A="never closed\nX_B=2',
			"X_A='never closed",
			'X_A={"url":"http://h/?a=b&c=d","n":[1,2]}',
			'X_A=-----BEGIN\\nKEY-----',
			'X_A=p@ss"word',
			'X_A=p@ss\'word\nX_B="q"',
			'X_A=größe',
			'X_A=\tx\ty\t',
			'\n\nX_A=1\n\n',
		];
		const { lines, stderr, status } = runThere(
			'environmentUnderSystemd.sh',
			texts.map((text) => Buffer.from(text).toString('base64')),
		);
		expect(status, stderr).toBe(0);
		const theirs = lines.map((line) =>
			Object.fromEntries(
				Buffer.from(line, 'base64')
					.toString()
					.split('\0')
					.filter((field) => field.startsWith('X_'))
					.map((field) => [field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)]),
			),
		);
		const ours = texts.map((text) => {
			const { variables } = parseEnvironmentFile(Buffer.from(text).toString('latin1'));
			return Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, String(value)]));
		});
		expect(ours.map((each, index) => ({ text: texts[index], each }))).toEqual(
			theirs.map((each, index) => ({ text: texts[index], each })),
		);
	}, 160_000);

	it('a service starts, reloads, is recovered when it is killed, restarts on another port, and stops in time', () => {
		const { lines, stderr, status } = runThere('underSystemd.sh', [executable, process.execPath]);
		expect(lines, stderr).toEqual([
			'enabled: yes',
			'started: active',
			'stamped twice: 0',
			'levels in words: 0',
			'reloaded: active',
			'recovered: active',
			'same child: yes',
			'old port: no',
			'new port: yes',
			'stopped: inactive',
			'in time: yes',
			'left: 0',
		]);
		expect(status).toBe(0);
	}, 160_000);

	it('the units of the examples keep what they promise: a reload that tells the truth, a crash that nobody notices, a watchdog, a socket', () => {
		const { lines, stderr, status } = runThere('unitsUnderSystemd.sh', [executable, process.execPath, examples]);
		expect(lines, stderr).toEqual([
			'exposure: app.service: 3.3',
			'started: active, generation 1 serves',
			'as another user: www-data',
			'the main process is ours: yes',
			'reloaded: 0, generation 2 serves',
			'broken: 1, active',
			'says: generation 3 failed: N exit status 3; generation 2 serves',
			'last output: 1',
			'after it: running',
			'answers: yes',
			'mended: 0',
			'silent: 0, answers',
			'reload after a crash: 0',
			'load: failed 0, many',
			'recovered twice: 2, active',
			'restarted: active, 1',
			'rotated by a signal: generation 2 serves',
			'stopped: inactive, in time, left: 0',
			'runtime directory: 0',
			'mute: 1, 2',
			'stuck: recovered, same child: yes',
			'by its socket: yes, active',
			'reloaded: 0, generation 2 serves',
			'the socket stays: active',
		]);
		expect(status).toBe(0);
	}, 160_000);
});

describe.runIf(canReload)('under a systemd that knows notify-reload', () => {
	it('a reload waits for the rotation, however it ends, and an upgrade in the middle of it is not noticed', () => {
		const { lines, stderr, status } = runThere(
			'notifyReload.sh',
			[executable, examples],
			isNewEnough ? undefined : another,
		);
		expect(lines, stderr).toEqual([
			'started: active, generation 1 serves',
			'reloaded: 0, running, generation 2 serves',
			'broken: 0, running, generation 3 failed: N exit status 3; generation 2 serves',
			'while it boots: reloading, generation 2 serves; generation 4 starts',
			'upgraded: 0, reloading',
			'up: generation 4 serves',
			'stopped: inactive',
		]);
		expect(status).toBe(0);
	}, 160_000);
});
