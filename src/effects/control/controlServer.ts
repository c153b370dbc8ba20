/**
 * The HTTP server of the control socket. No state of a closed connection is kept.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { Socket } from 'node:net';
import type { Fact } from '../../machines/facts/facts.ts';
import { openFileLimit } from '../os/proc.ts';
import { clientTimeoutMs, refuse } from './reply.ts';
import { type RequestsOptions, requestsOf } from './requests.ts';

export interface ControlServerOptions extends RequestsOptions {
	/** Stops accepting connections. Further ones wait in the backlog; the connected clients are served. */
	pause: () => void;
	resume: () => void;
}

export interface ControlServer {
	/** Serves a new connection. The server owns the fd. */
	serve: (fd: number) => void;
	note: (fact: Fact) => void;
}

const longestBody = 4096;

/** Limit for clients at a time. It is lower if the limit of open files is low. */
const mostClients = 512;

interface Client {
	socket: Socket;
	/** A request of the client is not answered yet. */
	isBusy: boolean;
	limit: NodeJS.Timeout | null;
}

export function controlServer(options: ControlServerOptions): ControlServer {
	const { pause, resume } = options;
	const clients = new Map<Socket, Client>();
	const most = Math.min(mostClients, Math.max(16, Math.floor(openFileLimit() / 4)));
	const requests = requestsOf(options);

	const server: Server = createServer({ maxHeaderSize: 8192, requireHostHeader: false }, (request, response) => {
		const client = clients.get(request.socket);
		// Node does not emit `close` for a response queued behind another one. Each connection has one request at a
		// time.
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
		// While a request is pending, an error response would be taken for its response. Close the connection
		// instead.
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
		// An idle client is disconnected to make room. If all clients wait for a response, new connections wait in
		// the backlog.
		for (const each of clients.values()) {
			if (each.isBusy || each === client) continue;
			clients.delete(each.socket);
			each.socket.destroy();
			return;
		}
		pause();
	}

	/** Closes the connection if no complete request arrives within `clientTimeoutMs`. */
	function expect(client: Client) {
		if (client.limit) clearTimeout(client.limit);
		client.limit = setTimeout(() => client.socket.destroy(), clientTimeoutMs).unref();
	}

	return { serve, note: requests.note };
}

/**
 * Reads a request body. Calls `done` with null if the body is too long. `done` is not called if the client
 * disconnects.
 */
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
