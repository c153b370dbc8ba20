/** What is installed beside the program. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The path of a file or folder there. */
export function besideProgram(name: string): string {
	return join(dirname(import.meta.url), name);
}

/** The exports of a program there. */
export function loadBeside(name: string): unknown {
	return createRequire(import.meta.url)(`./${name}`);
}
