/** Whoever is told, or killed, as what a child has left behind has to be its. */
import { spawn } from 'node:child_process';
import { fstatSync } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { expect, it, onTestFinished } from 'vitest';
import { descendantsOf, leftBehind, membersOf, type Search } from '../../../src/effects/children/leftBehind.ts';

/** A listening socket, as an fd and its inode. */
async function listener(): Promise<{ fd: number; inode: number }> {
	const server = createServer();
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => void server.close());
	const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
	return { fd, inode: fstatSync(fd).ino };
}

/** Leads a group with another process in it, which holds an fd. @returns the numbers of both */
async function group(env: Record<string, string>, fd: number): Promise<[number, number]> {
	const leader = spawn('/bin/sh', ['-c', 'sleep 1000 & echo $!; exec 3>&-; wait'], {
		detached: true,
		env: { ...process.env, ...env },
		stdio: ['ignore', 'pipe', 'ignore', fd],
	});
	onTestFinished(() => void process.kill(-(leader.pid ?? 0), 'SIGKILL'));
	const { value } = await createInterface({ input: leader.stdout as Readable })
		[Symbol.asyncIterator]()
		.next();
	return [leader.pid ?? 0, Number(value)];
}

const search = (inode: number, change: Partial<Search> = {}): Search => ({
	run: 'r',
	listeners: new Set([inode]),
	its: new Map(),
	others: new Set(),
	othersBegan: [],
	wasKilled: false,
	hasOurOrphans: true,
	...change,
});
const marks = { SOCKETMASTER_RUN: 'r', SOCKETMASTER_CHILD: '7' };
const another = { ...marks, SOCKETMASTER_CHILD: '8' };

it.each([
	['with its marks', marks, {}, true],
	['with another one’s marks', another, {}, false],
	['with its marks, where its group was killed', marks, { wasKilled: true }, false],
	['that says nothing, and holds a listener', {}, {}, true],
	['that says nothing, holds one, and is another one’s', {}, { others: true }, false],
] as const)('a member of its group %s', async (_, env, change, isFound) => {
	const { fd, inode } = await listener();
	const [pid, member] = await group(env, fd);
	const others = new Set('others' in change ? [member] : []);
	const { left } = await leftBehind({ child: 7, pid, startTime: null }, search(inode, { ...change, others }));
	expect(left.map((each) => each.pid)).toEqual(isFound ? [member] : []);
});

it('a member of a group of that number that says nothing and holds nothing is a stranger, unless it was seen to be its', async () => {
	const { fd } = await listener();
	const [pid, member] = await group({}, fd);
	const found = async (its: ReadonlyMap<number, number>) =>
		(await leftBehind({ child: 7, pid, startTime: null }, search(1, { its }))).left.map((each) => each.pid);
	expect(await found(new Map())).toEqual([]);
	expect(await found(membersOf(pid))).toEqual([member]);
	expect(await found(descendantsOf(pid))).toEqual([member]);
	// Another process has that number by now.
	expect(await found(new Map([[member, 1]]))).toEqual([]);
});
