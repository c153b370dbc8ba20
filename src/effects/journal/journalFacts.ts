/** The facts of a journal, for commands that print them. */
import type { Fact } from '../../machines/facts/facts.ts';
import type { Checkpoint } from './lineSchemas.ts';
import { lineReader } from './lines.ts';
import { linesOf } from './tail.ts';

/**
 * Reads the checkpoints and facts of a journal in order, in batches. An empty batch means that all lines present have
 * been read.
 * @param follow continues as the journal grows
 * @throws {Error} with a sentence for the operator, if a line cannot be read; the lines before it come first
 */
export async function* storyOf(path: string, follow: boolean): AsyncGenerator<(Checkpoint | Fact)[], void, void> {
	let readLine = lineReader();
	let number = 0;
	for await (const { lines, start } of linesOf(path, { follow })) {
		if (start === 'replaced' || start === 'rewritten') {
			readLine = lineReader();
			number = 0;
		}
		const batch: (Checkpoint | Fact)[] = [];
		for (const raw of lines) {
			number += 1;
			const line = readLine(raw, number);
			if (typeof line === 'string') {
				yield batch;
				throw new Error(`${line}; the story ends here`);
			}
			if (!('journal' in line)) batch.push(line);
		}
		if (batch.length > 0 || lines.length === 0) yield batch;
	}
}
