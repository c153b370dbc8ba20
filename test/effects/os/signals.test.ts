import { firstValueFrom, Subject, take, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { signals } from '../../../src/effects/os/signals.ts';

describe('signals', () => {
	it('become facts in their order, and nobody is killed by them', async () => {
		const sent = ['SIGHUP', 'SIGUSR2', 'SIGQUIT'] as const;
		const next = new Subject<void>();
		const seen = firstValueFrom(signals().pipe(take(3), toArray()));
		const each = signals().subscribe(() => next.next());
		for (const signal of sent) {
			const came = firstValueFrom(next);
			process.kill(process.pid, signal);
			await came;
		}
		each.unsubscribe();
		expect(await seen).toEqual([{ type: 'signal.HUP' }, { type: 'signal.USR2' }, { type: 'signal.QUIT' }]);
	});

	it('are left to others when nobody listens any more', () => {
		const before = process.listenerCount('SIGHUP');
		signals().subscribe().unsubscribe();
		expect(process.listenerCount('SIGHUP')).toBe(before);
	});
});
