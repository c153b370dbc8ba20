/** Work that others can hold up is waited for so long, and takes no more threads than it may. */
import { pbkdf2 } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { inTime, lateText, look, start } from '../../../src/effects/os/boundedReads.ts';

const fail = () => Promise.reject(new Error('no work'));

/** Work that comes when it is let. */
function held<T>(value: T) {
	let release = () => {};
	const work = () =>
		new Promise<T>((resolve) => {
			release = () => resolve(value);
		});
	return { work, release: () => release() };
}

it('that does not come in time is said to be stuck, and undone when it comes', async () => {
	const first = held(7);
	const undone = new Promise((resolve) => {
		void inTime('/a', look, first.work, resolve).then((result) => {
			expect(result).toBe('stuck');
			first.release();
		});
	});
	expect(await undone).toBe(7);
	expect(look.stuck).toEqual([]);
	expect(await inTime('/a', look, async () => 8)).toBe(8);
});

it('takes two threads of one kind and three in all, and no second one for the same process', async () => {
	const work = held(7);
	expect(await inTime('1', look, work.work)).toBe('stuck');
	expect(await inTime('1', look, async () => 8)).toBe('stuck');
	const others = [held(7), held(7)];
	expect(await inTime('2', look, others[0]?.work ?? fail)).toBe('stuck');
	expect(await inTime('3', look, async () => 8)).toBe('not begun');
	expect(await inTime('/a', start, async () => 9)).toBe(9);
	const quick = { ...start, longest: 50 };
	expect(await inTime('/a', quick, others[1]?.work ?? fail)).toBe('stuck');
	expect(await inTime('/b', start, async () => 9)).toBe('not begun');
	work.release();
	await new Promise(setImmediate);
	expect(await inTime('/a', start, async () => 9)).toBe(9);
	for (const other of others) other.release();
	await new Promise(setImmediate);
	expect([...look.stuck, ...start.stuck]).toEqual([]);
});

it('takes no more threads than it may where all of it hangs at once', async () => {
	const all = Array.from({ length: 6 }, () => held(7));
	const begun = new Set<number>();
	const results = all.map(({ work }, place) =>
		inTime(`p${place}`, look, () => {
			begun.add(place);
			return work();
		}),
	);
	expect(await Promise.all(results)).toEqual(['stuck', 'stuck', ...Array(4).fill('not begun')]);
	expect([...begun]).toEqual([0, 1]);
	for (const { release } of all) release();
	await new Promise(setImmediate);
	expect({ stuck: look.stuck, running: look.running }).toEqual({ stuck: [], running: 0 });
});

it('is given more time where the pool itself is busy', async () => {
	// It has four threads; each of them has work for longer than a look may take.
	const busy = Array.from({ length: 8 }, () => promisify(pbkdf2)('a', 'b', 600_000, 64, 'sha512'));
	expect(await inTime('5', look, () => readFile('/proc/self/stat', 'utf8'))).toContain(String(process.pid));
	await Promise.all(busy);
});

it('is told by its own name, or by those of what holds it up', () => {
	start.stuck.push('-env /a');
	expect(lateText('the directory /b', 'stuck')).toBe('the directory /b: its file system has not answered for 5 s');
	expect(lateText('the directory /b', 'not begun')).toBe(
		'the directory /b: not looked at, as the file system of -env /a still does not answer',
	);
	start.stuck.pop();
	look.stuck.push('77');
	expect(lateText('the directory /b', 'not begun')).toBe(
		'the directory /b: not looked at, as process 77 still does not answer',
	);
	look.stuck.pop();
});
