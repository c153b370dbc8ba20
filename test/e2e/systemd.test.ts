/** Under a real systemd, in namespaces of its own. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { executable, fixture, isRoot, root } from '../support/program.ts';

const canBoot = isRoot && existsSync('/lib/systemd/systemd') && existsSync('/usr/bin/dbus-daemon');
if (!canBoot) console.log('The tests under systemd are left out: they take root, and Debian’s systemd and dbus.');

describe.runIf(canBoot)('under systemd', () => {
	it('a service starts, reloads, is recovered when it is killed, restarts on another port, and stops in time', () => {
		const args = [join(root, 'test/support/systemd.sh'), fixture('underSystemd.sh'), executable, process.execPath];
		const { stdout, stderr, status } = spawnSync('bash', args, { cwd: root, encoding: 'utf8', timeout: 100_000 });
		expect(stdout.trim().split('\n'), stderr).toEqual([
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
	}, 120_000);
});
