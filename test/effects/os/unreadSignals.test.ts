import { describe, expect, it, onTestFinished } from 'vitest';
import { signals, unreadSignals } from '../../../src/effects/os/signals.ts';

describe('signals that no turn of the loop has told of', () => {
	it('are found, in their order, and are then told by nobody else', async () => {
		const told: string[] = [];
		const subscription = signals().subscribe(({ type }) => told.push(type));
		onTestFinished(() => subscription.unsubscribe());
		for (const name of ['SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGHUP'] as const) process.kill(process.pid, name);
		expect(unreadSignals()).toEqual([{ type: 'signal.HUP' }, { type: 'signal.QUIT' }, { type: 'signal.HUP' }]);
		await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
		expect(told).toEqual([]);
		expect(unreadSignals()).toEqual([]);
	});
});
