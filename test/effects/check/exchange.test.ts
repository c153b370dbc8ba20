import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { exchange } from '../../../src/effects/check/exchange.ts';

const target = { isTls: false, host: 'localhost', path: '/up' };
const asked = (socket: Socket, signal = new AbortController().signal, isTls = false) =>
	exchange(socket, { ...target, isTls }, { version: '1', signal });

/** A connection to a server that does this with each connection. */
async function connection(serve: (socket: Socket) => void) {
	const server = createServer((socket) => {
		socket.on('error', () => {});
		serve(socket);
	}).listen(0, '127.0.0.1');
	onTestFinished(() => void server.close());
	await once(server, 'listening');
	const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
	socket.on('error', () => {});
	await once(socket, 'connect');
	return socket;
}

const closed = { problem: 'it closed the connection before its answer was complete' };

it.each([false, true])('on a connection that is closed already ends (TLS: %s)', async (isTls) => {
	const socket = await connection((each) => each.destroy());
	if (!socket.destroyed) await once(socket.resume(), 'close');
	expect(await asked(socket, undefined, isTls)).toMatchObject({ problem: expect.any(String) });
});

it('ends with its signal, also where nothing is said', async () => {
	const over = new AbortController();
	const answer = asked(await connection(() => {}), over.signal);
	over.abort();
	expect(await answer).toMatchObject({ problem: expect.any(String) });
});

it.each<[string, string, object]>([
	['one interim answer and then a status', 'HTTP/1.1 103 E\r\n\r\nHTTP/1.1 204 N\r\n\r\n', { status: 204 }],
	['interim answers without an end', 'HTTP/1.1 103 E\r\n\r\n'.repeat(100), { problem: expect.stringContaining('1xx') }],
	['another protocol', '220 mail\r\n', { problem: 'its answer is not HTTP/1' }],
	['half an answer', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf', closed],
	['nothing', '', closed],
])('reads %s', async (_, text, outcome) => {
	const socket = await connection((each) => each.once('data', () => each.end(text)));
	expect(await asked(socket)).toEqual(outcome);
});

it('says that a server does not speak TLS', async () => {
	const socket = await connection((each) => each.once('data', () => each.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
	expect(await asked(socket, undefined, true)).toEqual({ problem: 'it does not speak TLS' });
});
