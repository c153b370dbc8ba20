/** The control socket's server: HTTP, loaded when the first client comes, and keeping nothing of one that has gone. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { minValue, number, optional, pipe, safeInteger, safeParse, strictObject } from 'valibot';
import type { Fact, Happening } from '../../machines/facts.ts';
import type { Receipt } from '../../machines/receipts.ts';
import { openFileLimit } from '../os/proc.ts';
import { wordsOf } from '../os/words.ts';
import { connectionsOf, type Held } from './connections.ts';
import { factStream } from './facts.ts';
import { metricsText } from './metrics.ts';
import { type Subject, statusOf } from './status.ts';

export interface ControlServerOptions extends Subject {
	admit: (happening: Happening) => void;
	/** What the log has taken so far. */
	logCounts: () => { lines: number; bytes: number; dropped: number };
	/** The last facts before this one. */
	recent: Fact[];
	/** Takes nobody more, and goes on: more connections than this bears wait in the backlog. */
	pause: () => void;
	resume: () => void;
}

export interface ControlServer {
	/** Somebody has connected: the fd is the server's from now on. */
	serve: (fd: number) => void;
	/** A fact was recorded. */
	note: (fact: Fact) => void;
}

/** How long a client may take to say what it wants, and to take the answer, in milliseconds. */
const patience = 10_000;

const longestBody = 4096;

/** Whoever waits for more of them at a time than this uses another way. */
const mostClients = 512;

const stopSchema = () => strictObject({ kill: optional(pipe(number(), safeInteger(), minValue(0))) });
const nothingSchema = () => strictObject({});

interface Client {
	socket: Socket;
	/** Of requests that are not answered yet. */
	requests: number;
	limit: NodeJS.Timeout | null;
}

interface Answer {
	status: number;
	body: unknown;
}

/** Answers itself, now or later. */
type Act = (request: IncomingMessage, response: ServerResponse, body: Record<string, unknown>, path: string) => void;

