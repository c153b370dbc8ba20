/** One program becomes the next: the same pid, the same children, the same sockets. */

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

/** Counted up when a program could misread what another one hands over. */
export const handoverFormat = 6;

/** Whether this program can take over a handover of that format. */
export function isHandoverFormat(format: number): boolean {
	return format >= oldestHandoverFormat && format <= handoverFormat;
}

const variable = 'SOCKETMASTER_HANDOVER';

export interface Handover {
	/** What each effect left, by its name. */
	states: Record<string, unknown>;
	/** Signals that came too late for the program before. */
	signals: Request[];
}

/**
 * Replaces this program by another in the same process. Does not return.
 * @throws {SyscallError} when that can't be done; then nothing has changed
 */
export function becomeProgram(handoverState: HandoverState, path: string | Buffer, argv: (string | Buffer)[]): never {
	const { states, fds } = handoverState.collect();
	const memory = newMemfd(`${JSON.stringify({ format: handoverFormat, pid: process.pid, states })}\n`);
	// Node has marked what it inherited close-on-exec, 0 to 2 too.
	const kept = [0, 1, 2, memory, ...fds];
	const args = stringArray(argv);
	const environment = stringArray(variablesOf({ ...ownVariables(), [variable]: String(memory) }));
	let unread: Request[] = [];
	let ownSignals = () => {};
	try {
		for (const fd of kept) setKept(fd, true);
		// The last thing before execve(2): what comes later meets a program that is starting.
		const pipes = loopPipes();
		ownSignals = disownSignals();
		unread = unreadSignals(pipes);
		append(memory, JSON.stringify(unread));
		call('execve', cString(path), args.pointers, environment.pointers);
		throw new Error('execve returned');
	} catch (error) {
		ownSignals();
		// Before anybody is told: whoever is spawned then has none of them.
		for (const fd of fds) sealIfOpen(fd);
		closeSync(memory);
		raiseAgain(unread);
		throw error;
	}
}

/** One that was no fd any more may be why the handover has failed. */
function sealIfOpen(fd: number) {
	try {
		setKept(fd, false);
	} catch (error) {
		if (!(error instanceof SyscallError) || error.code !== 'EBADF') throw error;
	}
}

/** What the program before this one in the same process has left, once; null for a first program. @throws {Error} */
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
		throw new Error('what the program before has left makes no sense');
	}
	return { states: upcastSections(output.handed.states, output.handed.format), signals: output.signals };
}
