/// <reference lib="dom" />
/** The inspector's page in a real browser, on real supervisors. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { usualPlan } from '../../src/machines/facts/facts.ts';
import { simulate } from '../../src/testing/simulation.ts';
import { ask, type Row } from '../support/asking.ts';
import { hasBrowser, serveInspector, useBrowser } from '../support/browser.ts';
import { writeHistory } from '../support/history.mjs';
import { journalText } from '../support/journal.ts';
import { environment, executable, kill, root, run, scratch } from '../support/program.ts';
import { rotating } from '../support/simulation.ts';
import { site } from '../support/site.ts';

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

const moment = (page: Page) => page.getByTestId('moment');
const health = (page: Page) => page.getByTestId('health');
const detail = (page: Page) => page.getByTestId('detail');
const rotation = (page: Page, generation: number) =>
	page.locator('.rotation').filter({ has: page.locator('strong', { hasText: new RegExp(`^${generation}$`) }) });
const bar = (page: Page, name: string | RegExp) =>
	page.locator('.what-if').getByRole('button', { name, exact: typeof name === 'string' });

async function reads(text: () => Promise<string | null>, wanted: string | RegExp) {
	let seen = '';
	for (let tries = 0; tries < 2000; tries += 1) {
		seen = (await text()) ?? '';
		if (typeof wanted === 'string' ? seen.includes(wanted) : wanted.test(seen)) return;
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
	throw new Error(`it reads "${seen.slice(0, 1000)}" instead of ${wanted}`);
}

/** It shows the newest event, of a supervisor that lives or of one that is gone. */
const isLive = (page: Page) => reads(() => moment(page).textContent(), /^live|^Supervisor is not running/);

/** Three workers. */
const three = (respawn = -1) => {
	const simulation = simulate().start({ size: 3, respawn });
	for (const child of [1, 2, 3]) simulation.spawned(child);
	simulation.wait(3000);
	for (const child of [1, 2, 3]) simulation.up(child);
	return simulation.wait(2000);
};

