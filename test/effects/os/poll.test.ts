import { spawn } from 'node:child_process';
import { describe, expect, it, onTestFinished } from 'vitest';
import { closeAll, makePipe } from '../../../src/effects/os/descriptors.ts';
import { isHungUp, isReadable } from '../../../src/effects/os/poll.ts';

describe('what is asked of an fd at once', () => {
	it('is answered whatever signals come meanwhile', async () => {
		const pipe = makePipe();
		process.on('SIGUSR2', ignore);
		const storm = spawn('sh', ['-c', `while kill -USR2 ${process.pid}; do :; done`]);
		onTestFinished(() => {
			storm.kill('SIGKILL');
			closeAll(pipe);
		});
		const until = Date.now() + 1500;
		while (Date.now() < until) {
			expect(isReadable(pipe[0])).toBe(false);
			expect(isHungUp(pipe[0])).toBe(false);
		}
	});
});

function ignore() {}
