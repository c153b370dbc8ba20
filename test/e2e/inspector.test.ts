/// <reference lib="dom" />
/** The inspector's page in a real browser, on real supervisors. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { simulate } from '../../src/testing/simulation.ts';
import { hasBrowser, serveInspector, useBrowser } from '../support/browser.ts';
import { writeHistory } from '../support/history.mjs';
import { journalText } from '../support/journal.ts';
import { environment, executable, root, run, scratch } from '../support/program.ts';
import { rotating } from '../support/simulation.ts';

const server = 'test -e "$BROKEN" && exit 7; trap "exit 0" TERM; echo up; while :; do sleep 0.02; done';

/** A supervisor with a journal whose children are broken while a file is there. */
function supervisor({ hasJournal = true } = {}) {
	const folder = scratch();
	const journal = join(folder, 'journal');
	const broken = join(folder, 'broken');
	const control = join(folder, 'control');
	const start = () =>
		run(
			[
				'-listen=tcp://127.0.0.1:0',
				...(hasJournal ? [`-journal=${journal}`] : []),
				`-control=${control}`,
				'-start=100',
				'-signal=TERM',
				'-verify=hold',
				'-command=/bin/sh',
				'--',
				'-c',
				server,
			],
			{
				env: environment({ BROKEN: broken }),
			},
		);
	return { journal, control, broken, start };
}

/** A supervisor that was rotated, and once in vain. */
const failed = () =>
	simulate()
		.start()
		.spawned(1)
		.wait(3000)
		.up(1)
		.wait(2000)
		.signal('HUP')
		.spawned(2)
		.wait(3000)
		.up(2)
		.wait(200)
		.exited(1)
		.wait(2000)
		.signal('HUP')
		.spawned(3)
		.wait(500)
		.exited(3, 7).history;

function journalFile(facts: readonly object[] = failed()) {
	const journal = join(scratch(), 'journal');
	writeFileSync(journal, journalText(facts));
	return journal;
}

const stands = (page: Page, kind: string) => page.getByTestId(`stands-${kind}`).first();
const moment = (page: Page) => page.getByTestId('moment');
const rotation = (page: Page, generation: number) =>
	page.locator('.rotation').filter({ hasText: `generation ${generation}` });

