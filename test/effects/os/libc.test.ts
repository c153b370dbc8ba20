import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { closeAll, makePipe } from '../../../src/effects/os/descriptors.ts';
import { poll } from '../../../src/effects/os/libc.ts';

describe('what is thrown when an fd has something to read', () => {
	it('is an uncaught exception like any other', async () => {
		const [read, write] = makePipe();
		// Vitest's own would fail the test.
		const others = process.listeners('uncaughtException');
		process.removeAllListeners('uncaughtException');
		const handle = poll(read, () => {
			handle.close();
			throw new Error('met');
		});
		onTestFinished(() => {
			for (const other of others) process.on('uncaughtException', other);
			closeAll([read, write]);
		});
		writeSync(write, 'x');
		const [error] = await once(process, 'uncaughtException');
		expect(error.message).toBe('met');
	});
});
