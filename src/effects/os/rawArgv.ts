/** Arguments and variables to the byte: Node decodes them, and what is no UTF-8 is lost in that. */
import { readFileSync } from 'node:fs';
import type { Variables } from './spawn.ts';

/** The words this process was started with, its program's name first; bytes stand for what is no UTF-8. */
export function commandLine(): (string | Buffer)[] {
	return fieldsOf('/proc/self/cmdline') ?? [process.argv0, ...process.execArgv, ...process.argv.slice(1)];
}

/** This process's variables as they are now; bytes stand for a value that is no UTF-8. */
export function ownVariables(): Variables {
	const variables: Variables = { ...process.env };
	for (const field of fieldsOf('/proc/self/environ') ?? []) {
		if (typeof field === 'string') continue;
		const name = field.toString('latin1', 0, field.indexOf(61));
		const value = field.subarray(field.indexOf(61) + 1);
		if (process.env[name] === value.toString()) variables[name] = value;
	}
	return variables;
}

/** The value of a flag, as Node has decoded it: its bytes where it is no UTF-8. @param rest how many words are no flags */
export function flagValue(name: string, decoded: string, rest: number): string | Buffer {
	if (!decoded.includes('\ufffd')) return decoded;
	const words = commandLine();
	for (const word of words.slice(0, words.length - rest).reverse()) {
		if (typeof word === 'string') continue;
		const [assignment = ''] = new RegExp(`^--?${name}=`).exec(word.toString('latin1')) ?? [];
		const value = word.subarray(assignment.length);
		if (value.toString() === decoded) return value;
	}
	return decoded;
}

/** What is in a file whose fields end with NUL; null where there is no such file. */
function fieldsOf(path: string): (string | Buffer)[] | null {
	try {
		const bytes = readFileSync(path);
		const fields: (string | Buffer)[] = [];
		for (let start = 0; start < bytes.length; ) {
			const end = bytes.indexOf(0, start);
			const field = bytes.subarray(start, end < 0 ? bytes.length : end);
			const text = field.toString();
			fields.push(Buffer.from(text).equals(field) ? text : field);
			start = end < 0 ? bytes.length : end + 1;
		}
		return fields;
	} catch {
		return null;
	}
}