describe.runIf(hasBrowser)('the inspector’s page', () => {
	const open = useBrowser();

	it('shows a supervisor live: rotated, failing a rotation, draining, upgraded, killed, recovered, stopped', async () => {
		const { journal, broken, start } = supervisor();
		const first = start();
		await first.logged(/^Generation 1 is up/);
		const page = await open((await serveInspector(['inspect', journal])).url);
		await isLive(page);
		await reads(() => health(page).textContent(), 'OK 1/1 serving · gen 1');
		await reads(() => page.getByTestId('sentences').textContent(), /^Generation 1 serves since .*, ready in \d+ ms\)/);
		await reads(() => page.title(), /^✔ .* 1\/1$/);
		expect(await page.locator('.head h1').getAttribute('title')).toBe(journal);

		first.signal('SIGHUP');
		await first.logged(/^Generation 2 is up/);
		await reads(() => rotation(page, 2).textContent(), /live .*, ready in \d+ m?s/);
		await reads(() => rotation(page, 1).textContent(), /was live .*, drained/);

		writeFileSync(broken, '');
		first.signal('SIGHUP');
		await first.logged(/^Generation 3 failed/);
		await reads(() => rotation(page, 3).textContent(), /✘ 3 .* agoafter \d+ ms: \d+ exit status 7$/);
		await reads(() => page.getByTestId('failure').textContent(), /^Last rotation FAILED: #3, .*exit status 7/);
		await reads(() => health(page).textContent(), 'OK 1/1 serving · gen 2');
		rmSync(broken);

		first.signal('SIGUSR2');
		await first.logged(/^Upgraded to version/);
		await reads(() => page.locator('.rotations').textContent(), '— upgraded —');

		await reads(() => moment(page).textContent(), /^live/);
		first.signal('SIGKILL');
		await first.ended;
		await reads(() => health(page).textContent(), /✘ GONE$/);
		await reads(
			() => page.getByTestId('sentences').textContent(),
			/^Supervisor \d+ exited without a stop, after [\d:]+; \d+ may run on/,
		);
		await reads(() => page.title(), /^✘ .* GONE$/);
		expect(await page.locator('.timeline .gap').count()).toBe(1);
		expect(await detail(page).textContent()).toContain('its state is not known since');
		const second = start();
		await second.logged(/^Recovered from/);
		await reads(() => page.locator('.rotations').textContent(), /— recovered, gap ≤ [\d.]+ m?s —/);
		await reads(() => health(page).textContent(), 'OK 1/1 serving · gen 2');
		expect(await page.locator('.overview .service.unknown').count()).toBe(1);

		second.signal('SIGTERM');
		await second.ended;
		await reads(() => health(page).textContent(), 'STOPPED');
		await reads(
			() => page.getByTestId('sentences').textContent(),
			/^At [\d:]+, as requested \(the children got SIGTERM\), status 0/,
		);
	});

	it.each([true, false])(
		'attaches to a supervisor that runs, and comes back after an upgrade and a crash; with a journal: %s',
		async (hasJournal) => {
			const { control, broken, start } = supervisor({ hasJournal });
			const first = start();
			await first.logged(/^Generation 1 is up/);
			first.signal('SIGHUP');
			await first.logged(/^Generation 2 is up/);
			const page = await open((await serveInspector(['inspect', `-control=${control}`])).url);
			await isLive(page);
			await reads(() => health(page).textContent(), 'OK 1/1 serving · gen 2');
			// What happened before the page was opened, and what the facts do not say.
			await reads(() => rotation(page, 1).textContent(), /✔ 1 .*ready in \d+ m?s/);
			await reads(() => page.locator('.children tbody').textContent(), /serving.*0$/);
			first.signal('SIGHUP');
			await reads(() => rotation(page, 3).textContent(), /live .*ready in \d+ m?s/);
			writeFileSync(broken, '');
			first.signal('SIGHUP');
			await reads(() => rotation(page, 4).textContent(), /✘.*exit status 7/);
			rmSync(broken);
			first.signal('SIGUSR2');
			await reads(() => page.locator('.rotations').textContent(), '— upgraded —');
			await reads(() => moment(page).textContent(), /^live/);
			if (hasJournal) {
				first.signal('SIGKILL');
				await first.ended;
				await reads(() => health(page).textContent(), 'GONE');
				start();
				await reads(() => page.locator('.rotations').textContent(), '— recovered');
				await reads(() => health(page).textContent(), 'OK 1/1 serving · gen 3');
			}
		},
	);

	it('says of a supervisor in trouble what status says of it, at 50 moments', async () => {
		const own = site('accept', { flags: ['-workers=2', '-respawn=50', '-signal=TERM'] });
		await own.up();
		const page = await open((await serveInspector(['inspect', `-control=${own.control}`])).url);
		await isLive(page);
		const seen = new Set<string>();
		for (let turn = 0; turn < 50; turn += 1) {
			const { generations } = (await ask(own.control, '/status?brief')).body;
			const pids = generations.flatMap((each: Row) => each.children.map(({ pid }: Row) => pid)).filter(Boolean);
			own.instruct(turn % 10 === 9 ? 'exit 3' : 'accept');
			if (turn % 3 === 0) own.program.signal('SIGHUP');
			else for (const pid of pids.slice(0, turn % 4)) kill(pid, 'SIGKILL');
			for (let tries = 0; ; tries += 1) {
				const before = (await ask(own.control, '/status?brief')).body;
				// Both of one frame.
				const head = await page.locator('.head').textContent();
				const [word, shown] = [head ?? '', head?.match(/event \d+ of (\d+)/)?.[1]];
				const after = (await ask(own.control, '/status?brief')).body;
				// Nothing happened while the page was read, and it has been told of everything.
				if (before.seq === after.seq && shown === String(after.seq)) {
					expect(word).toContain(
						`${after.health.state.toUpperCase()} ${after.health.serving}/${after.health.size} serving`,
					);
					seen.add(after.health.state);
					break;
				}
				if (tries > 500) throw new Error(`the page shows "${shown}", the supervisor is at ${after.seq}`);
				await new Promise((resolve) => setTimeout(resolve, 20));
			}
		}
		expect([...seen].sort()).toEqual(expect.arrayContaining(['degraded', 'ok']));
	});

	it('says in red that nobody serves, in the head, the strip, the title and the overview', async () => {
		const outage = three(500).exited(1, 70).exited(2, 70).exited(3, 70).wait(500);
		outage
			.tell({ type: 'respawn.due', generation: 1, index: 0 })
			.spawned(4)
			.exited(4, 70)
			.tell({ type: 'signal.USR2' });
		const page = await open((await serveInspector(['inspect', journalFile(outage.history)])).url);
		await isLive(page);
		await page.keyboard.press('ArrowLeft');
		await reads(() => health(page).textContent(), /✘ DOWN 0\/3 serving/);
		await reads(() => page.getByTestId('sentences').textContent(), /^Crash loop: \d exits \(last status 70\)/);
		await reads(() => page.title(), /^✘ .* 0\/3$/);
		expect(await health(page).getAttribute('class')).toContain('bad');
		expect(await page.locator('.overview .service.down').count()).toBe(1);
		// One time has one place in the whole history and in the lanes below it.
		const [strip, axis] = [
			await page.locator('.overview svg').boundingBox(),
			await page.locator('.axis').boundingBox(),
		];
		expect(Math.abs((strip?.x ?? 0) - (axis?.x ?? 0))).toBeLessThanOrEqual(2);
		expect(strip?.y).toBeLessThan(axis?.y ?? 0);
		expect((strip?.y ?? 0) + (strip?.height ?? 0)).toBeLessThanOrEqual((axis?.y ?? 0) + 2);
		expect(await page.locator('.children').textContent()).toContain('crashed (exit 70)');
		expect(await rotation(page, 1).textContent()).not.toContain('serves');
	});

	it('keeps the scale of the timeline and the rows of the lists for a selected moment; Back returns, and a link names it', async () => {
		const page = await open((await serveInspector(['inspect', journalFile()])).url);
		await isLive(page);
		const scale = () => page.locator('.axis').innerHTML();
		const [before, rows] = [await scale(), await page.locator('.rotation').count()];
		await rotation(page, 1).click();
		await reads(() => moment(page).textContent(), 'paused at event');
		expect(await scale()).toBe(before);
		expect(await page.locator('.rotation').count()).toBe(rows);
		expect(await rotation(page, 3).getAttribute('class')).toContain('later');
		await rotation(page, 3).click();
		await reads(() => detail(page).textContent(), /^#3 failed after 500 ms: 103 exit status 7/);
		const address = page.url();
		expect(address).toMatch(/#g=3$/);
		await page.goBack();
		await reads(() => detail(page).textContent(), 'Generation 1');
		await page.goto('about:blank');
		await page.goto(address);
		await reads(() => detail(page).textContent(), /^#3 failed after 500 ms/);
	});

	it('lights where a chart stands, what was just taken and what is possible, in shape and in words', async () => {
		const page = await open((await serveInspector(['inspect', journalFile(rotating().wait(3000).up(2).history)])).url);
		await isLive(page);
		await page.getByRole('tab', { name: 'Statechart' }).click();
		const chart = page.locator('[data-chart="supervisor"]');
		await reads(() => page.getByTestId('stands').textContent(), 'alive › draining');
		expect(
			await chart
				.locator('.state.atomic.active')
				.evaluateAll((all) => all.map((each) => (each as SVGElement).dataset.state)),
		).toEqual(['alive.draining']);
		const taken = await chart
			.locator('.way.taken')
			.evaluateAll((all) => all.map((each) => each.getAttribute('aria-label') ?? ''));
		expect(taken.length).toBeGreaterThan(0);
		expect(taken.every((words) => words.endsWith('(just taken)'))).toBe(true);
		expect(taken.join()).toContain('All children of a generation are up.');
		const events = await chart.locator('.way.possible').evaluateAll((all) => all.map((each) => each.textContent));
		expect(events.some((text) => text?.includes('SIGHUP'))).toBe(true);
		const draining = chart.locator('[data-state="alive.draining"]');
		await draining.locator('.name').hover();
		await reads(
			() => page.locator('.frame.supervisor > .tip').textContent(),
			/^draining: One generation serves.*\(active now\)$/,
		);
		await page.getByRole('button', { name: 'generation 2', exact: true }).click();
		await page.getByRole('button', { name: 'child 102' }).click();
		await reads(() => page.getByTestId('stands').textContent(), 'alive › staying › serving');
		const sizes = await page.locator('.room text').evaluateAll((all) =>
			all.map((each) => {
				const svg = (each as SVGTextElement).ownerSVGElement as SVGSVGElement;
				const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
				return Number.parseFloat(getComputedStyle(each).fontSize) * scale;
			}),
		);
		expect(Math.min(...sizes)).toBeGreaterThanOrEqual(11);
	});

	it('travels in time by keys, by the list, by the timeline and back, and all of it is of that moment', async () => {
		const page = await open((await serveInspector(['inspect', journalFile()])).url);
		await isLive(page);
		const last = Number((await moment(page).textContent())?.match(/event (\d+) of/)?.[1]);
		await page.keyboard.press('ArrowLeft');
		await reads(() => moment(page).textContent(), `paused at event ${last - 1} of ${last}`);
		await page.keyboard.press('Home');
		await reads(() => moment(page).textContent(), `paused at event 1 of ${last}`);
		await reads(() => health(page).textContent(), 'STARTING 0/1 serving');
		await page.keyboard.press('Shift+ArrowRight');
		await page.keyboard.press('Shift+ArrowRight');
		await reads(() => detail(page).textContent(), 'generation.started');
		await reads(() => rotation(page, 2).textContent(), 'starting for');

		await page.getByRole('option', { name: /child\.exited.*103 exit status 7/ }).click();
		await reads(() => detail(page).textContent(), /Led to:.*child\.lost/);
		await reads(() => detail(page).textContent(), /supervisor.*alive › rotating.*alive › running/);
		await page.getByRole('button', { name: /generation\.failed/ }).click();
		await reads(() => detail(page).textContent(), 'Caused by');

		const strip = page.locator('.strip');
		const box = await strip.boundingBox();
		if (!box) throw new Error('no timeline');
		await page.mouse.move(box.x + box.width - 2, box.y + 30);
		await page.mouse.down();
		await page.mouse.move(box.x + 40, box.y + 30, { steps: 5 });
		await page.mouse.up();
		await reads(() => moment(page).textContent(), /paused at event [1-9] of/);
		await page.getByRole('button', { name: 'Children of generation 1' }).click();
		await reads(
			() => page.locator('.bar[data-child="1"]').getAttribute('aria-label'),
			/101: (booting|verifying|serving)/,
		);
		await page.getByRole('button', { name: 'End' }).click();
		await reads(() => moment(page).textContent(), `Supervisor is not running, event ${last} of ${last}`);
	});

	it('zooms by the wheel and pans by the axis, and Reset returns', async () => {
		const page = await open((await serveInspector(['inspect', journalFile()])).url);
		await isLive(page);
		const span = async () => (await page.locator('.timeline > header .quiet').textContent()) ?? '';
		const before = await span();
		const axis = await page.locator('.axis').boundingBox();
		if (!axis) throw new Error('no axis');
		await page.mouse.move(axis.x + 300, axis.y + 5);
		await page.mouse.wheel(0, -600);
		await reads(span, /^(?!.*\(1[0-9] s\))/);
		const zoomed = await span();
		expect(zoomed).not.toBe(before);
		await page.mouse.down();
		await page.mouse.move(axis.x + 100, axis.y + 5, { steps: 4 });
		await page.mouse.up();
		await reads(async () => String((await span()) !== zoomed), 'true');
		await page.getByRole('button', { name: 'Reset to the time that the page chooses' }).click();
		await reads(span, before);
	});

	it('filters the events by text, kind, type and actor, and says where none matches', async () => {
		const page = await open((await serveInspector(['inspect', journalFile()])).url);
		await isLive(page);
		const shown = async () => (await page.locator('.row .type').allTextContents()) as string[];
		await page.keyboard.press('/');
		await page.keyboard.type('"serving":2');
		await reads(async () => (await shown()).join(), /^generation\.failed$/);
		await page.getByLabel('Show only events with this text').fill('given');
		await reads(() => page.locator('.events .none').textContent(), 'No event matches “given”. Clear');
		await page.getByRole('button', { name: 'Clear' }).click();
		await page.getByLabel('Show only events of this kind').selectOption('decision');
		expect(
			(await shown()).every((type) => !['signal.HUP', 'timer.elapsed', 'child.spawned', 'child.exited'].includes(type)),
		).toBe(true);
		await page.getByLabel('Show only events of this kind').selectOption('');
		await page.getByLabel('Show only events of this type').selectOption('child.exited');
		expect(await shown()).toEqual(['child.exited', 'child.exited']);
		await page.getByLabel(/Show only events about this actor/).fill('child 3');
		expect(await shown()).toEqual(['child.exited']);
	});

	it('shows what follows a rotation that failed, and writes it down as a journal and as a test that passes', async () => {
		const page = await open((await serveInspector(['inspect', journalFile()])).url, { acceptDownloads: true });
		await isLive(page);
		await page.getByRole('option', { name: /child\.exited 103 exit status 7/ }).click();
		await page.getByRole('button', { name: 'What if', exact: true }).click();
		await reads(() => moment(page).textContent(), 'what if');
		const state = () => page.getByTestId('what-if-state').textContent();
		await reads(state, /^running 2:serving$/);
		await bar(page, 'Rotate').click();
		await reads(state, /^rotating 2:serving 4:booting$/);
		await bar(page, /^Next timer: -start of 104, in/).click();
		await reads(state, /^draining 2:draining 4:serving$/);
		await bar(page, 'Undo').click();
		await reads(state, /^rotating 2:serving 4:booting$/);
		await bar(page, /^Next timer/).click();
		await bar(page, 'Crash supervisor').click();
		await page.locator('.child-menu select').selectOption({ label: '102 (draining)' });
		await bar(page, 'exits 0').click();
		await reads(state, /^running 4:serving$/);

		const folder = scratch();
		const save = async (name: string) => {
			await page.locator('summary', { hasText: 'Export' }).click();
			const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name }).click()]);
			const path = join(folder, download.suggestedFilename());
			await download.saveAs(path);
			return path;
		};
		const journal = await save('Journal');
		expect(spawnSync(executable, ['replay', journal], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
		const code = readFileSync(await save('Unit test'), 'utf8');
		expect(code).toContain('simulation.recover(known);');
		expect(runExported(code)).toMatch(/1 passed/);
		expect(runExported(code.replace("toBe('running')", "toBe('rotating')"))).toMatch(/1 failed/);
		const receipts = JSON.parse(readFileSync(await save('Receipts'), 'utf8'));
		expect(receipts.at(-1)).toMatchObject({ generation: 4, result: 'promoted' });
		const picture = readFileSync(await save('Picture'), 'utf8');
		expect(picture).toMatch(/^<svg /);
		expect(picture).toContain('gen 4');

		await bar(page, 'Exit what-if').click();
		await reads(() => moment(page).textContent(), 'paused at event');
	});

	it('writes down the journal of a real supervisor, which replays to the same', async () => {
		const page = await open((await serveInspector(['inspect', journalFile()])).url, { acceptDownloads: true });
		await isLive(page);
		await page.locator('summary', { hasText: 'Export' }).click();
		const [download] = await Promise.all([
			page.waitForEvent('download'),
			page.getByRole('button', { name: 'Journal' }).click(),
		]);
		const path = join(scratch(), 'journal');
		await download.saveAs(path);
		expect(spawnSync(executable, ['replay', path], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
	});

	it('imagines a supervisor from nothing with simulate, with the program’s own defaults, and ends with it', async () => {
		const page = await open((await serveInspector(['simulate'])).url);
		const state = () => page.getByTestId('what-if-state').textContent();
		await reads(state, /^starting 1:booting$/);
		await page.getByRole('tab', { name: 'JSON' }).click();
		await page.keyboard.press('Home');
		const { plan } = JSON.parse((await detail(page).textContent()) ?? '{}');
		expect(plan).toEqual(usualPlan);
		await bar(page, 'exits 1').click();
		await reads(state, 'It is over: nothing can follow.');
		await bar(page, 'Begin again').click();
		await page.getByRole('spinbutton', { name: '-workers' }).fill('2');
		await page.getByRole('spinbutton', { name: '-kill' }).fill('500');
		await bar(page, 'Start').click();
		await reads(state, /^starting 1:booting 2:booting$/);
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
		await tabTo(/^To the first event$/);
		await page.keyboard.press('Enter');
		await reads(() => moment(page).textContent(), 'paused at event 1 of');
		await tabTo(/^The moment shown/);
		await page.keyboard.press('ArrowRight');
		await reads(() => moment(page).textContent(), 'paused at event 2 of');
		await tabTo(/^Rotations, newest first$/);
		await page.keyboard.press('ArrowDown');
		await reads(() => detail(page).textContent(), /#3 failed/);
		await tabTo(/^Story$/);
		await page.keyboard.press('ArrowRight');
		await tabTo(/^beginning: The supervisor is about to start/);
		for (let tries = 0; tries < 30 && !/active now/.test(await focused()); tries += 1)
			await page.keyboard.press('ArrowDown');
		expect(await focused()).toMatch(/\(active now\)/);
		await tabTo(/^Events, oldest first$/);
		await page.keyboard.press('PageUp');
		await reads(() => moment(page).textContent(), 'paused at event 1 of');
		await page.keyboard.press('ArrowDown');
		await page.keyboard.press('End');
		await isLive(page);
		await page.keyboard.press('?');
		expect(await page.getByText('to the rotation before, or the next one').isVisible()).toBe(true);
	});

	it('shows 100,000 facts: while it reads it says how far it is, and any of them is a jump away', async () => {
		const journal = join(scratch(), 'journal');
		writeHistory(journal, 100_000);
		const page = await open((await serveInspector(['inspect', journal])).url);
		await reads(() => page.locator('.loading').textContent(), /^Reading the journal: \d+ %, \d+ events/);
		await isLive(page);
		const last = Number((await moment(page).textContent())?.match(/event (\d+) of/)?.[1]);
		expect(last).toBeGreaterThan(100_000);
		expect(await page.locator('.row').count()).toBeLessThan(80);
		await page.keyboard.press('Home');
		await reads(() => health(page).textContent(), 'STARTING');
		await page.locator('.events .list').evaluate((list) => list.scrollTo(0, list.scrollHeight / 2));
		await reads(async () => (await page.locator('.row .seq').first().textContent()) ?? '', /^[45]\d{4}$/);
		await page.locator('.row').nth(5).click();
		await reads(() => moment(page).textContent(), /paused at event [45]\d{4} of/);
		await page.keyboard.press('End');
		await isLive(page);
	});

	it('shows 64 workers as one area, and each of them when it is opened', async () => {
		const simulation = simulate().start({ size: 64 });
		for (let child = 1; child <= 64; child += 1) simulation.spawned(child);
		for (let child = 1; child <= 64; child += 1) simulation.up(child);
		const page = await open((await serveInspector(['inspect', journalFile(simulation.exited(7, 3).history)])).url);
		await isLive(page);
		await page.keyboard.press('ArrowLeft');
		await reads(() => health(page).textContent(), '63/64 serving');
		expect(await page.locator('.area').getAttribute('aria-label')).toBe(
			'Generation 1: 63 of 64 serving, 0 starting, 0 draining',
		);
		expect(await page.locator('.bar').count()).toBe(0);
		await page.getByRole('button', { name: 'Children of generation 1' }).click();
		expect(await page.locator('.bar').count()).toBe(64);
		expect(await page.locator('.bar[data-child="7"]').getAttribute('aria-label')).toBe('107: crashed (exit 3)');
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
		await reads(() => detail(page).textContent(), '<img src=x');
		expect(await page.title()).toMatch(/^✘ \S+ GONE$/);
		expect(await page.locator('img, main script').count()).toBe(0);
	});

	it('says where a journal is damaged, and shows what comes before', async () => {
		const journal = journalFile();
		writeFileSync(journal, `${readFileSync(journal, 'utf8')}{"seq":99,"type":"child.married"}\n`);
		const page = await open((await serveInspector(['inspect', journal])).url);
		await reads(() => page.getByRole('alert').textContent(), /line \d+ is no fact; the story ends here$/);
		await reads(() => moment(page).textContent(), 'the end, event');
	});

	it('is open in eight windows of one browser, and each has its own moment', async () => {
		const { url } = await serveInspector(['inspect', journalFile()]);
		const one = await open(url);
		const others: Page[] = [];
		for (let count = 0; count < 7; count += 1) {
			const page = await one.context().newPage();
			await page.goto(url);
			others.push(page);
		}
		await isLive(one);
		for (const page of others) await isLive(page);
		await one.keyboard.press('Home');
		await reads(() => moment(one).textContent(), 'paused at event 1 of');
		for (const page of others) await isLive(page);
	});

	it('goes on when its server is started again, without a fact twice', async () => {
		const journal = journalFile(rotating().history);
		const { url, child } = await serveInspector(['inspect', journal]);
		const page = await open(url, { mayComplain: /ERR_|Failed to load resource/ });
		await isLive(page);
		const count = () => page.locator('#events-title').textContent();
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
		await reads(count, `Events ${history.length}`);
		await isLive(page);
		expect(before).toBe(`Events ${known}`);
	});

	it('lets time pass while it shows a live supervisor, and asks nothing of an idle one’s journal', async () => {
		const { journal, start } = supervisor();
		const first = start();
		await first.logged(/^Generation 1 is up/);
		const page = await open((await serveInspector(['inspect', journal])).url);
		await isLive(page);
		const age = async () => Number((await health(page).textContent())?.match(/· (\d)(?:\.\d)? s$/)?.[1]);
		await reads(async () => String((await age()) >= 1), 'true');
		const before = await age();
		await reads(async () => String((await age()) > before), 'true');
		first.signal('SIGTERM');
		await first.ended;
	});

	it('fits a window of 1440 by 900, and no part of it scrolls the page', async () => {
		const page = await open((await serveInspector(['inspect', journalFile()])).url, {
			viewport: { width: 1440, height: 900 },
		});
		await isLive(page);
		expect(await page.evaluate(() => document.documentElement.scrollHeight)).toBeLessThanOrEqual(900);
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
			await page.getByRole('tab', { name: 'Statechart' }).click();
			expect(await problems(page)).toEqual([]);
			await page.getByRole('button', { name: 'What if', exact: true }).click();
			await reads(() => moment(page).textContent(), 'what if');
			expect(await problems(page)).toEqual([]);
		},
	);

	it('moves nothing for who wants it so', async () => {
		const page = await open((await serveInspector(['inspect', journalFile()])).url, { reducedMotion: 'reduce' });
		await isLive(page);
		const animations = () => page.evaluate(() => document.getAnimations().length);
		await page.getByRole('tab', { name: 'Statechart' }).click();
		await page.keyboard.press('Shift+ArrowLeft');
		await reads(async () => String(await page.locator('.way.taken').count()), /[1-9]/);
		expect(await animations()).toBe(0);
		await page.emulateMedia({ reducedMotion: 'no-preference' });
		await page.keyboard.press('ArrowLeft');
		await page.keyboard.press('ArrowRight');
		await reads(async () => String(await animations()), /[1-9]/);
	});

	it('asks before it hands the session to the Stately Inspector, without what children printed', async () => {
		const facts = failed().map((fact) => (fact.type === 'child.exited' ? { ...fact, lastOutput: ['a secret'] } : fact));
		const page = await open((await serveInspector(['inspect', journalFile(facts)])).url);
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
		await page.locator('summary', { hasText: 'Export' }).click();
		await page.getByRole('button', { name: 'Stately Inspector …' }).click();
		await reads(() => page.getByRole('dialog').textContent(), 'leave this machine');
		const [popup] = await Promise.all([page.waitForEvent('popup'), page.getByRole('button', { name: 'Send' }).click()]);
		const told = () =>
			popup.evaluate(() => (window as unknown as { told: { type: string; name?: string }[] }).told ?? []);
		await reads(async () => JSON.stringify(await told()), '"name":"child.3"');
		const all = await told();
		expect(JSON.stringify(all)).not.toContain('a secret');
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
