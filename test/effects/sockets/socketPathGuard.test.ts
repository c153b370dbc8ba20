/** Clients find a UNIX listener at its path, whatever happens to the path. */
import { closeSync, existsSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { keepPaths } from '../../../src/effects/sockets/socketPathGuard.ts';
import { listenAt, secondLink } from '../../../src/effects/sockets/unixListener.ts';
import { scratch } from '../../support/program.ts';

/** Of a wait, sufficient for a busy machine. In milliseconds. */
const within = { timeout: 10_000 };

function guarded(path: string) {
	const { fd, file } = listenAt(path, { mode: null, uid: -1, gid: -1 });
	onTestFinished(() => closeSync(fd));
	const say = vi.fn();
	const stop = keepPaths([{ file: null }, { file }], { say });
	onTestFinished(stop);
	const isThere = () => lstatSync(path, { throwIfNoEntry: false })?.ino === file.ino;
	const texts = () => say.mock.calls.map(([, text]) => text as string);
	return { isThere, texts, stop };
}

it('a removed path comes back, and the log says so', async () => {
	const path = join(scratch(), 'app.sock');
	const { isThere, texts } = guarded(path);
	rmSync(path);
	await vi.waitFor(() => expect(isThere()).toBe(true), within);
	expect(texts()).toEqual([`Somebody has removed ${path}, where clients connect; it is back`]);
});

it('a removed second link comes back with the next change of the path', async () => {
	const path = join(scratch(), 'app.sock');
	const { isThere } = guarded(path);
	rmSync(secondLink(path));
	renameSync(path, `${path}.moved`);
	renameSync(`${path}.moved`, path);
	await vi.waitFor(() => expect(existsSync(secondLink(path))).toBe(true), within);
	expect(isThere()).toBe(true);
});

it('a path whose second link is gone too is lost, and the log says it once', async () => {
	const path = join(scratch(), 'app.sock');
	const { texts } = guarded(path);
	rmSync(secondLink(path));
	rmSync(path);
	await vi.waitFor(() => expect(texts()).toHaveLength(1), within);
	expect(texts()[0]).toContain("can't come back now: its second name is gone, too");
});

it('another file at the path stays, and the log says it once', async () => {
	const path = join(scratch(), 'app.sock');
	const { isThere, texts } = guarded(path);
	writeFileSync(`${path}.new`, '');
	renameSync(`${path}.new`, path);
	await vi.waitFor(() => expect(texts()).toHaveLength(1), within);
	expect(texts()[0]).toBe(`Somebody has put something else at ${path}: nobody can connect there any more`);
	writeFileSync(path, 'more');
	await new Promise((resolve) => setTimeout(resolve, 50));
	expect(texts()).toHaveLength(1);
	expect(isThere()).toBe(false);
});

it('a path whose symbolic link is redirected leads to the socket at the new target, and not at the old one', async () => {
	const folder = scratch();
	for (const name of ['one', 'two']) mkdirSync(join(folder, name));
	symlinkSync('one', join(folder, 'current'));
	const path = join(folder, 'current/app.sock');
	const { isThere, texts } = guarded(path);
	symlinkSync('two', join(folder, 'next'));
	renameSync(join(folder, 'next'), join(folder, 'current'));
	await vi.waitFor(() => expect(existsSync(join(folder, 'one/app.sock'))).toBe(false), within);
	expect(isThere()).toBe(true);
	expect(texts()).toEqual([`${path}, where clients connect, leads to ${join(folder, 'two')} now; it is there, too`]);
});

it('a path that is removed after the stop stays away', async () => {
	const path = join(scratch(), 'app.sock');
	const { isThere, stop } = guarded(path);
	stop();
	rmSync(path);
	await new Promise((resolve) => setTimeout(resolve, 50));
	expect(isThere()).toBe(false);
});
