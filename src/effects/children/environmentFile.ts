/** Variables for children from -env: a file as for systemd's EnvironmentFile=, or a directory as for envdir(8). */
import { constants } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText } from '../os/errorText.ts';
import type { Variables } from '../os/spawn.ts';

/** The longest file, in bytes. execve(2) limits the size of an environment too. */
const longest = 1024 * 1024;

export interface Environment {
	variables: Variables;
	/** Remarks for the log, about lines that are skipped or may not mean what was intended. */
	remarks: string[];
}

/**
 * Reads the variables as they are now. In a directory, an empty file unsets its variable.
 * @throws {Error} with the flag, the path and the reason, if the path can't be read
 */
export async function readEnvironment(path: string): Promise<Environment> {
	try {
		if ((await stat(path)).isDirectory()) return { variables: await readDirectory(path), remarks: [] };
		return parseEnvironmentFile(await readText(path));
	} catch (error) {
		throw new Error(`-env ${path}: ${errorText(error)}`, { cause: error });
	}
}

/**
 * Each character is one byte. Only regular files are read: a FIFO may block, and a device may have no end.
 * @throws {Error}
 */
async function readText(path: string): Promise<string> {
	const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
	try {
		const found = await file.stat();
		if (!found.isFile()) throw new Error('it is no regular file');
		if (found.size > longest) throw new Error(`it is longer than ${longest} bytes`);
		return await file.readFile('latin1');
	} finally {
		await file.close();
	}
}

/** envdir(8): the first line of each file, without trailing blanks. A NUL in the line stands for a newline. */
async function readDirectory(path: string): Promise<Variables> {
	const variables: Variables = {};
	for (const name of (await readdir(path)).sort()) {
		if (name.startsWith('.') || name.includes('=')) continue;
		const text = await readText(join(path, name));
		const [line = ''] = text.split('\n', 1);
		variables[name] = text === '' ? undefined : bytesOf(line.replace(/[ \t]+$/, '').replaceAll('\0', '\n'));
	}
	return variables;
}

/**
 * systemd.exec(5), EnvironmentFile=: `KEY=VALUE` lines. A line that begins with # or ; is a comment. A quote counts
 * only at the beginning of a value, or after another quote has closed. Between quotes a newline is part of the value. A
 * backslash makes the next character literal; before a newline it continues the line. Between double quotes a backslash
 * does so only before " \ ` $ and a newline. Between single quotes a backslash is literal.
 * @param text each character is one byte
 * @returns the variables, and what is wrong: a line without an assignment is skipped, an open quote extends to the end
 * @throws {Error} if a value contains a NUL
 */
export function parseEnvironmentFile(text: string): Environment {
	const variables: Variables = {};
	const remarks: string[] = [];
	for (let at = 0; at < text.length; at += 1) {
		const begin = text.charAt(at);
		if (blanks.includes(begin)) continue;
		const end = lineEnd(text, at);
		if (begin === '#' || begin === ';') {
			at = end;
			continue;
		}
		const line = lineOf(text, at);
		const [, name = '', equals] = /^([^=]*?)[ \t]*(=|$)/.exec(text.slice(at, end)) ?? [];
		const value = equals ? readValue(text, text.indexOf('=', at) + 1) : null;
		if (value?.open) remarks.push(`the ${value.open} in line ${line} is never closed`);
		if (value && isName(name)) {
			if (value.text.includes('\0')) throw new Error(`there is a NUL in ${name} (line ${line})`);
			variables[name] = bytesOf(value.text);
		} else remarks.push(`line ${line} is no assignment`);
		at = value?.end ?? end;
	}
	return { variables, remarks };
}

/** Each character in `newlines` ends a line. */
const [blanks, newlines] = [' \t\n\r', '\n\r'];

function isName(name: string): boolean {
	return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

function lineEnd(text: string, from: number): number {
	let end = from;
	while (end < text.length && !newlines.includes(text.charAt(end))) end += 1;
	return end;
}

function lineOf(text: string, at: number): number {
	return text.slice(0, at).split(/\r\n|\r|\n/).length;
}

interface Value {
	text: string;
	/** The index of the first character after the value. */
	end: number;
	/** The quote that is not closed; empty if all quotes are closed. */
	open: string;
}

/** Reads a value from after the = to the end of the line. Quotes and backslashes can continue it on further lines. */
function readValue(text: string, from: number): Value {
	let value = '';
	/** The length of the value without trailing blanks. */
	let kept = 0;
	let state: 'beginning' | 'middle' | '"' | "'" = 'beginning';
	let at = from;
	const take = (characters: string) => {
		value += characters;
		kept = value.length;
	};
	for (; at < text.length; at += 1) {
		const character = text.charAt(at);
		const isQuote = character === '"' || character === "'";
		if (character === state) state = 'beginning';
		else if (state === "'") take(character);
		else if (character === '\\') {
			at += 1;
			const next = text.charAt(at);
			if (state === '"') take(next === '\n' ? '' : '"\\`$'.includes(next) ? next : `\\${next}`);
			else {
				take(newlines.includes(next) ? '' : next);
				state = 'middle';
			}
		} else if (state === '"') take(character);
		else if (newlines.includes(character)) break;
		else if (state === 'beginning' && isQuote) state = character;
		else if (!blanks.includes(character)) {
			take(character);
			state = 'middle';
		} else if (state === 'middle') value += character;
	}
	return { text: value.slice(0, kept), end: at, open: state === '"' || state === "'" ? state : '' };
}

/** A string if the text is ASCII, else its bytes. */
export function bytesOf(latin1: string): string | Buffer {
	return /^[\0-\x7f]*$/.test(latin1) ? latin1 : Buffer.from(latin1, 'latin1');
}
