/** A change of any folder entry on the way of a path is reported. */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { PathWatch } from '../../../src/effects/sockets/pathWatch.ts';
import { scratch } from '../../support/program.ts';

/** Of a wait, sufficient for a busy machine. In milliseconds. */
const within = { timeout: 10_000 };

function watchOf(path: string) {
	const onChange = vi.fn();
	const say = vi.fn();
	const watch = new PathWatch(path, { say }, onChange);
	onTestFinished(() => watch.close());
	watch.update();
	return { watch, onChange, say };
}

it('the removal and the return of the last component are reported', async () => {
	const path = join(scratch(), 'app.sock');
	writeFileSync(path, '');
	const { onChange } = watchOf(path);
	rmSync(path);
	await vi.waitFor(() => expect(onChange).toHaveBeenCalled(), within);
	onChange.mockClear();
	writeFileSync(path, '');
	await vi.waitFor(() => expect(onChange).toHaveBeenCalled(), within);
});

it('a change of another entry of the folder is not reported', async () => {
	const folder = scratch();
	const { onChange } = watchOf(join(folder, 'app.sock'));
	writeFileSync(join(folder, 'other'), '');
	await new Promise((resolve) => setTimeout(resolve, 50));
	expect(onChange).not.toHaveBeenCalled();
});

it('a symbolic link that leads elsewhere is reported, and after an update its new folder is watched', async () => {
	const folder = scratch();
	for (const name of ['one', 'two']) mkdirSync(join(folder, name));
	symlinkSync('one', join(folder, 'current'));
	const { watch, onChange } = watchOf(join(folder, 'current/app.sock'));
	symlinkSync('two', join(folder, 'next'));
	renameSync(join(folder, 'next'), join(folder, 'current'));
	await vi.waitFor(() => expect(onChange).toHaveBeenCalled(), within);
	watch.update();
	onChange.mockClear();
	writeFileSync(join(folder, 'two/app.sock'), '');
	await vi.waitFor(() => expect(onChange).toHaveBeenCalled(), within);
});

it('the creation of a missing folder is reported', async () => {
	const folder = scratch();
	const { onChange, say } = watchOf(join(folder, 'missing/app.sock'));
	mkdirSync(join(folder, 'missing'));
	await vi.waitFor(() => expect(onChange).toHaveBeenCalled(), within);
	expect(say).not.toHaveBeenCalled();
});

it('nothing is reported after the watch is closed', async () => {
	const path = join(scratch(), 'app.sock');
	const { watch, onChange } = watchOf(path);
	watch.close();
	writeFileSync(path, '');
	await new Promise((resolve) => setTimeout(resolve, 50));
	expect(onChange).not.toHaveBeenCalled();
});
