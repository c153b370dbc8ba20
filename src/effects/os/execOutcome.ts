/** A process that is to become a program, and says through a pipe where it can't: execve(2) closes it without a word. */
import { closeSync, readSync } from 'node:fs';
import { onceReadable, SyscallError } from './libc.ts';

/** How it went: null where it became the program. */
export type Outcome = SyscallError | null;

export interface ExecOutcome {
	/** Of the process, which is to become the program. */
	pid: number;
	/** How it went: to be asked only when it is known, or when the process has ended. */
	outcome: () => Outcome;
	/** Told once, when it is known how it went. */
	onKnown: (known: () => void) => void;
}

/**
 * @param answer the end of its pipe that we read, which is closed then
 * @param errnoOf the number of the error that it has said
 */
export function execOutcomeOf(pid: number, answer: number, errnoOf: (said: Buffer) => number): ExecOutcome {
	let known: Outcome | undefined;
	let cancel = () => {};

	function outcome(): Outcome {
		if (known !== undefined) return known;
		cancel();
		const said = Buffer.alloc(16);
		const length = readSync(answer, said);
		closeSync(answer);
		known = length === 0 ? null : new SyscallError('execve', errnoOf(said.subarray(0, length)));
		return known;
	}

	function onKnown(told: () => void) {
		cancel = onceReadable(answer, told);
	}

	return { pid, outcome, onKnown };
}
