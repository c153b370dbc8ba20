/** The story that a journal tells, line by line. */
import type { Fact } from '../../machines/facts/facts.ts';
import type { Checkpoint } from './lineSchemas.ts';
import { lineReader } from './lines.ts';
import { linesOf } from './tail.ts';

/**
 * Its checkpoints and facts, in order; null where for now there is no more.
 * @param follow goes on as the journal grows
 * @throws {Error} with a sentence, where it ends or makes no sense
 */
export async function* storyOf(path: string, follow: boolean): AsyncGenerator<Checkpoint | Fact | null, void, void> {
	const readLine = lineReader();
	let number = 0;
	for await (const { lines } of linesOf(path, { follow })) {
		if (lines.length === 0) yield null;
		for (const raw of lines) {
			number += 1;
			const line = readLine(raw, number);
			if (typeof line === 'string') throw new Error(`${line}; the story ends here`);
			if (!('journal' in line)) yield line;
		}
	}
}
