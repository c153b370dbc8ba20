/** Frameworks of Node that only know a port, unchanged, with -adopt: replaced again and again under load. */
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { command } from '../support/asking.ts';
import { environment, run } from '../support/program.ts';
import { freePort, seen, startLoad } from './running.ts';

/** Where scripts/frameworks.sh installs them. */
const place = '/var/tmp/socketmaster-frameworks';

const rotations = 10;

interface Framework {
	name: string;
	/** A package that has to be installed. */
	needs: string;
	/** Files of the application. PORT stands for its port. */
	files: Record<string, string>;
	/** The arguments of Node. */
	line: string[];
	/** Run once in the folder of the application. */
	build?: string[];
}

/** What each application does: it answers with the word of its version, and on /slow half a second later. */
const answers = `
import { readFileSync } from 'node:fs';
const word = readFileSync('word', 'utf8');
if (word === 'crashes') setTimeout(() => process.exit(3), 1000);
export const body = (word + ' ').repeat(3000).slice(0, 20000);
export const later = () => new Promise((resolve) => setTimeout(resolve, 500));
`;

const withHttp = (more: string) => `
import { createServer } from 'node:http';
import { body, later } from './answers.mjs';
const server = createServer(async (request, response) => {
	if (request.url === '/slow') await later();
	response.end(body);
});
${more}
server.listen(PORT);
`;

const frameworks: Framework[] = [
	{
		name: 'Express',
		needs: 'express',
		files: {
			'app.mjs': `
import express from 'express';
import { body, later } from './answers.mjs';
const app = express();
app.get('/', (request, response) => response.send(body));
app.get('/slow', async (request, response) => { await later(); response.send(body); });
app.listen(PORT);
`,
		},
		line: ['app.mjs'],
	},
	{
		name: 'Fastify',
		needs: 'fastify',
		files: {
			'app.mjs': `
import fastify from 'fastify';
import { body, later } from './answers.mjs';
const app = fastify();
app.get('/', async () => body);
app.get('/slow', async () => { await later(); return body; });
await app.listen({ port: PORT, host: '127.0.0.1' });
`,
		},
		line: ['app.mjs'],
	},
	{
		name: 'Koa',
		needs: 'koa',
		files: {
			'app.mjs': `
import Koa from 'koa';
import { body, later } from './answers.mjs';
const app = new Koa();
app.use(async (context) => { if (context.path === '/slow') await later(); context.body = body; });
app.listen(PORT);
`,
		},
		line: ['app.mjs'],
	},
	{
		name: 'Hono',
		needs: 'hono',
		files: {
			'app.mjs': `
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { body, later } from './answers.mjs';
const app = new Hono();
app.get('/', (context) => context.text(body));
app.get('/slow', async (context) => { await later(); return context.text(body); });
serve({ fetch: app.fetch, port: PORT });
`,
		},
		line: ['app.mjs'],
	},
	{
		name: 'Nest',
		needs: '@nestjs/core',
		files: {
			'app.mjs': `
import 'reflect-metadata';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { body, later } from './answers.mjs';
class Pages {
	index() { return body; }
	async slow() { await later(); return body; }
}
const method = (path, name) => Get(path)(Pages.prototype, name, Object.getOwnPropertyDescriptor(Pages.prototype, name));
method('/', 'index');
method('/slow', 'slow');
Controller()(Pages);
class App {}
Module({ controllers: [Pages] })(App);
const app = await NestFactory.create(App, { logger: ['error'] });
await app.listen(PORT);
`,
		},
		line: ['app.mjs'],
	},
	{
		name: 'socket.io',
		needs: 'socket.io',
		files: {
			'app.mjs': withHttp(`const { Server } = await import('socket.io');
new Server(server).on('connection', (socket) => socket.on('say', (text, answer) => answer(text)));`),
		},
		line: ['app.mjs'],
	},
	{
		name: 'ws',
		needs: 'ws',
		files: {
			'app.mjs': withHttp(`const { WebSocketServer } = await import('ws');
new WebSocketServer({ server }).on('connection', (socket) => socket.on('message', (text) => socket.send(text)));`),
		},
		line: ['app.mjs'],
	},
	{
		name: 'vite preview',
		needs: 'vite',
		files: { 'dist/index.html': '' },
		line: [
			join(place, 'node_modules/vite/bin/vite.js'),
			'preview',
			'--port',
			'PORT',
			'--strictPort',
			'--host',
			'127.0.0.1',
		],
	},
	{
		name: 'next start',
		needs: 'next',
		files: {
			'app/route.js': `
import { readFileSync } from 'node:fs';
export const dynamic = 'force-dynamic';
export const GET = () => new Response((readFileSync('word', 'utf8') + ' ').repeat(3000).slice(0, 20000));
`,
			'app/slow/route.js': `
import { readFileSync } from 'node:fs';
export const dynamic = 'force-dynamic';
export async function GET() {
	await new Promise((resolve) => setTimeout(resolve, 500));
	return new Response((readFileSync('word', 'utf8') + ' ').repeat(3000).slice(0, 20000));
}
`,
			'next.config.mjs': 'export default { compress: false };',
		},
		build: [join(place, 'node_modules/next/dist/bin/next'), 'build'],
		line: [join(place, 'node_modules/next/dist/bin/next'), 'start', '-p', 'PORT'],
	},
];

