/** Which generation a connection of the health check belongs to, where the processes of one of them can't be inspected. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { attempt } from '../../../src/effects/check/attempt.ts';
import type { CheckTarget } from '../../../src/effects/check/checkTarget.ts';
import type { Whose } from '../../../src/effects/check/whose.ts';
import type { Listener } from '../../../src/effects/sockets/listener.ts';

const target: CheckTarget = { isTls: false, host: 'localhost', path: '/up' };
const hidden = { hidden: 'its files are closed to us' };
const unseen = { unreached: true, problem: "whether its processes accept can't be seen: its files are closed to us" };

it.each<[string, Awaited<ReturnType<Whose>>, Awaited<ReturnType<Whose>>, object, number]>([
	['its own, gets the request', true, false, { status: 200 }, 1],
	['not its own, belongs to another', false, true, { foreign: true }, 0],
	['hidden, and another one has it, belongs to that one', hidden, true, { foreign: true }, 0],
	['hidden, and no other one is seen to have it, can be anybody’s', hidden, false, unseen, 0],
	['hidden as those of the others are, can be anybody’s', hidden, hidden, unseen, 0],
	['not its own, and the others are hidden, belongs to another', false, hidden, { foreign: true }, 0],
])('a connection of a generation whose processes are %s', async (_, own, others, expected, requests) => {
	let received = 0;
	const server = createServer((_, response) => {
		received += 1;
		response.end();
	}).listen(0, '127.0.0.1');
	onTestFinished(() => void server.close());
	await once(server, 'listening');
	const { port } = server.address() as AddressInfo;
	const listener = { bound: { family: 'AF_INET', host: '127.0.0.1', port } } as Listener;
	const whose = { own: async () => own, others: async () => others };
	const { signal } = new AbortController();
	expect(await attempt(listener, { target, version: '1.0.0', whose, signal, limitMs: 2000 })).toEqual(expected);
	expect(received).toBe(requests);
});
