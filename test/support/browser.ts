/** A real browser, on the inspector's page. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest';
import { until } from './proc.ts';
import { environment, executable } from './program.ts';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** Where there is none these tests are left out: "apt-get install chromium", or name one in CHROMIUM. */
export const hasBrowser = existsSync(executablePath);

const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'];

/** One browser for a file of tests. */
export function useBrowser() {
	let browser: Browser;
	beforeAll(async () => {
		browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', ...quiet] });
	});
	afterAll(() => browser?.close());

	/** Opens a page that must say nothing in its console, unless a test expects it to. */
	return async (url: string, options: BrowserContextOptions & { mayComplain?: RegExp } = {}): Promise<Page> => {
		const { mayComplain, ...rest } = options;
		const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, ...rest });
		const page = await context.newPage();
		const complaints: string[] = [];
		page.on('pageerror', (error) => complaints.push(error.message));
		page.on('console', (message) => {
			if (['error', 'warning'].includes(message.type()) && !mayComplain?.test(message.text()))
				complaints.push(message.text());
		});
		onTestFinished(async () => {
			await context.close();
			expect(complaints).toEqual([]);
		});
		await page.goto(url);
		return page;
	};
}

/** Runs `socketmaster inspect` or `simulate`. */
export async function serveInspector(args: string[], listen = '127.0.0.1:0') {
	const child: ChildProcess = spawn(executable, [...args, `-listen=${listen}`], {
		stdio: ['ignore', 'pipe', 'inherit'],
		env: environment(),
	});
	let text = '';
	child.stdout?.setEncoding('utf8').on('data', (chunk) => {
		text += chunk;
	});
	onTestFinished(() => void child.kill('SIGKILL'));
	await until('its address', () => text.includes('\n'));
	return { url: text.match(/http:\S+/)?.[0] ?? '', child };
}
