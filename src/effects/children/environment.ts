/** Variables for the children from -env: a file as systemd's EnvironmentFile= has them, or a directory as envdir(8). */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { array, nullable, number, object, record, string } from 'valibot';
import type { Variables } from '../os/spawn.ts';
import { wordsOf } from '../os/words.ts';
import { type Inheritance, part } from '../upgrade/inheritance.ts';

/**
 * Reads them as they are now. A variable of a directory whose file is empty is unset.
 * @throws {Error} with the flag and the words for what can't be read
 */
export function readEnvironment(path: string): Variables {
	try {
		return statSync(path).isDirectory() ? readDirectory(path) : parseEnvironmentFile(readFileSync(path, 'latin1'));
	} catch (error) {
		throw new Error(`-env ${path}: ${wordsOf(error)}`, { cause: error });
	}
}

/** envdir(8): the first line of each file, without the blanks at its end; a NUL in it stands for a newline. */
function readDirectory(path: string): Variables {
	const variables: Variables = {};
	for (const name of readdirSync(path).sort()) {
		if (name.startsWith('.') || name.includes('=')) continue;
		const text = readFileSync(join(path, name), 'latin1');
		const [line = ''] = text.split('\n', 1);
		variables[name] = text === '' ? undefined : bytesOf(line.replace(/[ \t]+$/, '').replaceAll('\0', '\n'));
	}
	return variables;
}

/**
 * systemd.exec(5), EnvironmentFile=: `KEY=VALUE` lines; comments begin with # or ; and others without = are ignored. A
 * value may be quoted, in whole or in parts; a backslash takes the next character as it is, and goes on with the next
 * line at the end of one; between double quotes it does so before " \ ` $ and a newline alone.
 * @param text characters are bytes
 */
export function parseEnvironmentFile(text: string): Variables {
	const variables: Variables = {};
	for (let at = 0; at < text.length; ) {
		const [, name] = /^[ \t\r]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*=/.exec(text.slice(at, lineEnd(text, at))) ?? [];
		if (name === undefined || /^[ \t\r]*[#;]/.test(text.slice(at, lineEnd(text, at)))) {
			at = lineEnd(text, at) + 1;
			continue;
		}
		const value = readValue(text, text.indexOf('=', at) + 1);
		variables[name] = bytesOf(value.text);
		at = value.end + 1;
	}
	return variables;
}

function lineEnd(text: string, from: number): number {
	const end = text.indexOf('\n', from);
	return end < 0 ? text.length : end;
}

/** From behind the = to the end of the line, or of several. */
function readValue(text: string, from: number): { text: string; end: number } {
	let value = '';
	/** Blanks count only where something follows. */
	let blanks = '';
	let at = from;
	const take = (character: string) => {
		value += blanks + character;
		blanks = '';
	};
	for (let quote = ''; at < text.length; at += 1) {
		const character = text.charAt(at);
		const next = text.charAt(at + 1);
		if (quote === '' && character === '\n') break;
		if (character === '\\' && quote !== "'" && (quote === '' || '"\\`$\n'.includes(next))) {
			at += 1;
			if (next !== '\n') take(next);
		} else if (character === quote) {
			quote = '';
		} else if (quote === '' && (character === '"' || character === "'")) {
			quote = character;
			take('');
		} else if (quote === '' && /[ \t\r]/.test(character)) {
			if (value !== '') blanks += character;
		} else take(character);
	}
	return { text: value, end: at };
}

function bytesOf(latin1: string): string | Buffer {
	return /^[\0-\x7f]*$/.test(latin1) ? latin1 : Buffer.from(latin1, 'latin1');
}

export const environmentPart = part('environment', () =>
	array(object({ generation: number(), variables: record(string(), nullable(string())) })),
);

export interface EnvironmentOptions {
	/** Of -env; empty where there is none. */
	path: string;
	inheritance: Inheritance;
	/** Whether a generation has children, or is to have some. */
	isThere: (generation: number) => boolean;
}

/**
 * The variables of -env for each generation: read anew for it, and the same for all of its children. After a crash, what
 * is started again in an old generation gets them as they are then.
 */
export function generationEnvironments({ path, inheritance, isThere }: EnvironmentOptions) {
	const kept = new Map<number, Variables>();
	for (const { generation, variables } of inheritance.take(environmentPart) ?? []) {
		kept.set(
			generation,
			mapped(variables, (value) => (value === null ? undefined : bytesOf(value))),
		);
	}
	inheritance.leave(environmentPart, () => ({
		state: [...kept].map(([generation, variables]) => ({
			generation,
			variables: mapped(variables, (value) =>
				value === undefined ? null : Buffer.from(value as string).toString('latin1'),
			),
		})),
		fds: [],
	}));

	/** @throws {Error} where they can't be read */
	return (generation: number): Variables => {
		if (path === '') return {};
		const known = kept.get(generation);
		if (known) return known;
		for (const each of kept.keys()) if (!isThere(each)) kept.delete(each);
		const variables = readEnvironment(path);
		kept.set(generation, variables);
		return variables;
	};
}

function mapped<A, B>(from: Record<string, A>, change: (value: A) => B): Record<string, B> {
	return Object.fromEntries(Object.entries(from).map(([name, value]) => [name, change(value)]));
}
