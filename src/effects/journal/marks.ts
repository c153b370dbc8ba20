/** Marks: what tells of a process that it is a child of a supervisor, or comes from one. */
import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { ownNotifyDirs, runOf } from '../children/notifyDir.ts';
import { filesOf } from '../os/proc.ts';
import type { User } from '../os/user.ts';

export interface Mark {
	/** What children carry as SOCKETMASTER_RUN. */
	run: string;
	/** The number of the child that it is, or comes from; null where that is not told. */
	child: number | null;
}

/** The mark in an environment; null where there is none. @param variables as `NAME=value` */
export function markIn(variables: string[]): Mark | null {
	const run = variableIn('SOCKETMASTER_RUN', variables);
	return run === null ? null : { run, child: numberIn(variableIn('SOCKETMASTER_CHILD', variables) ?? '') };
}

/**
 * A server that sets its title writes over its environment. It holds the socket for its messages still, which a supervisor of
 * ours has bound in a folder of its own, by the number of the child.
 * @returns a reader of a process's mark
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

/** The paths of sockets bound in folders, by what an fd of theirs is called: the last columns of /proc/net/unix are inode and path. */
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
		// Then nothing is found, and what was said is lost.
		return '';
	}
}
