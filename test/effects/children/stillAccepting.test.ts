/** A server that is busy is not taken for one that has stopped accepting. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Readable } from 'node:stream';
import { expect, it, onTestFinished } from 'vitest';
import { stillAccepting } from '../../../src/effects/children/stillAccepting.ts';
import { takeListener } from '../../../src/effects/sockets/listener.ts';

/** Runs a Python program with a listener on fd 3; it has begun when it prints. */
async function server(program: string) {
	const holder = createServer();
	await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => void holder.close());
	const { fd } = (holder as unknown as { _handle: { fd: number } })._handle;
	const child = spawn('python3', ['-uc', program], { stdio: ['ignore', 'pipe', 'inherit', fd] });
	onTestFinished(() => void child.kill('SIGKILL'));
	await once(child.stdout as Readable, 'data');
	const listener = takeListener('tcp://127.0.0.1:0', fd);
	const pid = child.pid ?? 0;
	const look = stillAccepting([listener]);
	return { look: async () => (await look([pid])).get(pid) };
}

it('one that works for 5 ms, and waits for the next 15, accepts in every look', async () => {
	const { look } = await server(`
import select, time
print("began")
while True:
    until = time.monotonic() + 0.005
    while time.monotonic() < until: pass
    select.select([3], [], [], 0.015)
`);
	for (let each = 0; each < 10; each += 1) expect(await look()).toBe(true);
});

it('one that accepts on one of two listeners accepts on any, and not on each', async () => {
	const holders = [createServer(), createServer()];
	for (const holder of holders) {
		await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
		onTestFinished(() => void holder.close());
	}
	const fds = holders.map((holder) => (holder as unknown as { _handle: { fd: number } })._handle.fd);
	const accepts = 'import select\nprint("began")\nselect.select([3], [], [])';
	const child = spawn('python3', ['-uc', accepts], { stdio: ['ignore', 'pipe', 'inherit', ...fds] });
	onTestFinished(() => void child.kill('SIGKILL'));
	await once(child.stdout as Readable, 'data');
	const [pid, look] = [child.pid ?? 0, stillAccepting(fds.map((fd) => takeListener('tcp://127.0.0.1:0', fd)))];
	expect((await look([pid])).get(pid)).toBe(true);
	expect((await look([pid], 'each')).get(pid)).toBe(false);
});

it('one that holds its listener, and waits for nothing, does not accept', async () => {
	const { look } = await server('import time\nprint("began")\ntime.sleep(1000)');
	expect(await look()).toBe(false);
});
