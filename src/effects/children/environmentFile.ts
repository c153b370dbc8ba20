/** Variables for the children from -env: a file as systemd's EnvironmentFile= has them, or a directory as envdir(8). */
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Variables } from '../os/spawn.ts';
import { wordsOf } from '../os/words.ts';

/** More than that no program could be started with (execve(2)), in bytes. */
const longest = 1024 * 1024;

/**
 * Reads them as they are now. A variable of a directory whose file is empty is unset.
 * @throws {Error} with the flag and the words for what can't be read
 */
export function readEnvironment(path: string): Variables {
	try {
		return statSync(path).isDirectory() ? readDirectory(path) : parseEnvironmentFile(readText(path));
	} catch (error) {
		throw new Error(`-env ${path}: ${wordsOf(error)}`, { cause: error });
	}
}

/** Characters are bytes. A FIFO would keep us waiting, a device would never end. @throws {Error} */
function readText(path: string): string {
	const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
	try {
		const stat = fstatSync(fd);
		if (!stat.isFile()) throw new Error('it is no regular file');
		if (stat.size > longest) throw new Error(`it is longer than ${longest} bytes`);
		return readFileSync(fd, 'latin1');
	} finally {
		closeSync(fd);
	}
}

/** envdir(8): the first line of each file, without the blanks at its end; a NUL in it stands for a newline. */
function readDirectory(path: string): Variables {
	const variables: Variables = {};
	for (const name of readdirSync(path).sort()) {
		if (name.startsWith('.') || name.includes('=')) continue;
		const text = readText(join(path, name));
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
 * @throws {Error} of a value that no variable can hold
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
		if (value.text.includes('\0')) throw new Error(`there is a NUL in ${name}`);
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

/** A text, or bytes where that is no ASCII. */
export function bytesOf(latin1: string): string | Buffer {
	return /^[\0-\x7f]*$/.test(latin1) ? latin1 : Buffer.from(latin1, 'latin1');
}
