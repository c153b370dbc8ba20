/** The journal's lines: written by journal.ts, read by recovery and replay. docs/journal.md tells of them. */
import type { Fact, FactType } from '../machines/facts.ts';
import type { Roster } from '../machines/roster.ts';
import type { Listener } from './listener.ts';

/** Counted up when an older program could misread a newer file. */
export const format = 1;

export interface Header {
	journal: number;
	program: string;
	/** /proc/sys/kernel/random/boot_id */
	boot: string;
	/** What children carry as SOCKETMASTER_RUN: the same through upgrades and recoveries. */
	run: string;
	pid: number;
	startTime: number;
	args: string[];
	listeners: Pick<Listener, 'uri' | 'address' | 'inode' | 'file'>[];
}

/** What all facts up to `seq` amount to. With `gap`, some of them are not in the file. */
export interface Checkpoint {
	checkpoint: Roster;
	seq: number;
	at: number;
	gap?: true;
}

/** A fact; `from` is the state of the statecharts before it, where they were at rest. */
export type FactLine = Fact & { from?: string };

export type JournalLine = Header | Checkpoint | FactLine;

/** What a journal holds, in order, and what of it could not be read. */
export interface JournalContent {
	/** The last one: each life of a supervisor begins with one. */
	header: Header | null;
	lines: (Checkpoint | FactLine)[];
	/** Bytes of whole, understood lines: what comes after is to be cut off. */
	soundLength: number;
	/** Sentences about what was wrong. */
	problems: string[];
}

/** Reads a whole journal. @throws {Error} when it is none, or a newer program's */
export function readJournal(text: string): JournalContent {
	const content: JournalContent = { header: null, lines: [], soundLength: 0, problems: [] };
	const lines = text.split('\n');
	const torn = lines.pop() ?? '';
	for (const [index, raw] of lines.entries()) {
		const line = readLine(raw, index + 1);
		if (typeof line === 'string') {
			content.problems.push(`${line}; it was read up to there`);
			return content;
		}
		if ('journal' in line) content.header = line;
		else content.lines.push(line);
		content.soundLength += Buffer.byteLength(raw) + 1;
	}
	const isBegun = torn.startsWith('{"journal"'.slice(0, torn.length));
	if (lines.length === 0 && !isBegun) throw new Error('line 1 is no journal header');
	if (torn !== '') content.problems.push(`line ${lines.length + 1} is torn off; it was left out`);
	return content;
}

/**
 * Reads one line, `number` counting from 1.
 * @returns the line, or what is wrong with it
 * @throws {Error} when it says that this is no journal, or a newer program's
 */
export function readLine(raw: string, number: number): JournalLine | string {
	const line = parse(raw);
	if (typeof line?.journal === 'number' && typeof line.run === 'string') {
		if (line.journal > format) {
			throw new Error(`its format ${line.journal} is newer than this program, which knows ${format}`);
		}
		return line as unknown as Header;
	}
	if (number === 1) throw new Error('line 1 is no journal header');
	if (!line || !Number.isInteger(line.seq) || typeof line.at !== 'number') return `line ${number} is no fact`;
	if (typeof line.checkpoint === 'object') return line as unknown as Checkpoint;
	const shape = shapes[line.type as FactType];
	const isKnown = shape && Object.entries(shape).every(([key, type]) => matches(line[key], type));
	return isKnown ? (line as unknown as FactLine) : `line ${number} is no fact of a known shape`;
}

function parse(raw: string): Record<string, unknown> | null {
	try {
		const value = JSON.parse(raw);
		return typeof value === 'object' && value !== null ? value : null;
	} catch {
		return null;
	}
}

type Shape = Record<string, 'number' | 'string' | 'object' | 'number?' | 'string?'>;

const nothing: Shape = {};

/** The fields of each fact, besides `seq`, `at` and `type`. A question mark lets null pass. */
const shapes: Record<FactType, Shape> = {
	'supervisor.started': { pid: 'number', plan: 'object' },
	'supervisor.recovered': { pid: 'number', roster: 'object' },
	'signal.HUP': nothing,
	'signal.TERM': nothing,
	'signal.INT': nothing,
	'signal.QUIT': nothing,
	'signal.USR1': nothing,
	'signal.USR2': nothing,
	'rotate.requested': nothing,
	'stop.requested': nothing,
	'child.spawning': { child: 'number', generation: 'number' },
	'child.spawned': { child: 'number', pid: 'number', startTime: 'number', pipe: 'number' },
	'child.spawnFailed': { child: 'number', reason: 'string' },
	'child.signalled': { child: 'number', signal: 'string', reason: 'string' },
	'child.exited': { child: 'number', pid: 'number', code: 'number?', signal: 'string?', status: 'number' },
	'timer.elapsed': { child: 'number', timer: 'string' },
	'upgrade.verified': nothing,
	'upgrade.refused': { reason: 'string' },
};

function matches(value: unknown, type: string): boolean {
	if (value === null) return type.endsWith('?');
	const name: string = typeof value;
	return name === type.replace('?', '');
}
