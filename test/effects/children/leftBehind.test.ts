/** Whoever is told, or killed, as what a child has left behind has to be its. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, fstatSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { descendantsOf, leftBehind, membersOf, type Search } from '../../../src/effects/children/leftBehind.ts';
import { libc } from '../../../src/effects/os/libc.ts';
import { until } from '../../support/proc.ts';
import { fixture, isRoot, scratch } from '../../support/program.ts';

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

const canHang = isRoot && existsSync('/dev/fuse');
if (!canHang) console.log('The process that hangs as it exits is left out: it takes root and /dev/fuse.');

it.runIf(canHang)(
	'a process whose parent is exiting meanwhile, and has neither an environment nor a mark any more',
	async () => {
		const PR_SET_CHILD_SUBREAPER = 36;
		libc('prctl')(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
		onTestFinished(() => void libc('prctl')(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0));
		const { fd, inode } = await listener();
		const folder = join(scratch(), 'dead');
		mkdirSync(folder);
		const dead = spawn('python3', [fixture('deadFileSystem.py'), folder], { stdio: ['pipe', 'pipe', 'ignore'] });
		onTestFinished(async () => {
			dead.stdin.end();
			if (dead.exitCode === null) await once(dead, 'exit');
		});
		const said = createInterface({ input: dead.stdout })[Symbol.asyncIterator]();
		await said.next();
		// Its exit waits for the file system, after the kernel has freed its memory and before it passes its child on.
		const script = `import os, sys
pid = os.fork()
if pid == 0: os.execvp('sleep', ['sleep', '1000'])
os.open('${folder}/file', os.O_RDONLY)
print(pid, flush=True)
sys.stdin.read()
os._exit(0)`;
		const parent = spawn('python3', ['-c', script], {
			env: { ...process.env, ...marks },
			stdio: ['pipe', 'pipe', 'ignore', fd],
		});
		const { value } = await createInterface({ input: parent.stdout as Readable })
			[Symbol.asyncIterator]()
			.next();
		const server = Number(value);
		onTestFinished(() => void process.kill(server, 'SIGKILL'));
		dead.stdin.write('freeze\n');
		await said.next();
		(parent.stdin as NodeJS.WritableStream).end();
		await until('it is exiting', () => readFileSync(`/proc/${parent.pid}/statm`, 'latin1').startsWith('0 '));
		const { pid } = spawnSync('true');
		const search7 = leftBehind({ child: 7, pid, startTime: null }, search(inode, { othersBegan: [0] }));
		// While the file system does not answer nothing can be found.
		await Promise.race([search7, wait(300)]);
		dead.stdin.end();
		const { left, unseen, nameless } = await search7;
		expect(left.map((each) => each.pid)).toEqual([server]);
		expect([unseen, nameless]).toEqual([[], []]);
	},
);
