/** The running Node binary, as a program to start. */
import { existsSync } from 'node:fs';

/** /proc/self/exe refers to the running binary even if the installed file was replaced or removed. */
export function ownNode(): string {
	return existsSync('/proc/self/exe') ? '/proc/self/exe' : process.execPath;
}
