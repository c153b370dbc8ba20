/** Messages to a socket that is full, absent or back again. */
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ManagerOutbox } from '../../src/effects/managerOutbox.ts';
import { receiveFrom } from '../../src/effects/os/datagram.ts';
import { closeAll } from '../../src/effects/os/descriptors.ts';
import { constants } from '../../src/effects/os/libc.ts';
import { openPlain } from '../../src/effects/sockets/bindUnix.ts';
import { scratch } from '../support/program.ts';

function outbox() {
	const path = join(scratch(), 'notify');
	const fd = openPlain(path, constants.SOCK_DGRAM, null);
	const waiting: string[] = [];
	const own = new ManagerOutbox(path, waiting);
	onTestFinished(() => {
		own.close();
		closeAll([fd]);
	});
	const received = () => {
		const messages: string[] = [];
		for (let next = receiveFrom(fd); typeof next !== 'string'; next = receiveFrom(fd)) messages.push(next.text);
		return messages;
	};
	/** Sends until the socket takes no more. */
	const fill = () => {
		for (let count = 0; waiting.length === 0; count += 1) {
			if (count > 10_000) throw new Error('the socket takes all');
			own.send(`fill ${count}`);
		}
	};
	return { own, waiting, received, fill };
}

it('a ping is dropped while a message waits', () => {
	const { own, waiting, received, fill } = outbox();
	fill();
	const before = [...waiting];
	own.ping('WATCHDOG=1');
	expect(waiting).toEqual(before);
	expect(received()).not.toContain('WATCHDOG=1');
	own.ping('WATCHDOG=1');
	expect(received()).not.toContain('WATCHDOG=1');
});

it('a full queue drops its oldest status, and else its oldest message', () => {
	const { own, waiting, fill } = outbox();
	fill();
	const [oldest] = waiting;
	own.send('STATUS=one');
	own.send('STATUS=two');
	while (waiting.length < 64) own.send('READY=1');
	own.send('STOPPING=1');
	expect(waiting).toHaveLength(64);
	expect(waiting).not.toContain('STATUS=one');
	expect(waiting.slice(0, 2)).toEqual([oldest, 'STATUS=two']);
	own.send('READY=1');
	own.send('READY=1');
	expect(waiting).toHaveLength(64);
	expect(waiting).not.toContain(oldest);
});

it('waiting messages are sent once more at the end', () => {
	const { own, received, fill } = outbox();
	fill();
	own.send('STOPPING=1');
	received();
	own.close();
	expect(received().at(-1)).toBe('STOPPING=1');
});

it('a message to an absent manager is dropped', () => {
	const waiting: string[] = [];
	const own = new ManagerOutbox(join(scratch(), 'none'), waiting);
	own.send('READY=1');
	own.ping('WATCHDOG=1');
	own.close();
	expect(waiting).toEqual([]);
});
