import { execFileSync, spawn } from 'node:child_process';
import {
	appendFileSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	readlinkSync,
	renameSync,
	symlinkSync,
	truncateSync,
	writeFileSync,
} from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { serveInspector } from '../../../src/effects/inspect/pageServer.ts';
import { imaginedSource, journalSource } from '../../../src/effects/inspect/source.ts';
import { bootId } from '../../../src/effects/os/ids.ts';
import { lookUp } from '../../../src/effects/os/proc.ts';
import type { Fact } from '../../../src/machines/facts/facts.ts';
import { noProjections } from '../../../src/machines/state/projections.ts';
import { simulate } from '../../../src/testing/simulation.ts';
import { writeHistory } from '../../support/history.mjs';
import { until } from '../../support/proc.ts';
import { scratch } from '../../support/program.ts';
import { rotating } from '../../support/simulation.ts';

const header = (run: string) =>
	JSON.stringify({
		journal: 5,
		program: '1.0.0',
		boot: 'b',
		run,
		pid: 7,
		startTime: 1,
		args: ['-command=/bin/x', '--', '--password=hunter2'],
		listeners: [{ uri: 'tcp://:80', address: '[::]:80', inode: 5, file: null }],
		notifyDir: null,
	});

const lines = (facts: readonly (Fact | object)[]) => facts.map((fact) => `${JSON.stringify(fact)}\n`).join('');

/** A journal of one supervisor. */
function journalOf(facts: readonly (Fact | object)[], run = 'one'): string {
	const journal = join(scratch(), 'journal');
	writeFileSync(journal, `${header(run)}\n${lines(facts)}`);
	return journal;
}

async function serve(journal: string | null = null) {
	const page = scratch();
	writeFileSync(join(page, 'index.html'), '<!doctype html>the page');
	const source = journal === null ? imaginedSource : journalSource(journal);
	const { port } = await serveInspector({ source, page, host: '127.0.0.1', port: 0 });
	return port;
}

function ask(port: number, path: string, headers: Record<string, string> = {}, method = 'GET') {
	return new Promise<{ status: number; headers: IncomingMessage['headers']; text: string }>((resolve, reject) => {
		const asked = request({ port, host: '127.0.0.1', path, method, headers, agent: false }, (response) => {
			let text = '';
			response.setEncoding('utf8').on('data', (chunk) => {
				text += chunk;
			});
			response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
		});
		asked.on('error', reject).end();
	});
}

interface Told {
	event: string;
	data: never;
	id: string | null;
}

/** A page that listens to the facts. */
function listen(port: number, lastEventId?: string) {
	const told: Told[] = [];
	let rest = '';
	const headers = lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId };
	let isOver = false;
	const asked = request({ port, host: '127.0.0.1', path: '/facts', headers, agent: false }, (response) => {
		response.on('close', () => {
			isOver = true;
		});
		response.setEncoding('utf8').on('data', (chunk) => {
			const parts = (rest + chunk).split('\n\n');
			rest = parts.pop() ?? '';
			for (const part of parts) {
				const field = (name: string) => part.match(new RegExp(`^${name}: (.*)$`, 'm'))?.[1] ?? null;
				told.push({ event: field('event') ?? '', data: JSON.parse(field('data') ?? 'null') as never, id: field('id') });
			}
		});
		response.on('error', () => {});
	});
	asked.on('error', () => {});
	asked.end();
	onTestFinished(() => void asked.destroy());
	const seqs = () =>
		told.flatMap(({ event, data }) =>
			event === 'lines' ? (data as { lines: Fact[] }).lines.map(({ seq }) => seq) : [],
		);
	return { told, seqs, close: () => asked.destroy(), isOver: () => isOver };
}

