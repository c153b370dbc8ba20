/** What is sent to a socket of ours is read, however short its sender lives. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { receiveFrom } from '../../../src/effects/os/datagram.ts';
import { closeAll } from '../../../src/effects/os/descriptors.ts';
import { call, constants } from '../../../src/effects/os/libc.ts';
import { isReadable } from '../../../src/effects/os/poll.ts';
import { accept } from '../../../src/effects/sockets/accept.ts';
import { openPlain } from '../../../src/effects/sockets/bindUnix.ts';
import { scratch } from '../../support/program.ts';

it('a line is read of each of 20,000 clients that connect, say it and are gone', () => {
	const clients = 20_000;
	const path = join(scratch(), 'socket');
	const dispatcher = openPlain(path, constants.SOCK_STREAM, null);
	call('listen', dispatcher, 64);
	onTestFinished(() => closeAll([dispatcher]));
	const script = `
import socket
for _ in range(${clients}):
    s = socket.socket(socket.AF_UNIX); s.connect('${path}'); s.send(b'up\\n'); s.close()`;
	const sender = spawn('python3', ['-c', script], { stdio: 'ignore' });
	onTestFinished(() => void sender.kill('SIGKILL'));
	let updated = 0;
	for (let served = 0; served < clients; served += 1) {
		while (!isReadable(dispatcher));
		const client = accept(dispatcher) as number;
		let message = receiveFrom(client);
		while (message === 'empty') message = receiveFrom(client);
		if (message !== 'over' && message.text === 'up\n') updated += 1;
		closeAll([client]);
	}
	expect(updated).toBe(clients);
});
