/** Reads the journal's lines in order. */
import { type GenericSchema, safeParse } from 'valibot';
import type { Fact, FactType } from '../../machines/facts/facts.ts';
import { journalFormat } from '../../machines/facts/feed.ts';
import { type Checkpoint, type Header, type JournalLine, newSchemas } from './lineSchemas.ts';
import { oldestJournalFormat, upcastLine } from './upcast.ts';

/** The readable lines of a journal, in order, and the problems found. */
export interface JournalContent {
	/** The last header. Each supervisor process and each program writes one at its beginning. */
	header: Header | null;
	lines: (Checkpoint | Fact)[];
	/** Length in bytes of the complete, readable lines. The rest is to be cut off. */
	soundLength: number;
	/** Complete but unreadable lines follow. */
	isCut: boolean;
	/** Sentences for the operator. */
	problems: string[];
}

/** The first line of the file cannot be read. */
export class UnreadableJournal extends Error {}

export function nothingRead(): JournalContent {
	return { header: null, lines: [], soundLength: 0, isCut: false, problems: [] };
}

/** Reads a complete journal. @throws {UnreadableJournal} if the file is not a journal, or has an unknown format */
export function readJournal(bytes: Buffer): JournalContent {
	const content = nothingRead();
	const readLine = lineReader();
	let number = 0;
	for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, content.soundLength)) {
		number += 1;
		const line = readLine(bytes.toString('utf8', content.soundLength, end), number);
		if (typeof line === 'string') {
			content.isCut = true;
			content.problems.push(`${line}; it was read up to there`);
			return content;
		}
		if ('journal' in line) content.header = line;
		else content.lines.push(line);
		content.soundLength = end + 1;
	}
	const torn = bytes.toString('utf8', content.soundLength);
	const isBegun = torn.startsWith('{"journal"'.slice(0, torn.length));
	if (number === 0 && !isBegun) throw new UnreadableJournal('line 1 is no journal header');
	if (torn !== '') content.problems.push(`line ${number + 1} is torn off; it was left out`);
	return content;
}

/**
 * Creates a reader for consecutive lines. The reader takes each line with its number, counting from 1.
 * It returns the parsed line, or a sentence about the error. It throws UnreadableJournal if the file is not a journal
 * or has an unknown format.
 */
export function lineReader() {
	const schemas = newSchemas();
	let hasStarted = false;
	/** The format of the last header. */
	let format = journalFormat;
	let last = 0;
	const factSchema = (type: unknown): GenericSchema<unknown, Fact> | undefined =>
		typeof type === 'string' && Object.hasOwn(schemas.facts, type) ? schemas.facts[type as FactType] : undefined;

	return (raw: string, number: number): JournalLine | string => {
		const written = parse(raw);
		if (typeof written?.journal === 'number') format = written.journal;
		if (format < oldestJournalFormat || format > journalFormat) {
			const age = format > journalFormat ? 'newer' : 'older';
			const writer =
				typeof written?.program === 'string' ? `; version ${written.program}, which wrote it, reads it` : '';
			throw new UnreadableJournal(
				`its format ${format} is ${age} than this program, which knows ${oldestJournalFormat} to ${journalFormat}${writer}`,
			);
		}
		const line = written && upcastLine(written, format);
		const header = line && 'journal' in line ? safeParse(schemas.header, line) : null;
		if (header?.success) return header.output;
		if (number === 1) throw new UnreadableJournal('line 1 is no journal header');
		if (!line || header) return `line ${number} is no fact`;
		hasStarted ||= 'checkpoint' in line || line.type === 'supervisor.started' || line.type === 'supervisor.recovered';
		if (!hasStarted) return `line ${number} is a fact before the start`;
		const schema: GenericSchema<unknown, Checkpoint | Fact> | undefined =
			'checkpoint' in line ? schemas.checkpoint : factSchema(line.type);
		if (!schema) return `line ${number} is no fact`;
		const { success, output } = safeParse(schema, line);
		if (!success) return `line ${number} is no fact of a known shape`;
		// A checkpoint may have the same number as the line before it.
		if (output.seq < last || (output.seq === last && !('checkpoint' in output)))
			return `line ${number} is out of its order`;
		last = output.seq;
		return output;
	};
}

function parse(raw: string): Record<string, unknown> | null {
	try {
		const value = JSON.parse(raw);
		return typeof value === 'object' && value !== null ? value : null;
	} catch {
		return null;
	}
}
