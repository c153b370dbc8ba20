/** A mark identifies a process as a child of a supervisor, or as a descendant of such a child. */
import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { ownNotifyDirs, runOf } from '../children/notifyDir.ts';
import { filesOf } from '../os/proc.ts';
import type { User } from '../os/user.ts';

export interface Mark {
	/** The value of SOCKETMASTER_RUN. */
	run: string;
	/** The number of the child that this process is or descends from; null if the mark does not include a number. */
	child: number | null;
}

/** Returns the mark in an environment; null if there is no mark. @param variables as `NAME=value` */
export function markIn(variables: string[]): Mark | null {
	const run = variableIn('SOCKETMASTER_RUN', variables);
	return run === null ? null : { run, child: numberIn(variableIn('SOCKETMASTER_CHILD', variables) ?? '') };
}

/**
 * Finds marks by notify sockets. A server that sets its process title overwrites its environment, but still holds its
 * notify socket. The supervisor binds that socket in a directory of its own, under the number of the child.
 * @returns a function that reads the mark of a process
 */
export function socketMarks(user: User | null): (pid: number) => Mark | null {
	const sockets = socketsIn(ownNotifyDirs(user));
	return (pid) => {
		for (const { file } of filesOf(pid)) {
			const path = sockets.get(file);
			const run = path === undefined ? null : runOf(dirname(path));
			if (path !== undefined && run !== null) return { run, child: numberIn(basename(path).split('-')[0] ?? '') };
		}
		return null;
	};
}

function variableIn(name: string, variables: string[]): string | null {
	return variables.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1) ?? null;
}

function numberIn(text: string): number | null {
	return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : null;
}

/**
 * The paths of sockets bound in the directories, by the link text of an fd (`socket:[INODE]`). The last columns of
 * /proc/net/unix are inode and path.
 */
export function socketsIn(folders: string[]): Map<string, string> {
	const paths = new Map<string, string>();
	if (folders.length === 0) return paths;
	const wanted = new Set(folders);
	for (const line of boundSockets().split('\n')) {
		const [, inode, path = ''] =
			/^[\da-f]+: [\dA-F]{8} [\dA-F]{8} [\dA-F]{8} [\dA-F]{4} [\dA-F]{2} +(\d+) (\/.*)$/.exec(line) ?? [];
		if (wanted.has(dirname(path)) && /^(\d+|einhorn)-[0-9a-f]{16}$/.test(basename(path)))
			paths.set(`socket:[${inode}]`, path);
	}
	return paths;
}

function boundSockets(): string {
	try {
		return readFileSync('/proc/net/unix', 'latin1');
	} catch {
		// Without this file no notify socket is found, and the messages queued in such sockets are lost.
		return '';
	}
}
