/** A program that can't become another one has lost nothing. */
import { expect, it, onTestFinished } from 'vitest';
import { lookUp } from '../../../src/effects/os/proc.ts';
import { spawnProcess } from '../../../src/effects/os/spawn.ts';
import { exits } from '../../../src/effects/os/wait.ts';
import { becomeProgram } from '../../../src/effects/upgrade/handover.ts';
import { inheritanceOf } from '../../../src/effects/upgrade/inheritance.ts';

it('a child that ends while the program tries to become another one is told of', async () => {
	const seen: number[] = [];
	const subscription = exits().subscribe(({ pid }) => seen.push(pid));
	onTestFinished(() => subscription.unsubscribe());
	const pid = spawnProcess({ path: '/bin/true', args: [], env: {}, fds: [0, 1, 2], directory: '/' });
	// In this very turn of the event loop: its signal is in libuv's pipe, and nobody was told.
	while (lookUp(pid)?.isAlive) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
	expect(() => becomeProgram(inheritanceOf(null), '/nowhere/at/all', ['x'])).toThrow('no such file or directory');
	await expect.poll(() => seen).toContain(pid);
});
