/** What tells of a process that it is a child: nothing that another process could have written there. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { expect, it, onTestFinished } from 'vitest';
import { markIn, socketsIn } from '../../../src/effects/journal/marks.ts';
import { scratch } from '../../support/program.ts';

/** A process that binds a socket, and lives until the test ends. */
async function bound(path: string) {
	const program =
		'import os, socket, sys, time\nos.makedirs(os.path.dirname(sys.argv[1]), exist_ok=True)\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); print(os.fstat(s.fileno()).st_ino, flush=True); time.sleep(1000)';
	const child = spawn('python3', ['-c', program, path], { stdio: ['ignore', 'pipe', 'inherit'] });
	onTestFinished(() => void child.kill('SIGKILL'));
	const [inode] = await once(child.stdout as Readable, 'data');
	return Number(inode);
}

it('a socket that is bound in the folder is known by its path', async () => {
	const folder = join(scratch(), 'w');
	const path = join(folder, '1-0123456789abcdef');
	const inode = await bound(path);
	expect([...socketsIn([folder])]).toEqual([[`socket:[${inode}]`, path]]);
});

it('a name with a line of its own in it is not taken for a socket in the folder', async () => {
	const folder = join(scratch(), 'w');
	mkdirSync(folder);
	const place = scratch();
	await bound(`${place}/q\n4711 ${folder}/1-0123456789abcdef`);
	expect([...socketsIn([folder])]).toEqual([]);
});

it.each([
	[['SOCKETMASTER_RUN=r', 'SOCKETMASTER_CHILD=7'], { run: 'r', child: 7 }],
	[['SOCKETMASTER_RUN=r', 'SOCKETMASTER_CHILD=-1'], { run: 'r', child: null }],
	[['SOCKETMASTER_RUN=r'], { run: 'r', child: null }],
	[['SOCKETMASTER_CHILD=7'], null],
])('the mark in %j is %j', (variables, mark) => {
	expect(markIn(variables)).toEqual(mark);
});
