/** The journal's file, and what others do to it. */
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { fileJournal } from '../../../src/effects/journal/journal.ts';
import { openJournal } from '../../../src/effects/journal/journalFile.ts';
import { closeAll } from '../../../src/effects/os/descriptors.ts';
import { newHandoverState } from '../../../src/effects/upgrade/handoverState.ts';
import { journalFormat } from '../../../src/machines/facts/feed.ts';
import { noProjections } from '../../../src/machines/state/projections.ts';
import { scratch } from '../../support/program.ts';
import { stateWith } from '../../support/simulation.ts';

/** One of a supervisor whose generation serves alone. */
async function journalAt(path: string) {
	const told: string[] = [];
	const handoverState = newHandoverState(null);
	const process = {
		program: '1',
		boot: '',
		run: 'run',
		pid: 1,
		startTime: 1,
		args: [],
		listeners: [],
		notifyDir: null,
	};
	const journal = fileJournal({
		path,
		fd: (await openJournal(path)).fd,
		header: { journal: journalFormat, ...process },
		start: { ...noProjections, state: stateWith() },
		report: (text) => told.push(text),
		handoverState,
	});
	onTestFinished(() => closeAll(handoverState.collect().fds));
	let seq = 0;
	/** Grows by so many bytes. */
	const grow = (bytes: number) => {
		seq += 1;
		journal.record({ seq, at: 0, type: 'child.unverified', child: 1, missing: ['x'.repeat(bytes)] });
		journal.rest();
	};
	return { grow, told };
}

it('one that has grown is replaced by what it amounts to', async () => {
	const path = join(scratch(), 'journal');
	const { grow } = await journalAt(path);
	grow(2 ** 20);
	expect(statSync(path).size).toBeLessThan(10_000);
	expect(readFileSync(path, 'utf8')).toMatch(/^\{"journal":/);
});

it('in the place of which somebody has put another is not compacted over it', async () => {
	const path = join(scratch(), 'journal');
	const { grow, told } = await journalAt(path);
	renameSync(path, `${path}.old`);
	writeFileSync(path, 'other\n');
	grow(2 ** 20);
	grow(2 ** 20);
	expect(readFileSync(path, 'utf8')).toBe('other\n');
	expect(told).toEqual([`Somebody has put another file at ${path}: a start after a crash goes by that one`]);
	// And goes on where it was when that one is gone.
	renameSync(`${path}.old`, path);
	grow(10);
	expect(statSync(path).size).toBeLessThan(10_000);
});
