/** Takes docs/images of the inspector's page, in a real browser: a deploy, one that failed, and what would have followed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('..', import.meta.url));
const program = join(root, 'bin/socketmaster');
const folder = mkdtempSync(join(tmpdir(), 'socketmaster-screenshots-'));
const [journal, broken] = [join(folder, 'journal'), join(folder, 'broken')];
const env = { ...process.env, NODE_EXTRA_CA_CERTS: undefined, BROKEN: broken };

/** A server that takes a while to leave, and does not start while a file is there. */
const server = 'test -e "$BROKEN" && exit 7; trap "sleep 0.6; exit 0" TERM; echo up; while :; do sleep 0.02; done';
const args = [
	'-listen=tcp://127.0.0.1:0',
	`-journal=${journal}`,
	'-start=400',
	'-kill=3000',
	'-signal=TERM',
	'-verify=hold',
];
const supervisor = spawn(program, [...args, '-command=/bin/sh', '--', '-c', server], {
	stdio: ['ignore', 'ignore', 'pipe'],
	env,
});
const said = createInterface({ input: supervisor.stderr })[Symbol.asyncIterator]();

/** Reads the log up to a line. */
async function logged(pattern) {
	for (;;) {
		const { value, done } = await said.next();
		if (done) throw new Error(`${pattern} was never logged`);
		if (pattern.test(value)) return;
	}
}

await logged(/Generation 1 is up/);
await setTimeout(900);
supervisor.kill('SIGHUP');
await setTimeout(150);
supervisor.kill('SIGHUP');
await logged(/Generation 3 is up/);
await setTimeout(1400);
writeFileSync(broken, '');
supervisor.kill('SIGHUP');
await logged(/Generation 4 failed/);
rmSync(broken);
await setTimeout(500);
supervisor.kill('SIGHUP');
await logged(/Generation 5 is up/);
await setTimeout(250);

const page = spawn(program, ['inspect', journal, '-listen=127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'], env });
const [line] = await once(createInterface({ input: page.stdout }), 'line');
const url = line.match(/http:\S+/)[0];
const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'];
const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
	args: ['--no-sandbox', '--disable-gpu', ...quiet],
});
mkdirSync(join(root, 'docs/images'), { recursive: true });
try {
	await shoot('live-light', 'light', 1440, 900, async () => {});
	await shoot('failed-dark', 'dark', 1440, 900, toFailure);
	await shoot('what-if-light', 'light', 1440, 900, async (shown) => {
		await toFailure(shown);
		await shown.getByRole('button', { name: 'What if', exact: true }).click();
		await shown.getByRole('button', { name: 'Rotate', exact: true }).click();
		await shown.getByRole('button', { name: /^Next timer/ }).click();
	});
	await shoot('narrow-light', 'light', 360, 800, async () => {});
} finally {
	await browser.close();
	for (const child of [page, supervisor]) {
		child.kill();
		await once(child, 'exit');
	}
	rmSync(folder, { recursive: true });
}

async function toFailure(shown) {
	await shown.locator('.rotation').filter({ hasText: 'exit status 7' }).click();
}

async function shoot(name, colorScheme, width, height, act) {
	const shown = await browser.newPage({ colorScheme, viewport: { width, height }, reducedMotion: 'reduce' });
	await shown.goto(url);
	await shown.locator('.pill').filter({ hasText: 'live' }).waitFor();
	await act(shown);
	await shown.mouse.move(0, 0);
	await shown.screenshot({ path: join(root, `docs/images/${name}.png`) });
	await shown.close();
}
