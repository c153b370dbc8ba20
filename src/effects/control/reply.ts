/** Responses of the control socket. */
import type { ServerResponse } from 'node:http';

/** Limit for a client to send its request, and to read the response, in milliseconds. */
export const clientTimeoutMs = 10_000;

/** Sends a JSON response. */
export function say(response: ServerResponse, status: number, body: unknown): void {
	send(response, status, 'application/json', `${JSON.stringify(body)}\n`);
}

/** Sends an error response. @param error a sentence */
export function refuse(response: ServerResponse, status: number, error: string): void {
	say(response, status, { error });
}

export function send(response: ServerResponse, status: number, type: string, text: string): void {
	if (response.destroyed) return;
	// The unread rest of a body that is too long must not be parsed as the next request.
	if (status === 413) response.setHeader('Connection', 'close');
	response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
	response.end(text);
	if (response.writableFinished || !response.socket) return;
	const slow = setTimeout(() => response.destroy(), clientTimeoutMs).unref();
	response.once('close', () => clearTimeout(slow));
}
