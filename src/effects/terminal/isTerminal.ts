import { fstatSync } from 'node:fs';
import { isatty } from 'node:tty';

/** The device number of /dev/null: what a service has instead of a terminal. */
const nullDevice = 0x103;

/** Whether a file descriptor is a terminal. Node's module for terminals loads its whole network: only a device needs it. */
export function isTerminal(fd: number): boolean {
	try {
		const stat = fstatSync(fd);
		if (!stat.isCharacterDevice() || stat.rdev === nullDevice) return false;
	} catch {
		// A closed fd is no terminal.
		return false;
	}
	return isatty(fd);
}
