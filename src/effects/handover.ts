/** One program becomes the next: the same pid, the same children, the same sockets. */
import { closeSync, readFileSync, writeSync } from 'node:fs';
import type { Roster } from '../machines/roster.ts';
import { c, call, stringArray } from './libc.ts';
import type { Listener } from './listener.ts';
import type { OpenPipe } from './output.ts';

/** Counted up when a program could misread what another one hands over. */
export const handoverFormat = 1;

/** All that the next program needs; fds are those of the process, which stays the same. */
export interface Handover {
	format: number;
	run: string;
	/** The number of the last fact. */
	seq: number;
	roster: Roster;
	listeners: Pick<Listener, 'uri' | 'fd' | 'file'>[];
	pipes: OpenPipe[];
	journal: number | null;
	/** Which children are not ours by birth. */
	strangers: number[];
}

const variable = 'SOCKETMASTER_HANDOVER';

/**
 * Replaces this program by another in the same process. Does not return.
 * @throws {SyscallError} when that can't be done; then nothing has changed
 */
export function becomeProgram(handover: Handover, path: string, argv: string[]): never {
	const memory = call('memfd_create', 'socketmaster', 0);
	// Node has marked what it inherited close-on-exec, 0 to 2 too.
	const kept = [
		0,
		1,
		2,
		...handover.listeners.map(({ fd }) => fd),
		...handover.pipes.map(({ fd }) => fd),
		...(handover.journal === null ? [] : [handover.journal]),
	];
	try {
		const text = Buffer.from(JSON.stringify(handover));
		for (let rest = text; rest.length > 0; ) rest = rest.subarray(writeSync(memory, rest));
		const env = { ...process.env, [variable]: String(memory) };
		const args = stringArray(argv);
		const environment = stringArray(Object.entries(env).map(([key, value]) => `${key}=${value}`));
		for (const fd of kept) call('fcntl', fd, c.F_SETFD, 0);
		call('execve', path, args.pointers, environment.pointers);
		throw new Error('execve returned');
	} catch (error) {
		for (const fd of kept) call('fcntl', fd, c.F_SETFD, c.FD_CLOEXEC);
		closeSync(memory);
		throw error;
	}
}

/** What the program before this one in the same process has left, once; null for a first program. */
export function takeHandover(): Handover | null {
	const fd = process.env[variable];
	delete process.env[variable];
	if (fd === undefined) return null;
	const handover: Handover = JSON.parse(readFileSync(`/proc/self/fd/${fd}`, 'utf8'));
	closeSync(Number(fd));
	return handover;
}

/** The words this process was started with, its program's name first. */
export function commandLine(): string[] {
	return readFileSync('/proc/self/cmdline', 'utf8').split('\0').slice(0, -1);
}
