import { once } from 'node:events';
import { fstatSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { closeAll, makePipe } from '../../../src/effects/os/descriptors.ts';
import { fdsAmong, socketInode } from '../../../src/effects/os/proc.ts';

it('a pipe whose link ends with the digits of an inode is no socket', () => {
	const pipe = makePipe();
	onTestFinished(() => closeAll(pipe));
	// The text of the link, read as if it were one of a socket.
	const digits = readlinkSync(`/proc/self/fd/${pipe[0]}`).slice('socket:['.length, -1);
	expect(digits).toMatch(/^\d+$/);
	expect(fdsAmong(process.pid, new Set([Number(digits)]))).toEqual([]);
});

it('a socket is found by its inode', async () => {
	const server = createServer().listen(0, '127.0.0.1');
	await once(server, 'listening');
	onTestFinished(() => void server.close());
	const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
	expect(fdsAmong(process.pid, new Set([fstatSync(fd).ino]))).toEqual([fd]);
});

it.each([
	['socket:[12]', 12],
	['pipe:[1234567]', null],
	['/a/socket:[12]', null],
	['/tmp/ab48213x', null],
])('the inode in %s is %s', (link, inode) => {
	expect(socketInode(link)).toBe(inode);
});
