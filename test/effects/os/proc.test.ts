import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { fdsAmong, socketInode } from '../../../src/effects/os/proc.ts';
import { scratch } from '../../support/program.ts';

it('a pipe and a file whose links have the digits of an inode are no sockets', async () => {
	const child = spawn('/bin/sleep', ['60'], { stdio: ['pipe', 'ignore', 'ignore'] });
	onTestFinished(() => void child.kill('SIGKILL'));
	await once(child, 'spawn');
	// The link of a pipe is "pipe:[NNN]", two letters shorter than "socket:[NNN]".
	const server = createServer().listen(0, '127.0.0.1');
	await once(server, 'listening');
	onTestFinished(() => void server.close());
	const file = openSync(join(scratch(), 'abcdefg48213x'), 'w');
	onTestFinished(() => closeSync(file));
	const digits = new Set(Array.from({ length: 1000 }, (_, low) => low));
	const inode = fstatSync((server as unknown as { _handle: { fd: number } })._handle.fd).ino;
	expect(fdsAmong(process.pid, new Set([inode]))).toHaveLength(1);
	expect(fdsAmong(child.pid ?? 0, digits)).toEqual([]);
	expect(['pipe:[1234567]', '/a/socket:[12]', '/tmp/abcde48213x', 'socket:[12]'].map(socketInode)).toEqual([
		null,
		null,
		null,
		12,
	]);
});
