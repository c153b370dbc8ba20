/** The Node that runs here, as a program to start. */
import { existsSync } from 'node:fs';

/** Also where another one, or none, has been installed in its place since. */
export function ownNode(): string {
	return existsSync('/proc/self/exe') ? '/proc/self/exe' : process.execPath;
}
