/** Arguments and variables as bytes. Node decodes them as UTF-8, and loses bytes that are not valid UTF-8. */
import { readFileSync } from 'node:fs';
import type { Variables } from './spawn.ts';

/** The command line of this process, from argv[0] on. An argument that is not valid UTF-8 is a Buffer. */
export function commandLine(): (string | Buffer)[] {
	return fieldsOf('/proc/self/cmdline') ?? [process.argv0, ...process.execArgv, ...process.argv.slice(1)];
}

/** The current environment of this process. A value that is not valid UTF-8 is a Buffer. */
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

/**
 * The value of a flag; a Buffer if the value is not valid UTF-8.
 * @param decoded the value as decoded by Node
 * @param rest number of arguments after the flags
 */
export function flagValue(name: string, decoded: string, rest: number): string | Buffer {
	if (!decoded.includes('\ufffd')) return decoded;
	const args = commandLine();
	for (const arg of args.slice(0, args.length - rest).reverse()) {
		if (typeof arg === 'string') continue;
		const [assignment = ''] = new RegExp(`^--?${name}=`).exec(arg.toString('latin1')) ?? [];
		const value = arg.subarray(assignment.length);
		if (value.toString() === decoded) return value;
	}
	return decoded;
}

/** The NUL-terminated fields of a file; null if the file cannot be read. */
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
