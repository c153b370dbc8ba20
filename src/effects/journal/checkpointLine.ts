/** The checkpoint that stands for all facts so far, and the lines of a compacted journal. */
import type { Projections } from '../../machines/state/projections.ts';
import type { Checkpoint, Header, JournalLine } from './lineSchemas.ts';

/** @returns null before the first fact: there is no state to write */
export function checkpointLine({ state, ...rest }: Projections, seq: number, at: number): Checkpoint | null {
	return state ? { checkpoint: state, seq, at, ...rest } : null;
}

/** @param last the last fact that the projections include */
export function compactedLines(
	header: Header,
	past: Projections,
	{ seq, at }: { seq: number; at: number },
): JournalLine[] {
	const checkpoint = checkpointLine(past, seq, at);
	return checkpoint ? [header, checkpoint] : [header];
}
