/** What nobody reads is read by a small process, with cat(1) and without it. */
import { openSync, readFileSync, writeSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { closeAll, makePipe } from '../../../src/effects/os/descriptors.ts';
import { startDiscarder } from '../../../src/effects/os/discarder.ts';
import { reap } from '../../../src/effects/os/wait.ts';
import { childrenOf, until } from '../../support/proc.ts';

it.each([
	['cat(1)', 'cat', undefined],
	['our own program', '-e', '/nonexistent'],
])('by %s, until the other end is closed', async (_, word, searchPath) => {
	const [read, write] = makePipe();
	const nowhere = openSync('/dev/null', 'w');
	onTestFinished(() => closeAll([read, nowhere]));
	const before = new Set(childrenOf(process.pid));
	startDiscarder([read, nowhere, nowhere], searchPath);
	const [pid] = childrenOf(process.pid).filter((each) => !before.has(each));
	// In the middle of execve(2) a process has no arguments.
	await until(`${pid} is ${word}`, () =>
		readFileSync(`/proc/${pid}/cmdline`, 'utf8')
			.split('\0')
			.some((each) => each.endsWith(word)),
	);
	// More than the pipe holds: this blocks for as long as nobody reads.
	expect(writeSync(write, Buffer.alloc(1_000_000))).toBe(1_000_000);
	closeAll([write]);
	const ends: number[] = [];
	while (!ends.includes(pid ?? 0)) {
		for (const { pid: ended } of reap()) ends.push(ended);
		await new Promise(setImmediate);
	}
});
