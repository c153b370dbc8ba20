/** The facts of a journal, for commands that print them. */
import type { Fact } from '../../machines/facts/facts.ts';
import type { Checkpoint } from './lineSchemas.ts';
import { lineReader } from './lines.ts';
import { linesOf } from './tail.ts';

/**
 * Reads the checkpoints and facts of a journal in order. Yields null when all lines present have been read.
 * @param follow continues as the journal grows
 * @throws {Error} with a sentence for the operator, if a line cannot be read
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
