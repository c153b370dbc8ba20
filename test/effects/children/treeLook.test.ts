/** An inspection finds the processes of a child, also those that have left its tree. */
import { spawn } from 'node:child_process';
import { fstatSync } from 'node:fs';
import { createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { treeLooks } from '../../../src/effects/children/treeLook.ts';
import type { Listener } from '../../../src/effects/sockets/listener.ts';
import { until } from '../../support/proc.ts';

it('from its deadline on, each inspection searches for processes that have left the tree', async () => {
	const server = createServer();
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => void server.close());
	const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
	const listener = { fd, inode: fstatSync(fd).ino } as Listener;
	const mark = ['SOCKETMASTER_RUN=of this test', 'SOCKETMASTER_CHILD=7'];
	const env = { ...process.env, SOCKETMASTER_RUN: 'of this test', SOCKETMASTER_CHILD: '7' };
	const leader = spawn('sleep', ['1000'], { stdio: 'ignore' });
	const away = spawn('perl', ['-e', 'while (1) { vec($set = "", 3, 1) = 1; select $set, undef, undef, undef }'], {
		stdio: ['ignore', 'ignore', 'ignore', fd],
		env,
		detached: true,
	});
	onTestFinished(() => {
		for (const each of [leader, away]) each.kill('SIGKILL');
	});
	const options = { countsConnections: false, unclearAfterMs: 0, searchAt: Number.POSITIVE_INFINITY };
	const missing = async (deadline: number) => {
		const found = await treeLooks([listener], { ...options, deadline })(leader.pid ?? 0, mark);
		return found.notAccepted.length;
	};
	let isFound = false;
	await until('it accepts', () => {
		void missing(0).then((count) => {
			isFound ||= count === 0;
		});
		return isFound;
	});
	expect(await missing(Number.POSITIVE_INFINITY)).toBe(1);
	expect(await missing(0)).toBe(0);
});
