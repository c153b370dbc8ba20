/** A child starts in the directory that the path leads to at its spawn. */
import { mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { forgetDirectory, startedFrom } from '../../../src/effects/children/startedFrom.ts';
import { scratch } from '../../support/program.ts';

it('a path that leads to another directory than the current one is opened, also after chdir(2)', async () => {
	const [before, folder] = [process.cwd(), scratch()];
	onTestFinished(() => {
		process.chdir(before);
		forgetDirectory();
	});
	const [first, second, current] = ['1', '2', 'current'].map((name) => join(folder, name)) as [string, string, string];
	mkdirSync(first);
	mkdirSync(second);
	symlinkSync(first, current);
	const start = () => startedFrom({ directory: current, isDirectoryAsked: false, path: '/bin/sh', isByShell: false });
	process.chdir(first);
	forgetDirectory();
	expect((await start()).fd).toBe(null);
	process.chdir(second);
	forgetDirectory();
	const { fd, close } = await start();
	expect(readlinkSync(`/proc/self/fd/${fd}`)).toBe(first);
	close();
	rmSync(current);
	symlinkSync(second, current);
	expect((await start()).fd).toBe(null);
});
