/** The journal's lines, read one after the other. */
import { type GenericSchema, safeParse } from 'valibot';
import type { Fact, FactType } from '../../machines/facts/facts.ts';
import { journalFormat } from '../../machines/facts/feed.ts';
import { type Checkpoint, type Header, type JournalLine, newSchemas } from './lineSchemas.ts';
import { oldestJournalFormat, upcastLine } from './upcast.ts';

/** What a journal holds, in order, and what of it could not be read. */
export interface JournalContent {
	/** The last one: each life of a supervisor begins with one. */
	header: Header | null;
	lines: (Checkpoint | Fact)[];
	/** Bytes of whole, understood lines: what comes after is to be cut off. */
	soundLength: number;
	/** Whole lines follow that were not understood. */
	isCut: boolean;
	/** Sentences about what was wrong. */
	problems: string[];
}

/** What is in the file can't be understood from its first line on. */
export class UnreadableJournal extends Error {}

export function nothingRead(): JournalContent {
	return { header: null, lines: [], soundLength: 0, isCut: false, problems: [] };
}

/** Reads a whole journal. @throws {UnreadableJournal} when it is none, or of another format */
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
 * A reader of lines, one after the other, `number` counting from 1.
 * It returns the line, or what is wrong with it, and throws when it says that this is no journal, or one of another
 * format.
 */
export function lineReader() {
	const schemas = newSchemas();
	let hasStarted = false;
	/** Of the last header. */
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
		// A checkpoint may stand for no more than what is there.
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
