/** The server of the inspector's page. It is read-only and keeps no state of a closed page. */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { extname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { errorText } from '../os/errorText.ts';
import { refusalOf } from './guard.ts';
import { eventText, type LastEvent, lastEventOf, PageEvents } from './pageEvents.ts';
import type { FactSource, Item } from './source.ts';

/** Limit for open pages. */
const most = 32;

const types: Record<string, string> = {
	'.html': 'text/html; charset=utf-8',
	'.js': 'text/javascript; charset=utf-8',
	'.css': 'text/css; charset=utf-8',
	'.svg': 'image/svg+xml',
};

const safety = {
	'Content-Security-Policy':
		"default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	'X-Content-Type-Options': 'nosniff',
	'Referrer-Policy': 'no-referrer',
	'Cross-Origin-Resource-Policy': 'same-origin',
	'Cache-Control': 'no-store',
};

export interface InspectorOptions {
	source: FactSource;
	/** The directory of the built page. */
	page: string;
	host: string;
	/** 0 lets the kernel choose a port. */
	port: number;
}

/** Starts the server. @returns the address it listens on. @throws {Error} if it cannot listen */
export async function serveInspector({ source, page, host, port }: InspectorOptions): Promise<AddressInfo> {
	const files = new Map(readdirSync(page).map((name) => [`/${name}`, readFileSync(join(page, name))]));
	const streams = new PageStreams(source);
	const reports = new Reports(source);

	const server = createServer((request, response) => {
		for (const [name, value] of Object.entries(safety)) response.setHeader(name, value);
		const refusal = refusalOf(request, address.port, host);
		if (refusal) return sendText(response, refusal.status, refusal.sentence);
		const path = (request.url ?? '/').split('?')[0] ?? '/';
		if (path === '/facts' && request.method === 'GET') return void streams.serve(request, response);
		if (path === '/report' && request.method === 'GET') return void reports.serve(response);
		const name = path === '/' ? '/index.html' : path;
		const file = files.get(name);
		if (!file) return sendText(response, 404, 'There is no such page.\n');
		response.setHeader('Content-Type', types[extname(name)] ?? 'application/octet-stream');
		response.setHeader('Content-Length', file.length);
		response.end(request.method === 'HEAD' ? undefined : file);
	});

	server.listen(port, host);
	await once(server, 'listening');
	const address = server.address() as AddressInfo;
	return address;
}

/** What the running supervisor says of itself. All pages share one answer of at most `fresh` milliseconds. */
class Reports {
	readonly #source: FactSource;
	#answer: { at: number; text: Promise<string> } | null = null;

	constructor(source: FactSource) {
		this.#source = source;
	}

	async serve(response: ServerResponse) {
		const { report } = this.#source;
		if (!report) return void response.writeHead(204).end();
		const now = performance.now();
		if (this.#answer === null || now - this.#answer.at > fresh)
			this.#answer = { at: now, text: report().then((answer) => JSON.stringify(answer)) };
		try {
			const text = await this.#answer.text;
			response.writeHead(200, { 'Content-Type': 'application/json' }).end(text);
		} catch (error) {
			sendText(response, 503, `${errorText(error)}\n`);
		}
	}
}

/** In milliseconds. */
const fresh = 900;

/** The event streams of the open pages. */
class PageStreams {
	readonly #source: FactSource;
	#pages = 0;
	/**
	 * Connections with an event stream. A second request on such a connection could never be answered, and Node stops
	 * reading a connection with many pipelined requests.
	 */
	readonly #sockets = new WeakSet<Socket>();

	constructor(source: FactSource) {
		this.#source = source;
	}

	async serve(request: IncomingMessage, response: ServerResponse) {
		if (this.#sockets.has(request.socket)) return void request.socket.destroy();
		if (this.#pages >= most) return sendText(response, 503, `${most} pages are open already: close one.\n`);
		this.#pages += 1;
		this.#sockets.add(request.socket);
		const over = new AbortController();
		// Node does not emit `close` for a response queued behind another one when its connection closes. Watch the
		// socket too.
		for (const each of [response, request.socket]) each.once('close', () => over.abort());
		if (request.socket.destroyed) over.abort();
		response.writeHead(200, { 'Content-Type': 'text/event-stream' });
		const last = lastEventOf(request);
		try {
			await this.#sendItems(response, last, over.signal);
			// Keep the stream open after the last item: a browser reconnects when a stream closes.
			if (!over.signal.aborted) await once(response, 'close');
		} catch (error) {
			// An error from one client's request must not affect other clients.
			if (!over.signal.aborted) process.stderr.write(`The inspector’s server: ${errorText(error)}\n`);
		} finally {
			this.#pages -= 1;
			response.destroy();
		}
	}

	async #sendItems(response: ServerResponse, last: LastEvent | null, signal: AbortSignal): Promise<void> {
		// Skip the facts that the page already has, unless they belong to another run.
		const after = last !== null && (await this.#source.hasFact(last.run, last.seq)) ? last.seq : 0;
		const events = new PageEvents(after);
		const tell = ({ type, ...rest }: Item) => void response.write(eventText(type, Object.values(rest)[0]));
		for await (const item of this.#source.items(signal, tell)) {
			const text = events.textOf(item);
			if (text !== null) {
				if (!response.write(text)) await once(response, 'drain', { signal });
			} else if (item.type === 'lines') {
				// Let other tasks of the event loop run.
				await setImmediate();
			}
		}
	}
}

function sendText(response: ServerResponse, status: number, sentence: string) {
	response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' });
	response.end(sentence);
}
