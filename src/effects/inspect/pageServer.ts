/** The server of the inspector's page. It only reads, and keeps nothing of a page that is gone. */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { extname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { errorText } from '../os/errorText.ts';
import { refusalOf } from './guard.ts';
import type { FactSource } from './source.ts';

/** Pages that may be open at once. */
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
	/** The folder of the built page. */
	page: string;
	host: string;
	/** 0 is any. */
	port: number;
}

/** Starts the server. @returns where it listens. @throws {Error} when it can't */
export async function serveInspector({ source, page, host, port }: InspectorOptions): Promise<AddressInfo> {
	const files = new Map(readdirSync(page).map((name) => [`/${name}`, readFileSync(join(page, name))]));
	let pages = 0;
	/** Nothing can be answered behind an answer without end, and Node stops to read where much is asked for at once. */
	const listening = new WeakSet<Socket>();

	const server = createServer((request, response) => {
		for (const [name, value] of Object.entries(safety)) response.setHeader(name, value);
		const refusal = refusalOf(request, address.port, host);
		if (refusal) return say(response, refusal.status, refusal.sentence);
		const path = (request.url ?? '/').split('?')[0] ?? '/';
		if (path === '/facts' && request.method === 'GET') return void sendFacts(request, response);
		const name = path === '/' ? '/index.html' : path;
		const file = files.get(name);
		if (!file) return say(response, 404, 'There is no such page.\n');
		response.setHeader('Content-Type', types[extname(name)] ?? 'application/octet-stream');
		response.setHeader('Content-Length', file.length);
		response.end(request.method === 'HEAD' ? undefined : file);
	});

	async function sendFacts(request: IncomingMessage, response: ServerResponse) {
		if (listening.has(request.socket)) return void request.socket.destroy();
		if (pages >= most) return say(response, 503, `${most} pages are open already: close one.\n`);
		pages += 1;
		listening.add(request.socket);
		const over = new AbortController();
		// An answer that still waits for others before it is told nothing when its connection ends.
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
			// What the page has already it need not get again, unless this is another story.
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
						// Others want something meanwhile.
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
			// A page that hears no more would ask again.
			if (!over.signal.aborted) await once(response, 'close');
		} catch (error) {
			// What a client has sent makes no difference to anybody else.
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

/** What is no such text stands for nothing. */
function decoded(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		return '';
	}
}

function say(response: ServerResponse, status: number, sentence: string) {
	response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' });
	response.end(sentence);
}
