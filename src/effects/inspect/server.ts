/** The server of the inspector's page. It only reads, and keeps nothing of a page that is gone. */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
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
		if (pages >= most) return say(response, 503, `${most} pages are open already: close one.\n`);
		pages += 1;
		const over = new AbortController();
		response.on('close', () => over.abort());
		response.writeHead(200, { 'Content-Type': 'text/event-stream' });
		const known = /^(.+) (\d+)$/.exec(String(request.headers['last-event-id'] ?? ''));
		let run = '';
		let isLive = false;
		try {
			for await (const { type, ...item } of source(over.signal)) {
				if (type === 'live') {
					if (isLive) continue;
					isLive = true;
				}
				let id = '';
				let data: unknown = Object.values(item)[0] ?? null;
				if ('source' in item) run = item.source.run ?? '';
				if ('lines' in item) {
					// What the page has already it need not get again, unless it is another supervisor's.
					const after = known && known[1] === run ? Number(known[2]) : 0;
					const lines = item.lines.filter((line) => line.seq > after || ('checkpoint' in line && line.gap === true));
					if (lines.length === 0) continue;
					id = `id: ${run} ${lines.at(-1)?.seq}\n`;
					data = { lines, progress: item.progress };
				}
				if (!response.write(`${id}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`)) {
					await once(response, 'drain', { signal: over.signal });
				}
			}
			// A page that hears no more would ask again.
			if (!over.signal.aborted) await once(response, 'close');
		} catch (error) {
			if (!over.signal.aborted) throw error;
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

function say(response: ServerResponse, status: number, sentence: string) {
	response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' });
	response.end(sentence);
}
