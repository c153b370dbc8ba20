/** A signal for a child reaches its process group, and never a group that only bears its number. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { expect, it, onTestFinished } from 'vitest';
import { send } from '../../../src/effects/children/signalChild.ts';
import { openPidfd } from '../../../src/effects/os/pidfd.ts';
import { lookUp } from '../../../src/effects/os/proc.ts';

/** Leads a group with another process in it. */
async function group() {
	const leader = spawn('/bin/sh', ['-c', 'sleep 1000 & echo $!; wait'], {
		detached: true,
		stdio: ['ignore', 'pipe', 'ignore'],
	});
	const pid = leader.pid ?? 0;
	onTestFinished(() => {
		try {
			process.kill(-pid, 'SIGKILL');
		} catch {
			// Its group is gone.
		}
	});
	const [line] = await once(leader.stdout as Readable, 'data');
	return { pid, other: Number(line), leader };
}

const pidfdOf = (pid: number) => openPidfd(pid, lookUp(pid)?.startTime ?? 0) ?? -1;
const recipient = (pid: number, pidfd: number) => ({ pid, pidfd, group: null, wasKilled: false });

it('SIGKILL for a process that is no child of ours reaches its whole group', async () => {
	const { pid, other } = await group();
	send(recipient(pid, pidfdOf(pid)), 'KILL', false);
	await expect.poll(() => lookUp(other)?.isAlive ?? false).toBe(false);
});

it('with -group the leader gets a signal once', async () => {
	const counts = `
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
print("begins", flush=True)
while True:
    signal.sigwait([signal.SIGHUP])
    print("told", flush=True)
`;
	const leader = spawn('python3', ['-c', counts], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
	const pid = leader.pid ?? 0;
	onTestFinished(() => void leader.kill('SIGKILL'));
	const lines = createInterface({ input: leader.stdout as Readable })[Symbol.asyncIterator]();
	await lines.next();
	const times = 300;
	for (let each = 0; each < times; each += 1) {
		send({ ...recipient(pid, -1), pidfd: null }, 'HUP', true);
		await lines.next();
	}
	leader.kill('SIGKILL');
	expect((await lines.next()).done).toBe(true);
});

it('SIGKILL for one that has ended, unnoticed, spares the group that has its number now', async () => {
	const gone = spawn('/bin/sleep', ['1000']);
	const held = pidfdOf(gone.pid ?? 0);
	gone.kill('SIGKILL');
	await once(gone, 'exit');
	const nonChild = await group();
	send(recipient(nonChild.pid, held), 'KILL', false);
	send(recipient(nonChild.pid, held), 'HUP', true);
	expect([nonChild.pid, nonChild.other].map((pid) => lookUp(pid)?.isAlive)).toEqual([true, true]);
});
