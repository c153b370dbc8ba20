/** What is written in place of facts. */
import { expect, it } from 'vitest';
import { checkpointLine, compactedLines } from '../../../src/effects/journal/checkpointLine.ts';
import { projectionsOf } from '../../../src/effects/journal/lineSchemas.ts';
import { readJournal } from '../../../src/effects/journal/lines.ts';
import { evolveProjections, noProjections } from '../../../src/machines/state/projections.ts';
import { header } from '../../support/journal.ts';
import { rotating } from '../../support/simulation.ts';

it('a compacted journal is read back as the same projections', () => {
	const past = rotating().history.reduce(evolveProjections, noProjections);
	const lines = compactedLines(header, past, { seq: 7, at: 8 });
	const { lines: read, problems } = readJournal(Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join('')));
	expect(problems).toEqual([]);
	const [checkpoint] = read;
	if (!checkpoint || !('checkpoint' in checkpoint)) throw new Error('no checkpoint');
	expect(checkpoint).toMatchObject({ seq: 7, at: 8 });
	expect(projectionsOf(checkpoint)).toEqual(past);
});

it('before the first fact there is no checkpoint, and a compacted journal is its header', () => {
	expect(checkpointLine(noProjections, 0, 0)).toBeNull();
	expect(compactedLines(header, noProjections, { seq: 0, at: 0 })).toEqual([header]);
});
