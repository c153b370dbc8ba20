/** A program that can't become another one has lost nothing. */
import { number } from 'valibot';
import { expect, it, onTestFinished } from 'vitest';
import { closeAll, makePipe } from '../../../src/effects/os/descriptors.ts';
import { call, constants } from '../../../src/effects/os/libc.ts';
import { lookUp } from '../../../src/effects/os/proc.ts';
import { spawnProcess } from '../../../src/effects/os/spawn.ts';
import { exits } from '../../../src/effects/os/wait.ts';
import { becomeProgram } from '../../../src/effects/upgrade/handover.ts';
import { newHandoverState, section } from '../../../src/effects/upgrade/handoverState.ts';

const F_GETFD = 1;

it('a child that ends while the program tries to become another one is told of', async () => {
	const seen: number[] = [];
	const subscription = exits().subscribe(({ pid }) => seen.push(pid));
	onTestFinished(() => subscription.unsubscribe());
	const pid = spawnProcess({ path: '/bin/true', args: [], env: {}, fds: [0, 1, 2], directory: '/' });
	// In this very turn of the event loop: its signal is in libuv's pipe, and nobody was told.
	while (lookUp(pid)?.isAlive) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
	expect(() => becomeProgram(newHandoverState(null), '/nowhere/at/all', ['x'])).toThrow('no such file or directory');
	await expect.poll(() => seen).toContain(pid);
});

it('whoever is told of what came meanwhile spawns nobody with what was to be handed over', async () => {
	const [read, write] = makePipe();
	onTestFinished(() => closeAll([read, write]));
	const handoverState = newHandoverState(null);
	handoverState.save(
		section('test', () => number()),
		() => ({ state: 0, fds: [read, 1000, write] }),
	);
	const flags: number[] = [];
	const look = () => void flags.push(call('fcntl', read, F_GETFD, 0), call('fcntl', write, F_GETFD, 0));
	process.on('SIGCHLD', look);
	onTestFinished(() => void process.off('SIGCHLD', look));
	expect(() => becomeProgram(handoverState, '/nowhere/at/all', ['x'])).toThrow();
	expect(flags).toEqual([constants.FD_CLOEXEC, constants.FD_CLOEXEC]);
});
