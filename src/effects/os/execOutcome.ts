/**
 * The outcome of execve(2) in a started process. A failure arrives as an errno on a pipe; a success closes the pipe.
 */
import { closeSync, readSync } from 'node:fs';
import { onceReadable, SyscallError } from './libc.ts';

/** null if execve(2) succeeded. */
export type Outcome = SyscallError | null;

export interface ExecOutcome {
	/** The process that executes the program; execve(2) keeps the pid. */
	pid: number;
	/** Blocks until the outcome is known. Call after `onKnown` has fired, or after the process has exited. */
	outcome: () => Outcome;
	/** Calls `known` once, when the outcome is known. */
	onKnown: (known: () => void) => void;
}

/**
 * @param answer the read end of the pipe; `outcome` closes it
 * @param errnoOf decodes the errno from the bytes in the pipe
 */
export function execOutcomeOf(pid: number, answer: number, errnoOf: (report: Buffer) => number): ExecOutcome {
	let known: Outcome | undefined;
	let cancel = () => {};

	function outcome(): Outcome {
		if (known !== undefined) return known;
		cancel();
		const report = Buffer.alloc(16);
		const length = readSync(answer, report);
		closeSync(answer);
		known = length === 0 ? null : new SyscallError('execve', errnoOf(report.subarray(0, length)));
		return known;
	}

	function onKnown(callback: () => void) {
		cancel = onceReadable(answer, callback);
	}

	return { pid, outcome, onKnown };
}
