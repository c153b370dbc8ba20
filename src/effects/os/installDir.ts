/** Files that are installed next to the program. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The path of an installed file or directory. */
export function besideProgram(name: string): string {
	return join(dirname(import.meta.url), name);
}

/** The exports of an installed module. */
export function loadBeside(name: string): unknown {
	return createRequire(import.meta.url)(`./${name}`);
}
