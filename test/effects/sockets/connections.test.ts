/** Connections are those of the listener that they were accepted from. */
import { once } from 'node:events';
import { fstatSync } from 'node:fs';
import { connect } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { closeAll } from '../../../src/effects/os/descriptors.ts';
import { accept } from '../../../src/effects/sockets/accept.ts';
import { splitHostPort } from '../../../src/effects/sockets/address.ts';
import { connectionsBy } from '../../../src/effects/sockets/connections.ts';
import { closeListener, openListener } from '../../../src/effects/sockets/listener.ts';

it('of listeners that share a port each has its own', async () => {
	const first = openListener('tcp4://127.0.0.1:0');
	const { port } = splitHostPort(first.address);
	const second = openListener(`tcp4://127.0.0.2:${port}`);
	const client = connect(Number(port), '127.0.0.1');
	onTestFinished(() => {
		client.destroy();
		closeListener(first);
		closeListener(second);
	});
	await once(client, 'connect');
	const accepted = accept(first.fd);
	if (typeof accepted !== 'number') throw new Error('nothing was accepted');
	onTestFinished(() => closeAll([accepted]));
	const found = await connectionsBy([first, second]);
	expect([...(found.get(first) ?? [])]).toEqual([fstatSync(accepted).ino]);
	expect([...(found.get(second) ?? [])]).toEqual([]);
});