export function controlServer(options: ControlServerOptions): ControlServer {
	const { Socket, http } = loadNode();
	const { admit, past, pause, resume } = options;
	const clients = new Map<Socket, Client>();
	const waiting = new Map<ServerResponse, number>();
	const upgrading = new Set<ServerResponse>();
	const most = Math.min(mostClients, Math.max(16, Math.floor(openFileLimit() / 4)));
	const facts = factStream({ seq: options.seq, roster: () => past().roster, recent: options.recent });
	let counting: Promise<Held | null> | null = null;

	const routes: Record<string, Record<string, Act>> = {
		'/status': { GET: (request, response) => orRefuse(response, tellStatus(request, response)) },
		'/metrics': { GET: (_, response) => orRefuse(response, tellMetrics(response)) },
		'/facts': { GET: facts.serve },
		'/generations': { GET: (_, response) => say(response, { status: 200, body: past().receipts.kept.map(shown) }) },
		'/generations/': { GET: tellReceipt },
		'/rotate': { POST: rotate },
		'/stop': { POST: stop },
		'/upgrade': { POST: upgrade },
	};

	const server: Server = http.createServer({ maxHeaderSize: 8192, requireHostHeader: false }, (request, response) => {
		const client = clients.get(request.socket);
		if (!client) return void request.socket.destroy();
		client.requests += 1;
		response.once('close', () => {
			client.requests -= 1;
			waiting.delete(response);
			upgrading.delete(response);
			if (client.requests === 0) expect(client);
		});
		read(request, (text) => {
			if (client.limit) clearTimeout(client.limit);
			if (text === null) refuse(response, 413, `a body may have ${longestBody} bytes`);
			else answer(request, response, text);
		});
	});
	server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
		if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
		const isLong = error.code === 'HPE_HEADER_OVERFLOW';
		const body = JSON.stringify({
			error: isLong ? 'the head of a request may have 8192 bytes' : 'that is no HTTP request',
		});
		socket.end(
			`HTTP/1.1 ${isLong ? '431 Request Header Fields Too Large' : '400 Bad Request'}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
		);
	});

	function serve(fd: number) {
		const socket = new Socket({ fd, readable: true, writable: true });
		const client: Client = { socket, requests: 0, limit: null };
		socket.on('error', () => socket.destroy());
		socket.once('close', () => {
			clients.delete(socket);
			if (client.limit) clearTimeout(client.limit);
			if (clients.size < most) resume();
		});
		clients.set(socket, client);
		expect(client);
		server.emit('connection', socket);
		if (clients.size < most) return;
		// Somebody who asks for nothing makes room; where all of them wait for an answer the next ones wait, too.
		for (const each of clients.values()) {
			if (each.requests > 0 || each === client) continue;
			each.socket.destroy();
			return;
		}
		pause();
	}

	/** It is to say something in time. */
	function expect(client: Client) {
		if (client.limit) clearTimeout(client.limit);
		client.limit = setTimeout(() => client.socket.destroy(), patience).unref();
	}

	function answer(request: IncomingMessage, response: ServerResponse, text: string) {
		const [path = '/'] = (request.url ?? '/').split('?');
		const methods = routes[path] ?? (path.startsWith('/generations/') ? routes['/generations/'] : undefined);
		if (!methods) return refuse(response, 404, `there is no ${path}`);
		const act = methods[request.method ?? ''];
		if (!act) {
			const [wanted = ''] = Object.keys(methods);
			response.setHeader('Allow', wanted);
			return refuse(response, 405, `${path} takes ${wanted}, and not ${request.method}`);
		}
		const body = readBody(text, path === '/stop' ? stopSchema() : nothingSchema());
		if (typeof body === 'string') return refuse(response, 400, body);
		try {
			act(request, response, body, path);
		} catch (error) {
			refuse(response, 500, wordsOf(error));
			// What fails in the charts is met like any fault; what only looks hurts nobody else.
			if (request.method === 'POST') throw error;
		}
	}

	async function tellStatus({ url = '' }: IncomingMessage, response: ServerResponse) {
		const isBrief = new URLSearchParams(url.split('?')[1]).has('brief');
		const held = isBrief ? null : await countConnections();
		say(response, { status: 200, body: statusOf(options, held) });
	}

	async function tellMetrics(response: ServerResponse) {
		const status = statusOf(options, await countConnections());
		const text = metricsText({ status, tally: past().tally, log: options.logCounts() });
		send(response, 200, 'text/plain; version=0.0.4; charset=utf-8', text);
	}

	function orRefuse(response: ServerResponse, work: Promise<void>) {
		work.catch((error) => refuse(response, 500, wordsOf(error)));
	}

	/** Who asks while it is done shares what comes of it. */
	function countConnections(): Promise<Held | null> {
		counting ??= connectionsOf(
			options.listeners,
			(past().roster?.children ?? []).flatMap(({ pid }) => pid ?? []),
		).finally(() => {
			counting = null;
		});
		return counting;
	}

	/** The number is known when the charts have decided. */
	function rotate(_: IncomingMessage, response: ServerResponse) {
		if ((past().roster?.stopSignal ?? null) !== null) {
			admit({ type: 'rotate.requested' });
			return refuse(response, 409, 'already stopping');
		}
		admit({ type: 'rotate.requested' });
		const { queued = null, lastGeneration = 0 } = past().roster ?? {};
		say(response, { status: 202, body: { generation: queued === null ? lastGeneration : lastGeneration + 1 } });
	}

	function tellReceipt({ url = '' }: IncomingMessage, response: ServerResponse, _: unknown, path: string) {
		const generation = Number(path.slice('/generations/'.length));
		const receipt = receiptOf(generation);
		if (!receipt) return refuse(response, 404, `generation ${path.slice('/generations/'.length)} is not known`);
		const isAwaited = new URLSearchParams(url.split('?')[1]).has('wait');
		if (isAwaited && receipt.verdict === 'pending') waiting.set(response, generation);
		else say(response, { status: 200, body: shown(receipt) });
	}

	function stop(_: IncomingMessage, response: ServerResponse, { kill }: Record<string, unknown>) {
		admit(typeof kill === 'number' ? { type: 'stop.requested', kill } : { type: 'stop.requested' });
		say(response, { status: 202, body: {} });
	}

	/** Answered when the new program has checked itself. */
	function upgrade(_: IncomingMessage, response: ServerResponse) {
		upgrading.add(response);
		admit({ type: 'upgrade.requested' });
	}

	function note(fact: Fact) {
		facts.note(fact);
		if (upgrading.size > 0) tellUpgrade(fact);
		for (const [response, generation] of waiting) {
			const receipt = receiptOf(generation);
			if (receipt?.verdict === 'pending') continue;
			waiting.delete(response);
			if (receipt) say(response, { status: 200, body: shown(receipt) });
			else refuse(response, 404, `generation ${generation} is not known any more`);
		}
	}

	function tellUpgrade(fact: Fact) {
		const isRefused = fact.type === 'request.refused' && fact.request === 'upgrade.requested';
		const why = isRefused
			? fact.reason === 'stopping'
				? 'already stopping'
				: 'an upgrade is under way already'
			: fact.type === 'upgrade.refused'
				? fact.reason
				: null;
		if (why === null && fact.type !== 'upgrade.verified') return;
		// Of those that wait it is the last who has been refused.
		const answered = isRefused ? [...upgrading].slice(-1) : [...upgrading];
		for (const response of answered) {
			upgrading.delete(response);
			if (why === null) say(response, { status: 202, body: {} });
			else refuse(response, 409, why);
		}
	}

	function receiptOf(generation: number): Receipt | undefined {
		return past().receipts.kept.findLast((each) => each.generation === generation);
	}

	function refuse(response: ServerResponse, status: number, error: string) {
		say(response, { status, body: { error } });
	}

	function say(response: ServerResponse, { status, body }: Answer) {
		send(response, status, 'application/json', `${JSON.stringify(body)}\n`);
	}

	function send(response: ServerResponse, status: number, type: string, text: string) {
		if (response.destroyed) return;
		// What is not read to its end is not what the next request begins with.
		if (status === 413) response.setHeader('Connection', 'close');
		response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
		response.end(text);
		if (response.writableFinished || !response.socket) return;
		const slow = setTimeout(() => response.destroy(), patience).unref();
		response.once('close', () => clearTimeout(slow));
	}

	return { serve, note };
}

/** What is shown of a receipt: last words only where it was given up. */
function shown(receipt: Receipt): Receipt {
	return receipt.verdict === 'givenUp' ? receipt : { ...receipt, lastWords: [] };
}

/** All of a body; null where it is too long. Nothing is told where the client goes away. */
function read(request: IncomingMessage, done: (text: string | null) => void) {
	const chunks: Buffer[] = [];
	let length = 0;
	request.on('data', (chunk: Buffer) => {
		if (length > longestBody) return;
		length += chunk.length;
		if (length > longestBody) done(null);
		else chunks.push(chunk);
	});
	request.on('end', () => {
		if (length <= longestBody) done(Buffer.concat(chunks).toString('utf8'));
	});
}

/** @returns what is wrong with it, as a sentence */
function readBody(
	text: string,
	schema: ReturnType<typeof stopSchema> | ReturnType<typeof nothingSchema>,
): Record<string, unknown> | string {
	if (text.trim() === '') return {};
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch {
		return 'the body is no JSON';
	}
	if (Array.isArray(value)) return 'the body is not what is wanted here';
	const { success, output, issues } = safeParse(schema, value);
	if (success) return output;
	const [issue] = issues;
	const name = issue.path?.[0]?.key;
	return `the body is not what is wanted here${name === undefined ? '' : `: ${String(name)}`}`;
}

/** Loaded by name, when somebody has connected. */
function loadNode() {
	const require = createRequire(import.meta.url);
	const { Socket } = require('node:net') as typeof import('node:net');
	return { Socket, http: require('node:http') as typeof import('node:http') };
}