async function reads(text: () => Promise<string | null>, wanted: string | RegExp) {
	let seen = '';
	for (let tries = 0; tries < 2000; tries += 1) {
		seen = (await text()) ?? '';
		if (typeof wanted === 'string' ? seen.includes(wanted) : wanted.test(seen)) return;
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
	throw new Error(`it reads "${seen.slice(0, 1000)}" instead of ${wanted}`);
}

/** It shows the newest fact, of a supervisor that lives or of one that is gone. */
const isLive = (page: Page) => reads(() => moment(page).textContent(), /● live|■ no supervisor writes here any more/);

describe.runIf(hasBrowser)('the inspector’s page', () => {
	const open = useBrowser();

	it('shows a supervisor live: rotated, failing a rotation, draining, upgraded, killed, recovered, stopped', async () => {
		const { journal, broken, start } = supervisor();
		const first = start();
		await first.logged(/^Generation 1 is up/);
		const page = await open((await serveInspector(['inspect', journal])).url);
		await isLive(page);
		await reads(() => stands(page, 'supervisor').textContent(), 'alive › running');
		await reads(() => rotation(page, 1).textContent(), '✔ serves');
		await reads(() => page.locator('.head .source').textContent(), journal);

		first.signal('SIGHUP');
		await first.logged(/^Generation 2 is up/);
		await reads(() => rotation(page, 2).textContent(), /✔ serves in \d+ m?s.*overlap/);
		await reads(() => rotation(page, 1).textContent(), 'ended, status 0, as told');

		writeFileSync(broken, '');
		first.signal('SIGHUP');
		await first.logged(/^Generation 3 failed/);
		await reads(() => rotation(page, 3).textContent(), /✘ failed.*ended, status 7, unasked/);
		await reads(() => stands(page, 'supervisor').textContent(), 'alive › running');
		rmSync(broken);

		first.signal('SIGUSR2');
		await first.logged(/^Upgraded to version/);
		await reads(() => page.locator('.timeline svg').innerHTML(), 'upgraded');

		await reads(() => moment(page).textContent(), '● live');
		first.signal('SIGKILL');
		await first.ended;
		await reads(() => moment(page).textContent(), '■ no supervisor writes here any more');
		const second = start();
		await second.logged(/^Recovered from/);
		await reads(() => page.locator('.timeline svg').innerHTML(), 'recovered');
		await reads(() => moment(page).textContent(), '● live');
		await reads(() => stands(page, 'child').textContent(), 'alive › staying › serving');

		second.signal('SIGTERM');
		await second.ended;
		await reads(() => stands(page, 'supervisor').textContent(), 'stopped');
		await isLive(page);
	});

	it.each([true, false])(
		'attaches to a supervisor that runs, and comes back after an upgrade and a crash; with a journal: %s',
		async (hasJournal) => {
			const { control, broken, start } = supervisor({ hasJournal });
			const first = start();
			await first.logged(/^Generation 1 is up/);
			const page = await open((await serveInspector(['inspect', `-control=${control}`])).url);
			await isLive(page);
			await reads(() => stands(page, 'supervisor').textContent(), 'alive › running');
			await reads(() => page.locator('.head .source').textContent(), control);
			first.signal('SIGHUP');
			await reads(() => rotation(page, 2).textContent(), /✔ serves in \d+ m?s/);
			writeFileSync(broken, '');
			first.signal('SIGHUP');
			await reads(() => rotation(page, 3).textContent(), /✘ failed.*ended, status 7, unasked/);
			rmSync(broken);
			first.signal('SIGUSR2');
			await reads(() => page.locator('.timeline svg').innerHTML(), 'upgraded');
			await reads(() => moment(page).textContent(), '● live');
			if (hasJournal) {
				first.signal('SIGKILL');
				await first.ended;
				await reads(() => moment(page).textContent(), '■ no supervisor writes here any more');
				start();
				await reads(() => page.locator('.timeline svg').innerHTML(), 'recovered');
				await reads(() => moment(page).textContent(), '● live');
				await reads(() => stands(page, 'child').textContent(), 'alive › staying › serving');
			}
		},
	);

	it('lights where a chart stands, what was just taken and what is possible, in shape and in words', async () => {
		const page = await open((await serveInspector(['inspect', journalFile(rotating().wait(3000).up(2).history)])).url);
		await isLive(page);
		const chart = page.locator('[data-chart="supervisor"]');
		await reads(() => stands(page, 'supervisor').textContent(), 'alive › draining');
		expect(
			await chart
				.locator('.state.atomic.active')
				.evaluateAll((all) => all.map((each) => (each as SVGElement).dataset.state)),
		).toEqual(['alive.draining']);
		const taken = await chart
			.locator('.way.taken')
			.evaluateAll((all) => all.map((each) => each.getAttribute('aria-label')));
		expect(taken.sort()).toEqual([
			'All children of a generation are up. If it is the candidate, another generation serves: promote the generation, drain the old generation, kill the oldest beyond -max-draining. (just taken)',
			'At once. Older generations drain. (just taken)',
		]);
		const events = await chart.locator('.way.possible').evaluateAll((all) => all.map((each) => each.textContent));
		expect(events.some((text) => text?.includes('SIGHUP'))).toBe(true);
		const draining = chart.locator('[data-state="alive.draining"]');
		await draining.locator('.name').hover();
		await reads(
			() => page.locator('.frame.supervisor > .tip').textContent(),
			'One generation serves, and older generations drain. After a SIGQUIT, there may be no serving generation. (active now)',
		);
		await draining.focus();
		expect(await draining.getAttribute('aria-label')).toContain('(active now)');
	});

	it('travels in time by keys, by the list, by the timeline and back, and all of it is of that moment', async () => {
		const page = await open((await serveInspector(['inspect', journalFile()])).url);
		await isLive(page);
		const last = Number((await moment(page).textContent())?.match(/fact (\d+) of/)?.[1]);
		await page.keyboard.press('ArrowLeft');
		await reads(() => moment(page).textContent(), `paused at fact ${last - 1} of ${last}`);
		await page.keyboard.press('Home');
		await reads(() => moment(page).textContent(), `paused at fact 1 of ${last}`);
		await reads(() => stands(page, 'supervisor').textContent(), 'alive › starting');
		expect(await rotation(page, 2).count()).toBe(0);
		await page.keyboard.press('Shift+ArrowRight');
		await page.keyboard.press('Shift+ArrowRight');
		await reads(() => page.getByTestId('detail').textContent(), 'generation.started');
		await reads(() => rotation(page, 2).textContent(), '… starting');

		await page.getByRole('option', { name: /child\.exited.*103 exit status 7/ }).click();
		await reads(() => page.getByTestId('detail').textContent(), /child\.lost child=3 status=7/);
		await reads(() => page.getByTestId('detail').textContent(), /supervisor.*alive › rotating.*alive › running/);
		await page.getByRole('button', { name: /generation\.failed/ }).click();
		await reads(() => rotation(page, 3).textContent(), '✘ failed');
		await reads(() => page.getByTestId('detail').textContent(), 'Decided upon');

		const lanes = page.locator('.timeline svg');
		const box = await lanes.boundingBox();
		if (!box) throw new Error('no timeline');
		await page.mouse.move(box.x + box.width - 2, box.y + 20);
		await page.mouse.down();
		await page.mouse.move(box.x + 40, box.y + 20, { steps: 5 });
		await page.mouse.up();
		await reads(() => stands(page, 'supervisor').textContent(), /starting|running/);
		expect(await rotation(page, 3).count()).toBe(0);
		await page.keyboard.press('End');
		await page.locator('.bar[data-child="1"] .serving').first().click();
		await reads(() => page.locator('.actor[aria-pressed="true"]').last().textContent(), 'child 1');
		await page.getByRole('button', { name: 'live' }).click();
		await reads(() => moment(page).textContent(), `■ no supervisor writes here any more, fact ${last} of ${last}`);
	});

	it('filters the facts by text, kind, type and actor', async () => {
		const page = await open((await serveInspector(['inspect', journalFile()])).url);
		await isLive(page);
		const shown = async () => (await page.locator('.row .type').allTextContents()) as string[];
		await page.keyboard.press('/');
		await page.keyboard.type('failed');
		await reads(async () => (await shown()).join(), /^generation\.failed$/);
		await page.getByLabel('Show only facts with this text').fill('');
		await page.getByLabel('Show only facts of this kind').selectOption('decision');
		expect(
			(await shown()).every((type) => !['signal.HUP', 'timer.elapsed', 'child.spawned', 'child.exited'].includes(type)),
		).toBe(true);
		await page.getByLabel('Show only facts of this kind').selectOption('');
		await page.getByLabel('Show only facts of this type').selectOption('child.exited');
		expect(await shown()).toEqual(['child.exited', 'child.exited']);
		await page.getByLabel(/Show only facts about this actor/).fill('child 3');
		expect(await shown()).toEqual(['child.exited']);
	});

	it('imagines what follows a rotation that failed, and writes it down as a journal and as a test that passes', async () => {
		const page = await open((await serveInspector(['inspect', journalFile()])).url, { acceptDownloads: true });
		await isLive(page);
		await page.getByRole('option', { name: /103 exit status 7(?!;)/ }).click();
		await page.getByRole('button', { name: 'Imagine what follows this moment' }).click();
		await reads(() => moment(page).textContent(), 'imagined');
		await reads(() => page.getByTestId('imagined-state').textContent(), /^running 2:serving$/);
		const press = (name: string | RegExp) =>
			page
				.locator('.what-if')
				.getByRole('button', { name, exact: typeof name === 'string' })
				.click();
		await press('SIGHUP');
		await press('it is spawned');
		await press('its -start wait elapses');
		await press('the listener check passes');
		await reads(() => page.getByTestId('imagined-state').textContent(), /^draining 2:draining 4:serving$/);
		await press('it is killed, and started again');
		await page
			.locator('fieldset')
			.filter({ hasText: 'child 2' })
			.getByRole('button', { name: 'it exits with unknown status' })
			.click();
		await reads(() => page.getByTestId('imagined-state').textContent(), /^running 4:serving$/);

		const folder = scratch();
		const save = async (name: string) => {
			const [download] = await Promise.all([page.waitForEvent('download'), press(name)]);
			const path = join(folder, download.suggestedFilename());
			await download.saveAs(path);
			return path;
		};
		const journal = await save('Save as a journal');
		expect(spawnSync(executable, ['replay', journal], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
		const code = readFileSync(await save('Save as a unit test'), 'utf8');
		expect(code).toContain('simulation.recover(known);');
		expect(runExported(code)).toMatch(/1 passed/);
		expect(runExported(code.replace("toBe('running')", "toBe('rotating')"))).toMatch(/1 failed/);

		await press('Back to what is real');
		await reads(() => moment(page).textContent(), 'paused at fact');
	});

	it('imagines a supervisor from nothing with simulate, and ends with it', async () => {
		const page = await open((await serveInspector(['simulate'])).url);
		await reads(() => page.getByTestId('imagined-state').textContent(), /^starting 1:spawning$/);
		const press = (name: string) => page.locator('.what-if').getByRole('button', { name, exact: true }).click();
		await press('the spawn fails');
		await reads(() => page.getByTestId('imagined-state').textContent(), 'stopped');
		await reads(() => page.locator('.what-if').textContent(), 'It is over: nothing can follow.');
		await press('Begin again');
		await page.getByRole('spinbutton', { name: 'children' }).fill('2');
		await page.getByRole('spinbutton', { name: '-kill' }).fill('500');
		await press('Imagine a supervisor from its start');
		await reads(() => page.getByTestId('imagined-state').textContent(), /^starting 1:spawning 2:spawning$/);
	});

	it('is used with the keyboard alone', async () => {
		const page = await open((await serveInspector(['inspect', journalFile()])).url);
		await isLive(page);
		const focused = () =>
			page.evaluate(
				() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '',
			);
		const tabTo = async (wanted: RegExp) => {
			for (let tries = 0; tries < 80; tries += 1) {
				await page.keyboard.press('Tab');
				if (wanted.test(await focused())) return;
			}
			throw new Error(`no way to ${wanted}`);
		};
		await tabTo(/^To the first fact$/);
		await page.keyboard.press('Enter');
		await reads(() => moment(page).textContent(), 'paused at fact 1 of');
		await tabTo(/^The moment shown/);
		await page.keyboard.press('ArrowRight');
		await reads(() => moment(page).textContent(), 'paused at fact 2 of');
		await tabTo(/^beginning: The supervisor is about to start/);
		for (let tries = 0; tries < 30 && !/active now/.test(await focused()); tries += 1)
			await page.keyboard.press('ArrowDown');
		expect(await focused()).toMatch(/\(active now\)/);
		await tabTo(/^Facts, oldest first$/);
		await page.keyboard.press('ArrowDown');
		await reads(() => moment(page).textContent(), 'paused at fact 3 of');
		await page.keyboard.press('End');
		await isLive(page);
		await page.keyboard.press('?');
		expect(await page.getByText('to the rotation before, or the next one').isVisible()).toBe(true);
	});

	it('shows 100,000 facts: while it reads it says how far it is, and any of them is a jump away', async () => {
		const journal = join(scratch(), 'journal');
		writeHistory(journal, 100_000);
		const page = await open((await serveInspector(['inspect', journal])).url);
		await reads(() => page.locator('.loading').textContent(), /^Reading the journal: \d+ %, \d+ facts/);
		await isLive(page);
		const last = Number((await moment(page).textContent())?.match(/fact (\d+) of/)?.[1]);
		expect(last).toBeGreaterThan(100_000);
		expect(await page.locator('.row').count()).toBeLessThan(80);
		await page.keyboard.press('Home');
		await reads(() => stands(page, 'supervisor').textContent(), 'alive › starting');
		await page.locator('.facts .list').evaluate((list) => list.scrollTo(0, list.scrollHeight / 2));
		await reads(async () => (await page.locator('.row .seq').first().textContent()) ?? '', /^[45]\d{4}$/);
		await page.locator('.row').nth(5).click();
		await reads(() => stands(page, 'supervisor').textContent(), 'alive › ');
		await page.keyboard.press('End');
		await isLive(page);
	});

	it('takes what a journal says for text, whatever it looks like', async () => {
		const { history } = rotating();
		const evil = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>\u202e';
		const facts = [
			...history,
			{
				seq: history.length + 1,
				at: 2_000_000,
				type: 'child.exited',
				child: 2,
				pid: 102,
				code: null,
				signal: evil,
				status: 1,
				survivors: [],
				clock: 1,
			},
		];
		const page = await open((await serveInspector(['inspect', journalFile(facts)])).url);
		await isLive(page);
		await reads(() => page.getByTestId('detail').textContent(), '<img src=x');
		expect(await page.title()).toBe('socketmaster inspector');
		expect(await page.locator('img, main script').count()).toBe(0);
	});

	it('says where a journal is damaged, and shows what comes before', async () => {
		const journal = journalFile();
		writeFileSync(journal, `${readFileSync(journal, 'utf8')}{"seq":99,"type":"child.married"}\n`);
		const page = await open((await serveInspector(['inspect', journal])).url);
		await reads(() => page.getByRole('alert').textContent(), /line \d+ is no fact; the story ends here$/);
		await reads(() => moment(page).textContent(), '■ the end, fact');
	});

	it('is open in two windows, and each has its own moment', async () => {
		const { url } = await serveInspector(['inspect', journalFile()]);
		const [one, other] = [await open(url), await open(url)];
		await isLive(one);
		await isLive(other);
		await one.keyboard.press('Home');
		await reads(() => moment(one).textContent(), 'paused at fact 1 of');
		await isLive(other);
	});

	it('goes on when its server is started again, without a fact twice', async () => {
		const journal = journalFile(rotating().history);
		const { url, child } = await serveInspector(['inspect', journal]);
		const page = await open(url, { mayComplain: /ERR_|Failed to load resource/ });
		await isLive(page);
		const count = () => page.locator('#facts-title').textContent();
		const before = await count();
		child.kill();
		await once(child, 'exit');
		await reads(() => moment(page).textContent(), 'connection lost');
		const { history } = rotating().up(2);
		const known = rotating().history.length;
		writeFileSync(
			journal,
			history
				.slice(known)
				.map((fact) => `${JSON.stringify(fact)}\n`)
				.join(''),
			{ flag: 'a' },
		);
		await serveInspector(['inspect', journal], new URL(url).host);
		await reads(count, `Facts ${history.length}`);
		await isLive(page);
		expect(before).toBe(`Facts ${known}`);
	});

	it.each([
		['light', 1440],
		['dark', 1440],
		['light', 360],
		['dark', 3840],
	] as const)(
		'has nothing that axe finds, and nothing that leaves the window, %s and %i wide',
		async (colorScheme, width) => {
			const page = await open((await serveInspector(['inspect', journalFile()])).url, {
				colorScheme,
				viewport: { width, height: 1000 },
			});
			await isLive(page);
			await page.keyboard.press('?');
			expect(await problems(page)).toEqual([]);
			expect(await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)).toBeLessThanOrEqual(
				0,
			);
			await page.getByRole('button', { name: 'Imagine what follows this moment' }).click();
			await reads(() => moment(page).textContent(), 'imagined');
			expect(await problems(page)).toEqual([]);
		},
	);

	it('moves nothing for who wants it so', async () => {
		const page = await open((await serveInspector(['inspect', journalFile()])).url, { reducedMotion: 'reduce' });
		await isLive(page);
		const animations = () => page.evaluate(() => document.getAnimations().length);
		expect(await page.locator('.way.taken').count()).toBeGreaterThan(0);
		expect(await animations()).toBe(0);
		await page.emulateMedia({ reducedMotion: 'no-preference' });
		expect(await animations()).toBeGreaterThan(0);
	});

	it('hands the session to the Stately Inspector, which asks for it', async () => {
		const page = await open((await serveInspector(['inspect', journalFile()])).url);
		await isLive(page);
		// In its place, as the real one is on the internet: it says that it is there, and keeps what it is sent.
		const stately = `<!doctype html><title>stately</title><script>
			window.told = [];
			addEventListener('message', ({ data }) => window.told.push(data));
			opener.postMessage({ type: '@statelyai.connected' }, '*');
		</script>`;
		await page
			.context()
			.route('https://stately.ai/**', (route) => route.fulfill({ contentType: 'text/html', body: stately }));
		const [popup] = await Promise.all([
			page.waitForEvent('popup'),
			page.getByRole('button', { name: /Stately Inspector/ }).click(),
		]);
		const told = () =>
			popup.evaluate(() => (window as unknown as { told: { type: string; name?: string }[] }).told ?? []);
		await reads(async () => JSON.stringify(await told()), '"name":"child.3"');
		const all = await told();
		expect(new Set(all.map(({ type }) => type))).toEqual(
			new Set(['@xstate.actor', '@xstate.event', '@xstate.snapshot']),
		);
		expect(all.filter(({ type }) => type === '@xstate.actor').map(({ name }) => name)).toEqual(
			expect.arrayContaining(['generation.1', 'child.1', 'upgrade', 'child.3']),
		);
	});
});

/** What axe-core finds, in short. */
async function problems(page: Page): Promise<string[]> {
	const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
	// Past the page's own policy, which lets no other script in.
	await page.evaluate(readFileSync(axe, 'utf8'));
	return page.evaluate(async () => {
		const { violations } = await (
			window as unknown as {
				axe: {
					run: () => Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }>;
				};
			}
		).axe.run();
		return violations.flatMap(({ id, nodes }) =>
			nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} ${failureSummary}`),
		);
	});
}

/** Runs a test that the page has written where such tests are. @returns what is printed */
function runExported(code: string): string {
	const path = join(root, `test/machines/exported-${process.pid}.test.ts`);
	onTestFinished(() => rmSync(path, { force: true }));
	writeFileSync(path, code);
	const words = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/support/exported.config.ts'];
	const { stdout, stderr } = spawnSync(process.execPath, words, {
		cwd: root,
		encoding: 'utf8',
		env: environment({ NO_COLOR: '1' }),
	});
	return stdout + stderr;
}
