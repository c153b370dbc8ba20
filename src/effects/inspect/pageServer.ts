/** The server of the inspector's page. It is read-only and keeps no state of a closed page. */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { extname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { errorText } from '../os/errorText.ts';
import { refusalOf } from './guard.ts';
import type { FactSource } from './source.ts';

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
	let pages = 0;
	/**
	 * Connections with an event stream. A second request on such a connection could never be answered, and Node stops
	 * reading a connection with many pipelined requests.
	 */
	const streams = new WeakSet<Socket>();

	const server = createServer((request, response) => {
		for (const [name, value] of Object.entries(safety)) response.setHeader(name, value);
		const refusal = refusalOf(request, address.port, host);
		if (refusal) return sendText(response, refusal.status, refusal.sentence);
		const path = (request.url ?? '/').split('?')[0] ?? '/';
		if (path === '/facts' && request.method === 'GET') return void sendFacts(request, response);
		const name = path === '/' ? '/index.html' : path;
		const file = files.get(name);
		if (!file) return sendText(response, 404, 'There is no such page.\n');
		response.setHeader('Content-Type', types[extname(name)] ?? 'application/octet-stream');
		response.setHeader('Content-Length', file.length);
		response.end(request.method === 'HEAD' ? undefined : file);
	});

	async function sendFacts(request: IncomingMessage, response: ServerResponse) {
		if (streams.has(request.socket)) return void request.socket.destroy();
		if (pages >= most) return sendText(response, 503, `${most} pages are open already: close one.\n`);
		pages += 1;
		streams.add(request.socket);
		const over = new AbortController();
		// Node does not emit `close` for a response queued behind another one when its connection closes. Watch the
		// socket too.
		for (const each of [response, request.socket]) each.once('close', () => over.abort());
		if (request.socket.destroyed) over.abort();
		response.writeHead(200, { 'Content-Type': 'text/event-stream' });
		const { searchParams } = new URL(request.url ?? '/', 'http://localhost');
		const last = String(request.headers['last-event-id'] ?? searchParams.get('after') ?? '');
		const [, known = '', seen] = /^(\S+) (\d{1,15})$/.exec(last) ?? [];
		let run = '';
		let isLive = false;
		const send = (type: string, data: unknown, id = '') =>
			response.write(`${id}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
		try {
			// Skip the facts that the page already has, unless they belong to another run.
			let after = seen !== undefined && (await source.hasFact(decoded(known), Number(seen))) ? Number(seen) : 0;
			let isResumed = after > 0;
			for await (const item of source.items(over.signal, ({ type, ...rest }) => send(type, Object.values(rest)[0]))) {
				if (item.type === 'live' && isLive) continue;
				if (item.type === 'live') isLive = true;
				if (item.type === 'begins' && !isResumed) after = 0;
				if ('source' in item) run = item.source.run ?? '';
				let isTaken = true;
				if (item.type === 'lines') {
					const lines = item.lines.filter(({ seq }) => seq > after);
					if (lines.length === 0) {
						// Let other tasks of the event loop run.
						await setImmediate();
						continue;
					}
					const id = `id: ${encodeURIComponent(run)} ${lines.at(-1)?.seq}\n`;
					isTaken = send('lines', { lines, progress: item.progress }, id);
				} else if (item.type === 'begins') {
					isTaken = send(isResumed ? 'goesOn' : 'begins', item.source);
					isResumed = false;
				} else
					isTaken = send(item.type, item.type === 'goesOn' ? item.source : item.type === 'ended' ? item.why : null);
				if (!isTaken) await once(response, 'drain', { signal: over.signal });
			}
			// Keep the stream open after the last item: a browser reconnects when a stream closes.
			if (!over.signal.aborted) await once(response, 'close');
		} catch (error) {
			// An error from one client's request must not affect other clients.
			if (!over.signal.aborted) process.stderr.write(`The inspector’s server: ${errorText(error)}\n`);
		} finally {
			pages -= 1;
			response.destroy();
		}
	}

	server.listen(port, host);
	await once(server, 'listening');
	const address = server.address() as AddressInfo;
	return address;
}

/** Returns an empty string if the text is not URI-encoded. */
function decoded(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		return '';
	}
}

function sendText(response: ServerResponse, status: number, sentence: string) {
	response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' });
	response.end(sentence);
}