describe('the inspector’s server', () => {
	it('serves the page, and lets it load nothing from elsewhere', async () => {
		const { status, headers, text } = await ask(await serve(), '/');
		expect({ status, text }).toEqual({ status: 200, text: '<!doctype html>the page' });
		expect(headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self';/);
		expect(headers['content-security-policy']).not.toMatch(/unsafe|\*|http/);
		expect(headers['x-content-type-options']).toBe('nosniff');
		expect(headers['cross-origin-resource-policy']).toBe('same-origin');
	});

	it.each([
		['under a name that leads here by DNS', { Host: 'evil.example:PORT' }, 'GET', 403],
		['under its address with another port', { Host: '127.0.0.1:1' }, 'GET', 403],
		['by another page', { Origin: 'http://evil.example' }, 'GET', 403],
		['by another page on this machine', { Origin: 'http://127.0.0.1:1' }, 'GET', 403],
		['by a foreign page’s image or script', { 'Sec-Fetch-Site': 'cross-site' }, 'GET', 403],
		['by a page of another port', { 'Sec-Fetch-Site': 'same-site' }, 'GET', 403],
		['to change something', {}, 'POST', 405],
		['to remove something', {}, 'DELETE', 405],
	])('refuses to be asked %s, in a sentence', async (_, headers, method, status) => {
		const port = await serve();
		const given = Object.fromEntries(
			Object.entries(headers).map(([name, value]) => [name, value.replace('PORT', String(port))]),
		);
		for (const path of ['/', '/facts', '/page.js']) {
			const answer = await ask(port, path, given, method);
			expect(answer.status).toBe(status);
			expect(answer.text).toMatch(/^[A-Z][^\n]*\.\n$/);
		}
	});

	it('refuses to be asked under no name at all', async () => {
		const port = await serve();
		const socket = connect(port, '127.0.0.1');
		let text = '';
		socket.setEncoding('utf8').on('data', (chunk) => {
			text += chunk;
		});
		socket.write('GET / HTTP/1.0\r\n\r\n');
		await until('it is answered', () => text.includes('.\n'));
		expect(text).toMatch(/^HTTP\/1\.1 403 /);
	});

	it.each([['localhost'], ['127.0.0.1'], ['[::1]']])('answers as %s', async (name) => {
		const port = await serve();
		expect((await ask(port, '/', { Host: `${name}:${port}`, Origin: `http://${name}:${port}` })).status).toBe(200);
	});

	it('has no file but those of the page', async () => {
		const port = await serve();
		for (const path of ['/../server.test.ts', '/%2e%2e/x', '//etc/passwd', '/index.html/', '/nothing']) {
			expect(await ask(port, path)).toMatchObject({ status: 404, text: 'There is no such page.\n' });
		}
	});

	it('sends facts as they come, and neither arguments nor anything of the environment', async () => {
		const journal = join(scratch(), 'journal');
		const { history } = rotating();
		writeFileSync(journal, `${header('one')}\n${lines(history.slice(0, 5))}`);
		const page = listen(await serve(journal));
		await until('what is there', () => page.told.some(({ event }) => event === 'live'));
		expect(page.told[0]).toMatchObject({
			event: 'begins',
			data: { name: journal, isImagined: false, run: 'one', listeners: [{ uri: 'tcp://:80', address: '[::]:80' }] },
		});
		expect(page.seqs()).toEqual([1, 2, 3, 4, 5]);
		appendFileSync(journal, lines(history.slice(5)));
		await until('the rest', () => page.seqs().length === history.length);
		expect(JSON.stringify(page.told)).not.toContain('hunter2');
		expect(page.told.filter(({ event }) => event === 'live')).toHaveLength(1);
	});

	it('goes on after a page was away, with what it has not got yet', async () => {
		const journal = join(scratch(), 'journal');
		const { history } = rotating();
		writeFileSync(journal, `${header('one')}\n${lines(history)}`);
		const port = await serve(journal);
		const page = listen(port, 'one 4');
		await until('the rest', () => page.told.some(({ event }) => event === 'live'));
		expect(page.seqs()).toEqual(history.slice(4).map(({ seq }) => seq));
		const other = listen(port, 'another 4');
		await until('all of it', () => other.told.some(({ event }) => event === 'live'));
		expect(other.seqs()).toEqual(history.map(({ seq }) => seq));
	});

	it('follows a journal that is compacted, and says when another supervisor’s takes its place', async () => {
		const folder = scratch();
		const journal = join(folder, 'journal');
		const simulation = rotating();
		const { history } = simulation;
		const known = history.length;
		writeFileSync(journal, `${header('one')}\n${lines(history)}`);
		const page = listen(await serve(journal));
		await until('what is there', () => page.told.some(({ event }) => event === 'live'));
		const last = history.at(-1);
		const { rotations, counters } = noProjections;
		const checkpoint = { checkpoint: simulation.supervisorState(), rotations, counters, seq: last?.seq, at: last?.at };
		simulation.up(2);
		writeFileSync(`${journal}.new`, `${header('one')}\n${lines([checkpoint, ...history.slice(known)])}`);
		renameSync(`${journal}.new`, journal);
		await until('the rest', () => page.seqs().at(-1) === history.at(-1)?.seq);
		expect(page.told.filter(({ event }) => event === 'begins')).toHaveLength(1);
		writeFileSync(`${journal}.new`, `${header('two')}\n${lines(history.slice(0, 3))}`);
		renameSync(`${journal}.new`, journal);
		await until('the other one', () => page.told.filter(({ event }) => event === 'begins').length === 2);
	});

	it('tells both supervisors of a journal that two have written, and goes on after a page was away', async () => {
		const first = simulate().start().spawned(1).up(1).exited(1, 3).history;
		const second = rotating().history.map((fact) => ({ ...fact, seq: fact.seq + first.length }));
		const journal = journalOf(first);
		appendFileSync(journal, `${header('two')}\n${lines(second)}`);
		const port = await serve(journal);
		const page = listen(port);
		await until('all of it', () => page.told.at(-1)?.event === 'live');
		expect(page.told.map(({ event }) => event)).toEqual(['begins', 'lines', 'goesOn', 'lines', 'live']);
		expect(page.seqs()).toEqual([...first, ...second].map(({ seq }) => seq));
		const last = page.told.findLast(({ id }) => id !== null)?.id ?? '';
		const again = listen(port, last);
		await until('there is no more', () => again.told.at(-1)?.event === 'live');
		expect(again.told.map(({ event }) => event)).toEqual(['goesOn', 'goesOn', 'live']);
		const byQuery = await new Promise<string>((resolve) => {
			const asked = request({
				port,
				host: '127.0.0.1',
				path: `/facts?after=${encodeURIComponent(last)}`,
				agent: false,
			});
			asked.on('response', (response) => response.setEncoding('utf8').once('data', resolve)).end();
			onTestFinished(() => void asked.destroy());
		});
		expect(byQuery).toMatch(/^event: goesOn\n/);
	});

	it('says whether the supervisor lives that has written last, and when it has ended', async () => {
		const writer = spawn('sleep', ['100']);
		onTestFinished(() => void writer.kill());
		await until('it is there', () => lookUp(writer.pid ?? 0) !== null);
		const own = {
			...JSON.parse(header('one')),
			pid: writer.pid,
			startTime: lookUp(writer.pid ?? 0)?.startTime,
			boot: bootId(),
		};
		const journal = join(scratch(), 'journal');
		writeFileSync(journal, `${JSON.stringify(own)}\n${lines(rotating().history)}`);
		const page = listen(await serve(journal));
		await until('what is there', () => page.told.at(-1)?.event === 'live');
		expect(page.told[0]).toMatchObject({ event: 'begins', data: { isWritten: true } });
		writer.kill();
		await until('its end', () => page.told.at(-1)?.event === 'goesOn');
		expect(page.told.at(-1)).toMatchObject({ data: { isWritten: false } });
		const dead = listen(await serve(journalOf(rotating().history)));
		await until('what is there', () => dead.told.at(-1)?.event === 'live');
		expect(dead.told[0]).toMatchObject({ data: { isWritten: false } });
	});

	it('goes on after a torn line that a new start cuts off', async () => {
		const { history } = rotating();
		const journal = journalOf(history.slice(0, 4));
		const sound = readFileSync(journal).length;
		appendFileSync(journal, '{"seq":5,"at":17955');
		const page = listen(await serve(journal));
		await until('what is there', () => page.told.at(-1)?.event === 'live');
		truncateSync(journal, sound);
		appendFileSync(journal, `${header('one')}\n${lines(history.slice(4))}`);
		await until('the rest', () => page.seqs().length === history.length);
		expect(page.told.every(({ event }) => event !== 'ended')).toBe(true);
	});

	it('follows a journal that is reached by a link', async () => {
		const { history } = rotating();
		const journal = journalOf(history.slice(0, 4));
		const link = join(scratch(), 'link');
		symlinkSync(journal, link);
		const page = listen(await serve(link));
		await until('what is there', () => page.told.at(-1)?.event === 'live');
		appendFileSync(journal, lines(history.slice(4)));
		await until('the rest', () => page.seqs().length === history.length);
	});

	it.each([
		['a pipe', (path: string) => execFileSync('mkfifo', [path]), 'it is no regular file'],
		['a directory', (path: string) => mkdirSync(path), 'it is a directory'],
	])('ends in words where %s takes the journal’s place, and answers others', async (_, make, words) => {
		const journal = journalOf(rotating().history);
		const port = await serve(journal);
		const page = listen(port);
		await until('what is there', () => page.told.at(-1)?.event === 'live');
		const other = `${journal}.other`;
		make(other);
		renameSync(journal, `${journal}.gone`);
		renameSync(other, journal);
		await until('the end', () => page.told.at(-1)?.event === 'ended');
		expect(page.told.at(-1)?.data).toBe(`${journal}: ${words}`);
		expect((await ask(port, '/')).status).toBe(200);
	});

	it('tells all of it anew to a page that comes back and has seen facts that are gone', async () => {
		const first = simulate().start().spawned(1).up(1).signal('HUP').spawned(2).up(2).history;
		const journal = journalOf(first.slice(0, 6));
		const second = simulate().start().spawned(1).up(1).signal('HUP').spawned(2).history;
		appendFileSync(journal, `${header('two')}\n${lines(second.map((fact) => ({ ...fact, seq: fact.seq + 6 })))}`);
		const page = listen(await serve(journal), `one ${first.length}`);
		await until('all of it', () => page.told.at(-1)?.event === 'live');
		expect(page.told[0]?.event).toBe('begins');
		expect(page.seqs()).toHaveLength(6 + second.length);
	});

	it('begins anew where the file is cut to less than was there, and answers who comes back to a pipe', async () => {
		const { history } = rotating();
		const journal = journalOf(history);
		const port = await serve(journal);
		const page = listen(port);
		await until('what is there', () => page.told.at(-1)?.event === 'live');
		truncateSync(journal, readFileSync(journal, 'utf8').split('\n').slice(0, 4).join('\n').length + 1);
		await until('it begins', () => page.told.filter(({ event }) => event === 'begins').length === 2);
		renameSync(journal, `${journal}.gone`);
		execFileSync('mkfifo', [journal]);
		const other = listen(port, `one ${history.length}`);
		await until('it is told', () => other.told.at(-1)?.event === 'ended');
		expect(other.told.at(-1)?.data).toBe(`${journal}: it is no regular file`);
	});

	it('lets no name in a journal pass for a word of its own', async () => {
		const evil = 'a\nid: zz\nevent: ended\ndata: "pwn"\n\n';
		const page = listen(await serve(journalOf(rotating().history, evil)));
		await until('what is there', () => page.told.at(-1)?.event === 'live');
		expect(page.told.map(({ event }) => event)).toEqual(['begins', 'lines', 'live']);
		expect(page.told[1]?.id).toBe(`${encodeURIComponent(evil)} ${rotating().history.length}`);
	});

	it('says where a damaged journal ends', async () => {
		const journal = join(scratch(), 'journal');
		writeFileSync(
			journal,
			`${header('one')}\n${lines(rotating().history.slice(0, 3))}{"seq":4,"type":"child.married"}\n`,
		);
		const page = listen(await serve(journal));
		await until('the end', () => page.told.some(({ event }) => event === 'ended'));
		expect(page.seqs()).toEqual([1, 2, 3]);
		expect(page.told.at(-1)?.data).toBe(`${journal}: line 5 is no fact; the story ends here`);
	});

	describe('of a page that is gone', () => {
		const open = () => readdirSync('/proc/self/fd').flatMap((fd) => linkOf(`/proc/self/fd/${fd}`));
		const watches = () =>
			readdirSync('/proc/self/fdinfo').reduce((sum, fd) => sum + (infoOf(fd).match(/^inotify /gm)?.length ?? 0), 0);

		function linkOf(path: string): string[] {
			try {
				return [readlinkSync(path)];
			} catch {
				return [];
			}
		}

		function infoOf(fd: string): string {
			try {
				return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
			} catch {
				return '';
			}
		}

		it('keeps neither the file nor the watcher', async () => {
			const journal = journalOf(rotating().history);
			const held = () => open().filter((file) => file === journal).length;
			const before = watches();
			const port = await serve(journal);
			const pages = Array.from({ length: 5 }, () => listen(port));
			await until('all are live', () => pages.every(({ told }) => told.at(-1)?.event === 'live'));
			expect(held()).toBe(5);
			expect(watches()).toBe(before + 1);
			for (const page of pages) page.close();
			await until('nothing is held', () => held() === 0 && watches() === before);
		});

		it('keeps nothing where it never read what it asked for', async () => {
			const journal = join(scratch(), 'journal');
			writeHistory(journal, 60_000);
			const held = () => open().filter((file) => file === journal).length;
			const port = await serve(journal);
			const silent = Array.from({ length: 3 }, () => connect(port, '127.0.0.1').pause());
			for (const socket of silent) socket.write(`GET /facts HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
			await until('they are answered', () => held() === 3);
			for (const socket of silent) socket.destroy();
			await until('nothing is held', () => held() === 0);
		});

		it('keeps no room for what was asked behind answers that it never read', async () => {
			const journal = journalOf(rotating().history);
			const page = scratch();
			writeFileSync(join(page, 'index.html'), 'x'.repeat(300_000));
			const { port } = await serveInspector({ source: journalSource(journal), page, host: '127.0.0.1', port: 0 });
			for (let round = 0; round < 33; round += 1) {
				const socket = connect(port, '127.0.0.1').pause();
				socket.on('error', () => {});
				const host = `Host: 127.0.0.1:${port}\r\n\r\n`;
				const words = `${`GET / HTTP/1.1\r\n${host}`.repeat(40)}GET /facts HTTP/1.1\r\n${host}`;
				await new Promise((written) => socket.write(words, written));
				socket.destroy();
			}
			await until('nothing is held', () => !open().includes(journal));
			const asked = listen(port);
			await until('there is room', () => asked.told.at(-1)?.event === 'live');
		});

		it('keeps no room for it, however often it asked on one connection', async () => {
			const journal = journalOf(rotating().history);
			const port = await serve(journal);
			for (let round = 0; round < 3; round += 1) {
				const socket = connect(port, '127.0.0.1').resume();
				socket.on('error', () => {});
				socket.write(`GET /facts HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`.repeat(40));
				await new Promise((closed) => socket.on('close', closed));
			}
			await until('nothing is held', () => !open().includes(journal));
			const pages = Array.from({ length: 32 }, () => listen(port));
			await until('there is room for all', () => pages.every(({ told }) => told.at(-1)?.event === 'live'));
		});
	});

	it('has room for 32 pages, and tells the next one so; one that leaves makes room', async () => {
		const port = await serve();
		const pages = Array.from({ length: 32 }, () => listen(port));
		await until('all are there', () => pages.every(({ told }) => told.length === 2));
		expect(await ask(port, '/facts')).toMatchObject({ status: 503, text: '32 pages are open already: close one.\n' });
		pages[0]?.close();
		let next = listen(port);
		await until('there is room', () => {
			const isOver = next.isOver();
			if (isOver) next = listen(port);
			return next.told.length === 2;
		});
	});

	it('goes on where the folder of the journal is removed', async () => {
		const folder = join(scratch(), 'run');
		mkdirSync(folder);
		const journal = join(folder, 'journal');
		writeFileSync(journal, `${header('one')}\n${lines(rotating().history)}`);
		const port = await serve(journal);
		const page = listen(port);
		await until('what is there', () => page.told.some(({ event }) => event === 'live'));
		renameSync(folder, `${folder}.gone`);
		expect((await ask(port, '/')).status).toBe(200);
	});
});

describe('the report of a running supervisor', () => {
	const report = { children: [{ pid: 101, connections: 3, status: null }], rotations: [] };

	async function serveReport(answer: () => Promise<typeof report>) {
		const page = scratch();
		writeFileSync(join(page, 'index.html'), '<!doctype html>the page');
		const { port } = await serveInspector({
			source: { ...imaginedSource, report: answer },
			page,
			host: '127.0.0.1',
			port: 0,
		});
		return port;
	}

	it('is one answer for all pages that ask at the same time', async () => {
		let count = 0;
		const port = await serveReport(async () => {
			count += 1;
			return report;
		});
		const answers = await Promise.all([1, 2, 3].map(() => ask(port, '/report')));
		expect(answers.map(({ text }) => JSON.parse(text))).toEqual([report, report, report]);
		expect(count).toBe(1);
	});

	it('is not told under a foreign name, as nothing else is', async () => {
		const port = await serveReport(async () => report);
		const { status, text } = await ask(port, '/report', { Host: 'evil.example:80' });
		expect({ isRefused: status >= 400, text }).toEqual({ isRefused: true, text: expect.not.stringContaining('101') });
	});

	it('is 503 with a sentence while no supervisor answers, and 204 where there is none to ask', async () => {
		const port = await serveReport(async () => {
			throw new Error('no supervisor answers');
		});
		expect(await ask(port, '/report')).toMatchObject({ status: 503, text: 'no supervisor answers\n' });
		expect((await ask(await serve(), '/report')).status).toBe(204);
	});
});