const isInstalled = ({ needs }: Framework) => existsSync(join(place, 'node_modules', needs, 'package.json'));

/** The application in a folder from which its framework is found. */
async function install({ files, build, line, name }: Framework, port: number) {
	const folder = mkdtempSync(join(place, 'app-'));
	onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
	const write = (path: string, text: string) => {
		mkdirSync(join(folder, path, '..'), { recursive: true });
		// Some read their files with each request.
		writeFileSync(join(folder, `${path}.new`), text.replaceAll('PORT', String(port)));
		renameSync(join(folder, `${path}.new`), join(folder, path));
	};
	for (const [path, text] of Object.entries({ 'answers.mjs': answers, 'package.json': '{}', ...files }))
		write(path, text);
	const deploy = (word: string) => {
		write('word', word);
		if (name === 'vite preview') write('dist/index.html', `${word} `.repeat(3000).slice(0, 20_000));
	};
	deploy('version-1');
	if (build) {
		const built = await run(build, { command: process.execPath, cwd: folder }).ended;
		expect(built.status, built.stderr).toBe(0);
	}
	return { folder, deploy, line: line.map((word) => word.replace('PORT', String(port))) };
}

/** A supervisor of the framework's app, whose first generation is up. */
async function started(framework: Framework, flags: string[]) {
	const port = await freePort();
	const app = await install(framework, port);
	const control = join(app.folder, 'control');
	const program = run(
		[`-listen=tcp://127.0.0.1:${port}`, '-adopt', `-control=${control}`, '-command=node', ...flags, '--', ...app.line],
		{ cwd: app.folder, env: environment({ PWD: app.folder }) },
	);
	await seen(program, /^Generation 1 is up/);
	return { port, control, app, program };
}

describe.each(frameworks)('$name', (framework) => {
	const here = isInstalled(framework);
	it.skipIf(!here)(`loses no request in ${rotations} rotations`, async () => {
		const { port, control, app, program } = await started(framework, ['-ready=notify', '-start=30000']);
		const load = startLoad(`127.0.0.1:${port}`);
		await load.answered('version-1');
		const stay = await connected(framework, port);
		for (let rotation = 1; rotation <= rotations; rotation += 1) {
			app.deploy(`version-${rotation + 1}`);
			const { status, stderr } = await command(['rotate', `-control=${control}`]).done;
			expect(status, stderr).toBe(0);
			await load.answered(`version-${rotation + 1}`);
		}
		const { failures, closed, requests } = await load.finish();
		expect({ failures, closed }).toEqual({ failures: [], closed: { kept: 0, new: 0 } });
		expect(requests).toBeGreaterThan(100);
		await stay?.();
		// The old generations have left on their own.
		for (let gone = 1; gone <= rotations; gone += 1) await program.logged(/^\d+ exit status 0$/, gone);
	});
});

describe.each(frameworks.filter(({ name }) => name === 'Hono' || name === 'Nest'))('$name with -bake', (framework) => {
	it.skipIf(!isInstalled(framework))(
		'keeps the old version where the new one exits a second after it came up',
		async () => {
			const { port, control, app } = await started(framework, ['-ready=accept', '-bake=3000']);
			app.deploy('crashes');
			const { status, stderr } = await command(['rotate', `-control=${control}`]).done;
			expect(status).toBe(1);
			expect(stderr).toMatch(
				/^✘ Generation 2 failed after .*: \d+ exit status 3 during its bake \(-bake=3000\)\n {2}Generation 1 keeps serving\.\n/,
			);
			expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toMatch(/^version-1 /);
		},
	);
});

/** A connection that stays open through all rotations; the function that is returned sees that it works, and closes it. */
async function connected({ name }: Framework, port: number): Promise<(() => Promise<void>) | null> {
	const require = createRequire(join(place, 'package.json'));
	if (name === 'ws') {
		const { WebSocket } = require('ws');
		const socket = new WebSocket(`ws://127.0.0.1:${port}`);
		await once(socket, 'open');
		return async () => {
			socket.send('still here');
			const [text] = await once(socket, 'message');
			expect(String(text)).toBe('still here');
			socket.close();
		};
	}
	if (name !== 'socket.io') return null;
	const { io } = require('socket.io-client');
	const socket = io(`http://127.0.0.1:${port}`, { transports: ['websocket'], reconnection: false });
	await once(socket, 'connect');
	return async () => {
		expect(await socket.emitWithAck('say', 'still here')).toBe('still here');
		socket.close();
	};
}
