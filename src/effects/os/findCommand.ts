/** Finds the program to run, with the rules and error texts of Go's exec.LookPath. */
import { accessSync, constants, statSync } from 'node:fs';

/**
 * @param directory the base of a relative path; empty for the current directory
 * @returns the path as given if it contains a slash, else the first match in $PATH
 * @throws {Error} with a message for the operator
 */
export function findCommand(command: string | Buffer, searchPath: string | Buffer, directory = ''): string | Buffer {
	const refuse = (why: string) => new Error(`exec: "${command}": ${why}`);
	if (command.includes('/')) {
		const isRelative = directory !== '' && !command.toString().startsWith('/');
		const problem = whyNotExecutable(
			isRelative ? Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(command)]) : command,
		);
		if (problem) throw refuse(problem);
		return command;
	}
	// As Latin-1, each character is one byte.
	const [name, path] = [command, searchPath].map((text) => Buffer.from(text as string).toString('latin1'));
	for (const directory of path?.split(':') ?? []) {
		const found = Buffer.from(`${directory || '.'}/${name}`, 'latin1');
		if (whyNotExecutable(found) === null) return found.equals(Buffer.from(found.toString())) ? found.toString() : found;
	}
	throw refuse('executable file not found in $PATH');
}

function whyNotExecutable(path: string | Buffer): string | null {
	try {
		const stat = statSync(path, { throwIfNoEntry: false });
		if (!stat) return `stat ${path}: no such file or directory`;
		if (stat.isDirectory()) return 'permission denied';
		accessSync(path, constants.X_OK);
		return (stat.mode & 0o111) === 0 ? 'permission denied' : null;
	} catch {
		return 'permission denied';
	}
}
