/** Answers of the control socket. */
import type { ServerResponse } from 'node:http';

/** How long a client may take to say what it wants, and to take the answer, in milliseconds. */
export const clientTimeoutMs = 10_000;

/** JSON. */
export function say(response: ServerResponse, status: number, body: unknown): void {
	send(response, status, 'application/json', `${JSON.stringify(body)}\n`);
}

/** An error, as a sentence. */
export function refuse(response: ServerResponse, status: number, error: string): void {
	say(response, status, { error });
}

export function send(response: ServerResponse, status: number, type: string, text: string): void {
	if (response.destroyed) return;
	// What is not read to its end is not what the next request begins with.
	if (status === 413) response.setHeader('Connection', 'close');
	response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
	response.end(text);
	if (response.writableFinished || !response.socket) return;
	const slow = setTimeout(() => response.destroy(), clientTimeoutMs).unref();
	response.once('close', () => clearTimeout(slow));
}
