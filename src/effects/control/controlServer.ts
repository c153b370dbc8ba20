/** The control socket's server: HTTP, loaded when the first client comes, and keeping nothing of one that has gone. */
import type { IncomingMessage, Server } from 'node:http';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type { Fact } from '../../machines/facts/facts.ts';
import { openFileLimit } from '../os/proc.ts';
import { clientTimeoutMs, refuse } from './reply.ts';
import { type RequestsOptions, requestsOf } from './requests.ts';

export interface ControlServerOptions extends RequestsOptions {
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

const longestBody = 4096;

/** So many are served at a time; fewer where few files may be open. */
const mostClients = 512;

interface Client {
	socket: Socket;
	/** It has a request that is not answered yet. */
	isBusy: boolean;
	limit: NodeJS.Timeout | null;
}

export function controlServer(options: ControlServerOptions): ControlServer {
	const { Socket, http } = loadNode();
	const { pause, resume } = options;
	const clients = new Map<Socket, Client>();
	const most = Math.min(mostClients, Math.max(16, Math.floor(openFileLimit() / 4)));
	const requests = requestsOf(options);

	const server: Server = http.createServer({ maxHeaderSize: 8192, requireHostHeader: false }, (request, response) => {
		const client = clients.get(request.socket);
		// Node tells nothing of the end of an answer that still waits behind another one: one at a time.
		if (!client || client.isBusy) return void request.socket.destroy();
		client.isBusy = true;
		response.once('close', () => {
			client.isBusy = false;
			requests.forget(response);
			if (clients.has(request.socket)) expect(client);
		});
		read(request, (text) => {
			if (client.limit) clearTimeout(client.limit);
			if (text === null) refuse(response, 413, `a body may have ${longestBody} bytes`);
			else requests.answer(request, response, text);
		});
	});
	server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
		// What follows a request is nobody's business before that is answered.
		if (!socket.writable || error.code === 'ECONNRESET' || clients.get(socket)?.isBusy) return void socket.destroy();
		const isLong = error.code === 'HPE_HEADER_OVERFLOW';
		const body = JSON.stringify({
			error: isLong ? 'the head of a request may have 8192 bytes' : 'that is no HTTP request',
		});
		socket.end(
			`HTTP/1.1 ${isLong ? '431 Request Header Fields Too Large' : '400 Bad Request'}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
			() => socket.destroy(),
		);
	});

	function serve(fd: number) {
		const socket = new Socket({ fd, readable: true, writable: true });
		const client: Client = { socket, isBusy: false, limit: null };
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
			if (each.isBusy || each === client) continue;
			clients.delete(each.socket);
			each.socket.destroy();
			return;
		}
		pause();
	}

	/** It is to say something in time. */
	function expect(client: Client) {
		if (client.limit) clearTimeout(client.limit);
		client.limit = setTimeout(() => client.socket.destroy(), clientTimeoutMs).unref();
	}

	return { serve, note: requests.note };
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

/** Loaded by name, when somebody has connected. */
function loadNode() {
	const require = createRequire(import.meta.url);
	const { Socket } = require('node:net') as typeof import('node:net');
	return { Socket, http: require('node:http') as typeof import('node:http') };
}
