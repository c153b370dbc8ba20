import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { until } from '../support/proc.ts';
import { environment, executable, run, scratch } from '../support/program.ts';

/** Starts a command that serves a page. @returns what it printed, as it grows */
function serve(args: string[], env = environment()) {
	const child = spawn(executable, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
	const text = { stdout: '', stderr: '' };
	for (const name of ['stdout', 'stderr'] as const)
		child[name].setEncoding('utf8').on('data', (chunk) => {
			text[name] += chunk;
		});
	onTestFinished(() => void child.kill());
	const url = async () => {
		await until('its address', () => text.stdout.includes('\n') || child.exitCode !== null);
		return /^The inspector is at (http:\S+) until Ctrl-C\n$/.exec(text.stdout)?.[1] ?? `none: ${text.stderr}`;
	};
	return { child, text, url };
}

/** A server on some port of this machine. */
async function taken(): Promise<number> {
	const server = createServer().listen(0, '127.0.0.1');
	onTestFinished(() => void server.close());
	await once(server, 'listening');
	return (server.address() as AddressInfo).port;
}

describe('socketmaster simulate', () => {
	it('prints where its page is, serves it, and ends with Ctrl-C', async () => {
		const { child, url, text } = serve(['simulate', '-listen=127.0.0.1:0']);
		const page = await fetch(await url());
		expect(await page.text()).toContain('<title>socketmaster</title>');
		child.kill('SIGINT');
		expect(await once(child, 'exit')).toEqual([null, 'SIGINT']);
		expect(text.stderr).toBe('');
	});

	it('takes a free port where the usual one is taken, and both are served', async () => {
		const [first, second] = [serve(['simulate']), serve(['simulate'])];
		const urls = [await first.url(), await second.url()];
		expect(new Set(urls).size).toBe(2);
		for (const url of urls) expect((await fetch(url)).status).toBe(200);
	});

	it('takes no other port than the one that was asked for', async () => {
		const port = await taken();
		const { status, stdout, stderr } = await run(['simulate', `-listen=127.0.0.1:${port}`]).ended;
		expect({ status, stdout, stderr }).toEqual({
			status: 1,
			stdout: '',
			stderr: `Unable to listen on 127.0.0.1:${port}: address already in use\n`,
		});
	});

	it('says an address that is not this machine’s in words', async () => {
		const { stderr, status } = await run(['simulate', '-listen=192.0.2.1:9615']).ended;
		expect({ status, stderr }).toEqual({
			status: 1,
			stderr: 'Unable to listen on 192.0.2.1:9615: address not available\n',
		});
	});

	it('warns where others reach it', async () => {
		const { url, text } = serve(['simulate', '-listen=0.0.0.0:0']);
		await url();
		expect(text.stderr).toBe(
			'Warning: 0.0.0.0 is not this machine’s alone: whoever reaches it sees all that the page shows\n',
		);
	});

	it.each(['9615', 'x', ':9615', '127.0.0.1', '127.0.0.1:99999', '127.0.0.1:', 'http://127.0.0.1:1'])(
		'refuses -listen=%s with status 2',
		async (where) => {
			const { status, stdout, stderr } = await run(['simulate', `-listen=${where}`]).ended;
			expect({ status, stdout, stderr }).toEqual({
				status: 2,
				stdout: '',
				stderr: `invalid value "${where}" for flag -listen: HOST:PORT is wanted\n`,
			});
		},
	);

	it('opens a browser when it is asked to, and goes on where there is none', async () => {
		const folder = scratch();
		mkdirSync(join(folder, 'bin'));
		const opener = join(folder, 'bin/xdg-open');
		writeFileSync(opener, `#!/bin/sh\necho "$1" > ${folder}/opened\n`);
		chmodSync(opener, 0o755);
		const PATH = `${folder}/bin:${process.env.PATH}`;
		const first = serve(['simulate', '-listen=127.0.0.1:0', '-open'], environment({ PATH }));
		const url = await first.url();
		const { existsSync, readFileSync } = await import('node:fs');
		await until(
			'it is opened',
			() => existsSync(`${folder}/opened`) && readFileSync(`${folder}/opened`, 'utf8') === `${url}\n`,
		);
		writeFileSync(opener, '#!/bin/sh\nexit 3\n');
		const second = serve(['simulate', '-listen=127.0.0.1:0', '-open'], environment({ PATH }));
		await second.url();
		await until('it says so', () => second.text.stderr === 'Could not open a browser: xdg-open ended with 3\n');
		expect((await fetch(await second.url())).status).toBe(200);
	});
});

describe('socketmaster inspect', () => {
	it.each([
		[['/nonexistent'], 1, '/nonexistent: no such file or directory\n'],
		[['/tmp'], 1, '/tmp: it is a directory\n'],
		[['/etc/passwd'], 1, '/etc/passwd: line 1 is no journal header\n'],
	])('refuses %s with status %i and one sentence', async (args, status, stderr) => {
		expect(await run(['inspect', ...args]).ended).toMatchObject({ status, stdout: '', stderr });
	});

	it('refuses what it does not know, and no journal', async () => {
		expect(await run(['inspect', '/etc/passwd', '-foo']).ended).toMatchObject({
			status: 2,
			stderr: expect.stringContaining('flag provided but not defined: -foo'),
		});
		expect(await run(['inspect', '/etc/passwd', '-control=app']).ended).toMatchObject({
			status: 2,
			stderr: 'a journal or a control socket, not both\n',
		});
	});

	it('waits for the first fact of a journal that is empty yet', async () => {
		const journal = join(scratch(), 'journal');
		writeFileSync(journal, '');
		const { url } = serve(['inspect', journal, '-listen=127.0.0.1:0']);
		expect((await fetch(await url())).status).toBe(200);
	});
});
