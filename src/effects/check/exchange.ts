/** One HTTP request on an open connection, bounded in time and memory. */
import { request } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { errorText } from '../os/errorText.ts';
import type { CheckTarget } from './checkTarget.ts';

/** Limits for the header and for the whole answer, in bytes. */
const [longestHeader, longestAnswer] = [16 << 10, 1 << 20];

/** How often the bytes of an answer are counted, in milliseconds. */
const countMs = 10;

/** Interim answers (1xx) before the answer. */
const mostInterim = 8;

/** The status of a complete answer, or why there is none, as the end of a sentence. */
export type Outcome = { status: number } | { problem: string };

/**
 * Sends the request, and reads the answer to its end. A redirect is not followed.
 * @param signal ends the exchange
 */
export function exchange(
	connection: Socket,
	target: CheckTarget,
	{ version, signal }: { version: string; signal: AbortSignal },
): Promise<Outcome> {
	if (connection.destroyed) return Promise.resolve({ problem: closedText });
	const stream = target.isTls ? encrypted(connection, target.host) : connection;
	return new Promise((resolve) => {
		const asked = request({
			createConnection: () => stream,
			path: target.path,
			headers: { Host: target.host, Connection: 'close', 'User-Agent': `socketmaster/${version}` },
			maxHeaderSize: longestHeader,
		});
		// Some bytes reach no event: blank lines before the status, extensions of chunks.
		const counter = setInterval(() => {
			if (stream.bytesRead > longestHeader + 2 * longestAnswer) end({ problem: 'its answer is longer than 1 MiB' });
		}, countMs);
		const end = (outcome: Outcome) => {
			clearInterval(counter);
			signal.removeEventListener('abort', onAbort);
			resolve(outcome);
			asked.destroy();
		};
		// A request on a connection that is closed already reports nothing.
		const onAbort = () => end({ problem: 'it was ended' });
		signal.addEventListener('abort', onAbort);
		for (const each of [stream, connection]) each.once('close', () => end({ problem: closedText }));
		if (signal.aborted) onAbort();
		asked.on('error', (error) => end({ problem: problemOf(error) }));
		let interim = 0;
		asked.on('information', () => {
			interim += 1;
			if (interim > mostInterim) end({ problem: 'it sends one interim answer (1xx) after the other' });
		});
		asked.on('upgrade', () => end({ problem: '101' }));
		asked.on('close', () => end({ problem: closedText }));
		asked.on('response', (answer) => {
			let length = 0;
			answer.on('data', (part: Buffer) => {
				length += part.length;
				if (length > longestAnswer) end({ problem: 'its answer is longer than 1 MiB' });
			});
			answer.on('error', (error) => end({ problem: problemOf(error) }));
			answer.on('end', () => {
				if (answer.complete) end({ status: answer.statusCode ?? 0 });
			});
		});
		asked.end();
	});
}

const closedText = 'it closed the connection before its answer was complete';

/** The certificate is not verified: the connection does not leave the machine. */
function encrypted(connection: Socket, host: string): Socket {
	// Loaded only where it is used: it takes some milliseconds and some memory.
	const { connect } = process.getBuiltinModule('node:tls');
	const name = host.replace(/:\d*$/, '');
	const servername = isIP(name) === 0 && !name.startsWith('[') ? { servername: name } : {};
	return connect({ socket: connection, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'], ...servername });
}

function problemOf(error: NodeJS.ErrnoException): string {
	if (error.code === 'HPE_HEADER_OVERFLOW') return 'the header of its answer is longer than 16 KiB';
	if (error.code?.startsWith('HPE_')) return 'its answer is not HTTP/1';
	if (error.code?.startsWith('ERR_SSL_') || error.code === 'EPROTO') return 'it does not speak TLS';
	if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return closedText;
	return errorText(error);
}
