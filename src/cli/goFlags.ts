/** Parses flags as Go's flag package does, which the original program uses: its rules and its error texts. */

import { nearestOf } from './distance.ts';

export interface Flag {
	type: 'string' | 'int' | 'bool';
	default: string;
	/** Stands for the value in the usage text. */
	placeholder?: string;
	text: string;
	/** The value of the flag alone, without `=`; for an int that is also a boolean. */
	alone?: string;
	/** Checks a value further. @returns the values that are allowed; null if the value is one of them */
	check?: (value: string) => string | null;
}

/** The message is the first line of what is printed. */
export class UsageError extends Error {
	/** The flag that may have been meant; null if none is near. */
	readonly meant: string | null;
	constructor(message: string, meant: string | null = null) {
		super(message);
		this.meant = meant;
	}
}

export type Values = Record<string, string[]>;

/**
 * Parses flags by the rules of Go's flag package: `-name value`, `--name=value`, or a boolean flag alone. Flags end at
 * `--` or at the first word that is no flag.
 * @returns `isMarked`: `--` begins the rest
 * @throws {UsageError}
 */
export function readFlags(
	argv: string[],
	flags: Readonly<Record<string, Flag>>,
): { values: Values; rest: string[]; isMarked: boolean } {
	const values: Values = {};
	let isMarked = false;
	let index = 0;
	for (; index < argv.length; index += 1) {
		const word = argv[index] ?? '';
		if (!word.startsWith('-') || word === '-') break;
		if (word === '--') {
			isMarked = true;
			index += 1;
			break;
		}
		const [, name, given] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(word) ?? [];
		if (name === undefined) throw new UsageError(`bad flag syntax: ${word}`);
		if (name === 'h' || name === 'help') return { values: { help: [] }, rest: [], isMarked };
		if (name === 'version') return { values: { version: [] }, rest: [], isMarked };
		const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
		if (!flag) throw new UsageError(`flag provided but not defined: -${name}`, nearestOf(name, Object.keys(flags)));
		let value = given;
		if (value === undefined && flag.type === 'bool') value = 'true';
		if (flag.alone !== undefined && (value === undefined || value === 'true')) value = flag.alone;
		if (flag.alone !== undefined && value === 'false') value = flag.default;
		if (value === undefined) {
			index += 1;
			value = argv[index];
		}
		if (value === undefined) throw new UsageError(`flag needs an argument: -${name}`);
		const read = checked(name, flag, value);
		values[name] = name === 'listen' ? [...(values[name] ?? []), read] : [read];
	}
	return { values, rest: argv.slice(index), isMarked };
}

function checked(name: string, flag: Flag, value: string): string {
	const read = readAs(name, flag.type, value);
	const wanted = flag.check?.(read) ?? null;
	if (wanted !== null) throw new UsageError(`invalid value "${value}" for flag -${name}: ${wanted}`);
	return read;
}

function readAs(name: string, type: Flag['type'], value: string): string {
	if (type === 'int') {
		const number = parseGoInt(value);
		if (number === null) throw new UsageError(`invalid value "${value}" for flag -${name}: parse error`);
		return String(number);
	}
	if (type === 'bool') {
		if (/^(1|t|T|true|TRUE|True)$/.test(value)) return 'true';
		if (/^(0|f|F|false|FALSE|False)$/.test(value)) return 'false';
		throw new UsageError(`invalid boolean value "${value}" for -${name}: parse error`);
	}
	return value;
}

/**
 * Parses as Go's strconv.ParseInt does with base 0: 10, -5, 0x10, 0b11, 0o17, 017, 1_000. Null if the text is invalid.
 */
function parseGoInt(text: string): number | null {
	const [, sign, digits = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
	const isGrouped = /^(0[xXbBoO])?_?[0-9a-fA-F]+(_[0-9a-fA-F]+)*$/.test(digits);
	const bare = digits.replaceAll('_', '').replace(/^0(?=[0-7]+$)/, '0o');
	if (!isGrouped || !/^(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0|[1-9][0-9]*)$/.test(bare)) return null;
	const number = Number(bare) * (sign === '-' ? -1 : 1);
	return Math.abs(number) > 2 ** 63 ? null : number;
}
