/** Replaces the running program by another one with execve(2): the pid, the children and the sockets stay. */

import { closeSync } from 'node:fs';
import { array, number, object, picklist, record, safeParse, string, unknown } from 'valibot';
import type { Request } from '../../machines/facts/facts.ts';
import { oldestHandoverFormat, upcastSections } from '../journal/upcast.ts';
import { setKept } from '../os/descriptors.ts';
import { call, cString, SyscallError, stringArray } from '../os/libc.ts';
import { ownVariables } from '../os/rawArgv.ts';
import { disownSignals, loopPipes, raiseAgain, unreadSignals } from '../os/signals.ts';
import { variablesOf } from '../os/spawn.ts';
import type { HandoverState } from './handoverState.ts';
import { append, newMemfd, readMemfd } from './memfd.ts';

/** Incremented when another version could misread the handover state. */
export const handoverFormat = 6;

/** Whether this program can read a handover of the format. */
export function isHandoverFormat(format: number): boolean {
	return format >= oldestHandoverFormat && format <= handoverFormat;
}

const variable = 'SOCKETMASTER_HANDOVER';

export interface Handover {
	/** The saved state of each section, by its name. */
	states: Record<string, unknown>;
	/** Signals that the previous program received and did not process. */
	signals: Request[];
}

/**
 * Replaces this program by another one in the same process. Does not return.
 * @throws {SyscallError} if execve(2) fails; the process is unchanged then
 */
export function becomeProgram(handoverState: HandoverState, path: string | Buffer, argv: (string | Buffer)[]): never {
	const { states, fds } = handoverState.collect();
	const memory = newMemfd(`${JSON.stringify({ format: handoverFormat, pid: process.pid, states })}\n`);
	// Node marks the fds that it inherits close-on-exec, including 0 to 2.
	const kept = [0, 1, 2, memory, ...fds];
	const args = stringArray(argv);
	const environment = stringArray(variablesOf({ ...ownVariables(), [variable]: String(memory) }));
	let unread: Request[] = [];
	let ownSignals = () => {};
	try {
		for (const fd of kept) setKept(fd, true);
		// Signals are collected last before execve(2). A signal after this point reaches the new program while it
		// starts.
		const pipes = loopPipes();
		ownSignals = disownSignals();
		unread = unreadSignals(pipes);
		append(memory, JSON.stringify(unread));
		call('execve', cString(path), args.pointers, environment.pointers);
		throw new Error('execve returned');
	} catch (error) {
		ownSignals();
		// Make the fds close-on-exec again before the error is reported. A child spawned afterwards must not inherit
		// them.
		for (const fd of fds) sealIfOpen(fd);
		closeSync(memory);
		raiseAgain(unread);
		throw error;
	}
}

/** A closed fd may be the reason why the handover failed, so EBADF is ignored. */
function sealIfOpen(fd: number) {
	try {
		setKept(fd, false);
	} catch (error) {
		if (!(error instanceof SyscallError) || error.code !== 'EBADF') throw error;
	}
}

/**
 * Reads the handover of the previous program in this process, once; null if this is the first program.
 * @throws {Error}
 */
export function takeHandover(): Handover | null {
	const text = readMemfd(variable);
	if (text === null) return null;
	const [handed = '', signals = ''] = text.split('\n');
	const schema = object({
		handed: object({ format: number(), pid: number(), states: record(string(), unknown()) }),
		signals: array(object({ type: picklist(['signal.HUP', 'signal.TERM', 'signal.INT', 'signal.QUIT']) })),
	});
	const { success, output } = safeParse(schema, { handed: JSON.parse(handed), signals: JSON.parse(signals) });
	if (!success || !isHandoverFormat(output.handed.format) || output.handed.pid !== process.pid) {
		throw new Error('the handover of the previous program is not readable');
	}
	return { states: upcastSections(output.handed.states, output.handed.format), signals: output.signals };
}
