/** Five supervisors as five hosts, and the playbook of the examples. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ask } from '../support/asking.ts';
import { environment, root, run, scratch } from '../support/program.ts';

const hasAnsible = existsSync('/usr/bin/ansible-playbook');
if (!hasAnsible) console.log('The fleet is left out: it takes Debian’s ansible-core.');

async function fleet() {
	const folder = scratch();
	const hosts = ['one', 'two', 'three', 'four', 'five'].map((name) => {
		const own = join(folder, name);
		for (const version of ['41', '42', '43']) {
			mkdirSync(join(own, version), { recursive: true });
			const isBroken = version === '43' && name === 'three';
			const script = isBroken ? 'echo "no such table: users" >&2; exit 3' : 'exec sleep 1000';
			writeFileSync(join(own, version, 'server'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
		}
		symlinkSync('41', join(own, 'current'));
		return { name, own, control: join(own, 'control') };
	});
	for (const { own, control } of hosts) {
		// What accepts nothing is a server here.
		const flags = ['-listen=tcp://127.0.0.1:0', '-start=100', '-verify=hold', '-signal=TERM', `-control=${control}`];
		await run([...flags, `-command=${own}/current/server`]).logged(/^Generation 1 is up/);
	}
	const lines = hosts.map(
		({ name, own, control }) => `${name} ansible_connection=local app_folder=${own} control=${control}`,
	);
	const inventory = join(folder, 'inventory');
	writeFileSync(inventory, `[app]\n${lines.join('\n')}\n`);
	const deploy = (version: number) =>
		spawnSync('ansible-playbook', ['-i', inventory, 'deploy.yml', '-e', `version=${version}`], {
			cwd: join(root, 'examples/ansible'),
			encoding: 'utf8',
			env: environment({
				PATH: `${root}bin:${process.env.PATH}`,
				ANSIBLE_NOCOLOR: '1',
				ANSIBLE_LOCAL_TEMP: join(folder, 'temp'),
				ANSIBLE_REMOTE_TEMP: join(folder, 'temp'),
				ANSIBLE_PYTHON_INTERPRETER: '/usr/bin/python3',
			}),
		});
	const results = async () =>
		Promise.all(
			hosts.map(async ({ control }) => {
				const { last } = (await ask(control, '/status')).body;
				return `${last.generation} ${last.result}`;
			}),
		);
	const versions = () => hosts.map(({ own }) => readlinkSync(join(own, 'current')));
	return { deploy, results, versions };
}

describe.runIf(hasAnsible)('a fleet', () => {
	it('gets a version host by host, and stops at the first that gives it up', async () => {
		const { deploy, results, versions } = await fleet();
		const good = deploy(42);
		expect(good.status, good.stdout).toBe(0);
		expect(await results()).toEqual(Array(5).fill('2 promoted'));
		expect(good.stdout).toMatch(/generation 2 serves, pids \d+/);

		const broken = deploy(43);
		expect(broken.status, broken.stdout).not.toBe(0);
		expect(await results()).toEqual(['3 promoted', '3 promoted', '3 failed', '2 promoted', '2 promoted']);
		expect(versions()).toEqual(['43', '43', '42', '42', '42']);
		expect(broken.stdout).toContain('no such table: users');
		expect(broken.stdout).toMatch(/"result": "failed"/);
	}, 120_000);
});
