/** The journal's fd, without the rules of when it is written. */
import {
	appendFileSync,
	existsSync,
	fstatSync,
	mkdirSync,
	openSync,
	readdirSync,
	readFileSync,
	readlinkSync,
	statSync,
	truncateSync,
	unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openJournal } from '../../../src/effects/journal/journalFile.ts';
import { JournalWriter } from '../../../src/effects/journal/journalWriter.ts';
import { closeAll } from '../../../src/effects/os/descriptors.ts';
import type { Fact } from '../../../src/machines/facts/facts.ts';
import { scratch } from '../../support/program.ts';

const fact = (seq: number): Fact => ({ seq, at: 0, type: 'signal.HUP' });
const text = (...facts: Fact[]) => facts.map((each) => `${JSON.stringify(each)}\n`).join('');

/** What this process has open. */
const openPaths = () =>
	readdirSync('/proc/self/fd').map((fd) => {
		try {
			return readlinkSync(`/proc/self/fd/${fd}`);
		} catch {
			// The fd of the listing itself.
			return '';
		}
	});

function writerFor(path: string, fd: number) {
	let changes = 0;
	const writer = new JournalWriter(path, fd, () => {
		changes += 1;
	});
	onTestFinished(() => closeAll([writer.fd]));
	return { writer, changes: () => changes };
}

async function writerAt(path: string) {
	return writerFor(path, (await openJournal(path)).fd);
}

it('lines are appended, and the size counts what the file had before', async () => {
	const path = join(scratch(), 'journal');
	const before = text(fact(1));
	appendFileSync(path, before, { mode: 0o600 });
	const { writer } = await writerAt(path);
	expect(writer.size).toBe(before.length);
	writer.append(fact(2));
	expect(readFileSync(path, 'utf8')).toBe(text(fact(1), fact(2)));
	expect(writer.size).toBe(statSync(path).size);
});

it('a line that a full device does not take does not count', () => {
	const { writer } = writerFor('/dev/full', openSync('/dev/full', 'r+'));
	const { size } = writer;
	expect(() => writer.append(fact(1))).toThrow('ENOSPC');
	expect(writer.size).toBe(size);
});

describe('a replacement', () => {
	it('has only its own lines, is what further lines are appended to, and closes the old file', async () => {
		const path = join(scratch(), 'journal');
		const { writer } = await writerAt(path);
		writer.append(fact(1));
		writer.replace([fact(2)]);
		writer.append(fact(3));
		expect(readFileSync(path, 'utf8')).toBe(text(fact(2), fact(3)));
		expect(writer.size).toBe(statSync(path).size);
		expect(fstatSync(writer.fd).ino).toBe(statSync(path).ino);
		expect(openPaths()).not.toContain(`${path} (deleted)`);
		expect(existsSync(`${path}.new`)).toBe(false);
	});

	it('that fails leaves the old file in use, and no other', async () => {
		const folder = scratch();
		const { fd } = await openJournal(join(folder, 'elsewhere'));
		// A file cannot be renamed over a directory.
		const path = join(folder, 'journal');
		mkdirSync(path);
		const { writer } = writerFor(path, fd);
		writer.append(fact(1));
		expect(() => writer.replace([fact(2)])).toThrow('EISDIR');
		expect(writer.fd).toBe(fd);
		writer.append(fact(3));
		expect(readFileSync(join(folder, 'elsewhere'), 'utf8')).toBe(text(fact(1), fact(3)));
		expect(existsSync(`${path}.new`)).toBe(false);
	});
});

describe('a watch reports', () => {
	it.each([
		['a truncation', (path: string) => truncateSync(path, 0)],
		['a removal', unlinkSync],
		['what another process writes', (path: string) => appendFileSync(path, 'other\n')],
	])('%s', async (_, change) => {
		const path = join(scratch(), 'journal');
		const { writer, changes } = await writerAt(path);
		writer.append(fact(1));
		writer.watch();
		change(path);
		await expect.poll(changes).toBeGreaterThan(0);
	});

	it('a truncation of a replacement', async () => {
		const path = join(scratch(), 'journal');
		const { writer, changes } = await writerAt(path);
		writer.watch();
		writer.replace([fact(1)]);
		truncateSync(path, 0);
		await expect.poll(changes).toBeGreaterThan(0);
	});

	it('nothing of what the writer itself writes', async () => {
		const path = join(scratch(), 'journal');
		const { writer, changes } = await writerAt(path);
		writer.watch();
		writer.append(fact(1));
		writer.replace([fact(2)]);
		writer.append(fact(3));
		await new Promise((resolve) => setTimeout(resolve, 100));
		expect(changes()).toBe(0);
	});
});
