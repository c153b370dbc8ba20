/** Closes a server without an error for any client. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:net';

/** What an HTTP server has beyond a server of node:net. */
interface HttpServer extends Server {
	closeIdleConnections?: () => void;
}

/** HTTP/2 sessions, and others that are closed by themselves. */
interface Session {
	close: (callback?: () => void) => void;
	once: (event: 'close', listener: () => void) => unknown;
}

/** How long a kept connection without a request stays open: a request may be on its way. In milliseconds. */
const usualIdleMs = 5000;

/** The open HTTP/2 sessions of a server that `watchSessions` knows. */
const sessions = new WeakMap<Server, Set<Session>>();

/** Keeps the HTTP/2 sessions of a server in mind, so that they can be closed. Call before it listens. */
export function watchSessions(server: Server): void {
	if (sessions.has(server)) return;
	const open = new Set<Session>();
	sessions.set(server, open);
	server.on('session', (session: Session) => {
		open.add(session);
		session.once('close', () => open.delete(session));
	});
}

/**
 * Accepts no more connections, answers the requests that have begun, and asks clients of kept connections to come back
 * on a new connection (`Connection: close`).
 * @param idleMs how long a kept connection without a request stays open
 * @returns resolves when the last connection is closed
 */
export function closeGracefully(server: HttpServer, idleMs = usualIdleMs): Promise<void> {
	server.prependListener('request', (_: IncomingMessage, response: ServerResponse) => {
		if (response.req.httpVersionMajor < 2 && !response.headersSent) response.setHeader('Connection', 'close');
	});
	for (const session of sessions.get(server) ?? []) session.close();
	return new Promise((resolve) => {
		const closeIdle = server.closeIdleConnections?.bind(server);
		if (closeIdle === undefined) {
			server.close(() => resolve());
			return;
		}
		// close() would cut kept connections that are idle; a request may be on its way on one of them.
		server.closeIdleConnections = () => {};
		let isOver = false;
		server.close(() => {
			isOver = true;
			resolve();
		});
		server.closeIdleConnections = closeIdle;
		// A connection that becomes idle later, after a long answer, is closed in turn.
		const again = () => {
			if (isOver) return;
			closeIdle();
			setTimeout(again, 1000).unref();
		};
		setTimeout(again, idleMs).unref();
	});
}
