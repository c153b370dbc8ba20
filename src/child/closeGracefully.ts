/** Closes a server without an error for any client. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';

/** What an HTTP server has beyond a server of node:net. */
interface HttpServer extends Server {
	closeIdleConnections?: () => void;
	keepAliveTimeout?: number;
}

/** An HTTP/2 session, which ends after its last stream. */
interface Session {
	close: (callback?: () => void) => void;
	once: (event: 'close', listener: () => void) => unknown;
}

/**
 * How long a kept connection without a request stays open, in milliseconds: a request may be on its way. A server that
 * promises more (`Keep-Alive: timeout=72`) keeps its promise, up to the second value.
 */
const [shortestIdleMs, longestIdleMs] = [5000, 75_000];

/** Pause between two searches for connections that have become idle, in milliseconds. */
const againMs = 1000;

interface Watched {
	sessions: Set<Session>;
	/** Connections on which the client may not have sent anything yet. */
	sockets: Set<Socket>;
}

/** The open sessions and connections of each server that `watchConnections` knows. */
const watched = new WeakMap<Server, Watched>();

/** Keeps the connections of a server in mind, so that they can be closed. Call before it listens. */
export function watchConnections(server: Server): void {
	if (watched.has(server)) return;
	const [sessions, sockets] = [new Set<Session>(), new Set<Socket>()];
	watched.set(server, { sessions, sockets });
	server.on('session', (session: Session) => keep(sessions, session));
	const names = new Map<string, Socket>();
	server.on('connection', (socket: Socket) => {
		keep(sockets, socket);
		if (!('setSecureContext' in server)) return;
		const name = nameOf(socket);
		names.set(name, socket);
		socket.once('close', () => names.get(name) === socket && names.delete(name));
	});
	// The socket of TLS takes the place of the plain one, which counts no bytes any more.
	server.on('secureConnection', (socket: Socket) => {
		const plain = names.get(nameOf(socket));
		names.delete(nameOf(socket));
		if (plain) sockets.delete(plain);
		keep(sockets, socket);
	});
}

const nameOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`;

function keep<T extends Session | Socket>(open: Set<T>, one: T): void {
	open.add(one);
	(one as Session).once('close', () => open.delete(one));
}

interface Closing {
	/** Resolves when the last connection is closed. */
	over: Promise<void>;
	closeIdleNow: () => void;
}

/** Servers that are being closed. */
const closings = new WeakMap<Server, Closing>();

/**
 * Accepts no more connections, answers the requests that have begun, and asks clients of kept connections to come back
 * on a new connection (`Connection: close`). May be called again, with a shorter time.
 * @param idleMs how long a kept connection without a request stays open; by default as long as the server promises
 * @returns resolves when the last connection is closed
 */
export function closeGracefully(server: HttpServer, idleMs = usualIdleMs(server)): Promise<void> {
	const closing = closings.get(server) ?? begin(server);
	closings.set(server, closing);
	if (idleMs === 0) closing.closeIdleNow();
	else setTimeout(closing.closeIdleNow, idleMs).unref();
	return closing.over;
}

function begin(server: HttpServer): Closing {
	server.prependListener('request', (_: IncomingMessage, response: ServerResponse) => {
		if (response.req.httpVersionMajor < 2 && !response.headersSent) response.setHeader('Connection', 'close');
	});
	const { sessions, sockets } = watched.get(server) ?? { sessions: [], sockets: [] };
	for (const session of sessions) session.close();
	// Its handshake has begun before.
	server.on('session', (session: Session) => session.close());
	const closeIdle = server.closeIdleConnections?.bind(server);
	// close() cuts kept connections that are idle; a request may be on its way on one of them. A framework may call
	// close() once more, when another server of it is closed.
	if (closeIdle) server.closeIdleConnections = () => {};
	let isOver = false;
	const over = new Promise<void>((resolve) => {
		server.close(() => {
			isOver = true;
			resolve();
		});
	});
	/** A connection that becomes idle later, after a long answer, is closed in turn. */
	const closeIdleNow = () => {
		if (isOver) return;
		if (closeIdle) {
			server.closeIdleConnections = closeIdle;
			closeIdle();
		}
		// Node takes a connection for idle only after its first request.
		for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
		setTimeout(closeIdleNow, againMs).unref();
	};
	return { over, closeIdleNow };
}

function usualIdleMs({ keepAliveTimeout = 0 }: HttpServer): number {
	return Math.min(Math.max(keepAliveTimeout, shortestIdleMs), longestIdleMs);
}
