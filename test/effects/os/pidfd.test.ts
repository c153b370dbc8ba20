/** Who has a pid, where the number may be that of a thread. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, readdirSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { findProcess } from '../../../src/effects/os/pidfd.ts';
import { lookUp } from '../../../src/effects/os/proc.ts';

it('a number that is now that of a thread is gone, and the process that has the thread is found', async () => {
	const child = spawn(process.execPath, ['-e', 'console.log("up"); setInterval(() => {}, 1000)'], {
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	onTestFinished(() => void child.kill('SIGKILL'));
	await once(child.stdout, 'data');
	const pid = child.pid ?? 0;
	const thread = readdirSync(`/proc/${pid}/task`)
		.map(Number)
		.find((each) => each !== pid);
	if (thread === undefined) throw new Error('the process has no second thread');
	expect(findProcess(thread, lookUp(thread)?.startTime ?? 0)).toBe('gone');
	const found = findProcess(pid, lookUp(pid)?.startTime ?? 0);
	expect(found).toEqual(expect.any(Number));
	closeSync(found as number);
});
