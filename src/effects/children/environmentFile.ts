/** Variables for the children from -env: a file as systemd's EnvironmentFile= has them, or a directory as envdir(8). */
import { constants } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText } from '../os/errorText.ts';
import type { Variables } from '../os/spawn.ts';

/** More than that no program could be started with (execve(2)), in bytes. */
const longest = 1024 * 1024;

export interface Environment {
	variables: Variables;
	/** Ends of sentences about what was left out, or is not as it was meant. */
	remarks: string[];
}

/**
 * Reads them as they are now. A variable of a directory whose file is empty is unset.
 * @throws {Error} with the flag and the words for what can't be read
 */
export async function readEnvironment(path: string): Promise<Environment> {
	try {
		if ((await stat(path)).isDirectory()) return { variables: await readDirectory(path), remarks: [] };
		return parseEnvironmentFile(await readText(path));
	} catch (error) {
		throw new Error(`-env ${path}: ${errorText(error)}`, { cause: error });
	}
}

/** Characters are bytes. A FIFO would keep us waiting, a device would never end. @throws {Error} */
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

/** envdir(8): the first line of each file, without the blanks at its end; a NUL in it stands for a newline. */
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
 * systemd.exec(5), EnvironmentFile=: `KEY=VALUE` lines; # or ; begin a comment. A quote counts only where a value begins,
 * or where another one has just closed; between quotes a newline belongs to the value. A backslash takes the next
 * character as it is, and goes on with the next line at the end of one; between double quotes it does so before " \ ` $
 * and a newline alone.
 * @param text characters are bytes
 * @returns what is set, and what is wrong: a line that is no assignment is left out, a quote that is never closed takes the rest
 * @throws {Error} of a value that no variable can hold
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

/** Either of the last two ends a line. */
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
	return text.slice(0, at).split('\n').length;
}

interface Value {
	text: string;
	/** Behind it. */
	end: number;
	/** The quote that the text ends in; empty where it does not. */
	open: string;
}

/** From behind the = to the end of the line, or of several. */
function readValue(text: string, from: number): Value {
	let value = '';
	/** So much of it stays: blanks at its end do not. */
	let kept = 0;
	let place: 'beginning' | 'middle' | '"' | "'" = 'beginning';
	let at = from;
	const take = (characters: string) => {
		value += characters;
		kept = value.length;
	};
	for (; at < text.length; at += 1) {
		const character = text.charAt(at);
		const isQuote = character === '"' || character === "'";
		if (character === place) place = 'beginning';
		else if (place === "'") take(character);
		else if (character === '\\') {
			at += 1;
			const next = text.charAt(at);
			if (place === '"') take(next === '\n' ? '' : '"\\`$'.includes(next) ? next : `\\${next}`);
			else {
				take(newlines.includes(next) ? '' : next);
				place = 'middle';
			}
		} else if (place === '"') take(character);
		else if (newlines.includes(character)) break;
		else if (place === 'beginning' && isQuote) place = character;
		else if (!blanks.includes(character)) {
			take(character);
			place = 'middle';
		} else if (place === 'middle') value += character;
	}
	return { text: value.slice(0, kept), end: at, open: place === '"' || place === "'" ? place : '' };
}

/** A text, or bytes where that is no ASCII. */
export function bytesOf(latin1: string): string | Buffer {
	return /^[\0-\x7f]*$/.test(latin1) ? latin1 : Buffer.from(latin1, 'latin1');
}
