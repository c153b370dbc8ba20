/** How long the inspector's page takes for a long journal, and for a jump in it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { writeHistory } from '../test/support/history.mjs';
import { folder, isQuick, median, programs, report } from './support.mjs';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';

export async function benchInspector() {
	if (!existsSync(executablePath)) return console.log('inspector: left out, there is no chromium');
	const { chromium } = await import('playwright-core');
	const facts = isQuick ? 2000 : 100_000;
	const path = join(folder, 'inspected');
	writeHistory(path, facts);
	const child = spawn(programs[0].path, ['inspect', path, '-listen=127.0.0.1:0'], {
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	const [line] = await once(createInterface({ input: child.stdout }), 'line');
	const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'];
	const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', ...quiet] });
	try {
		const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
		const began = performance.now();
		await page.goto(line.match(/http:\S+/)[0]);
		await page.getByTestId('moment').filter({ hasText: 'not running' }).waitFor({ timeout: 120_000 });
		report(`inspector: loading ${facts} facts, s`, [(performance.now() - began) / 1000]);
		const jumps = await page.evaluate(jumpAbout, 40);
		report('inspector: a jump, ms, median', [median(jumps)]);
		report('inspector: a jump, ms, longest of 40', [Math.max(...jumps)]);
		const busy = await busyTime(page);
		const before = await busy();
		await new Promise((resolve) => setTimeout(resolve, idle));
		report('inspector: CPU of an idle page, %', [((await busy()) - before) / (idle / 100_000)]);
	} finally {
		await browser.close();
		child.kill();
	}
}

/** @returns a function that tells for how long the page's main thread has worked, in seconds */
async function busyTime(page) {
	const session = await page.context().newCDPSession(page);
	await session.send('Performance.enable');
	return async () => {
		const { metrics } = await session.send('Performance.getMetrics');
		return metrics.find(({ name }) => name === 'TaskDuration').value;
	};
}

/** How long an idle page is watched, in milliseconds. */
const idle = isQuick ? 1000 : 10_000;

/** In the page: to events and rotations, each until it is drawn. */
async function jumpAbout(count) {
	const times = [];
	for (let jump = 0; jump < count; jump += 1) {
		const key = ['Home', 'End', 'ArrowLeft'][jump % 3];
		const began = performance.now();
		if (jump % 4 === 3) document.querySelectorAll('.rotation')[jump % 6]?.click();
		else document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
		await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
		times.push(performance.now() - began);
	}
	return times;
}
