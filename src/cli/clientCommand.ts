/** Shared by the client commands: the control socket to address, the exit statuses and the error messages. */
import { NoAnswer } from '../effects/control/client.ts';
import { findControl, Several } from '../effects/control/find.ts';
import { harmless } from '../effects/terminal/format.ts';
import { leaveWhatHangs } from '../effects/terminal/leaving.ts';
import { readCommand } from './command.ts';
import { version } from './version.ts';

/** Exit statuses: done, failed, wrong usage, no supervisor responds, timeout. */
export const exits = { done: 0, failed: 1, usage: 2, nobody: 3, late: 4 } as const;

/**
 * Makes a command that sends requests to a supervisor.
 * @param work receives the parsed command line, and resolves with the exit status
 */
export function clientCommand<T extends object>(
	work: (given: T) => Promise<number>,
): (words: string[]) => Promise<void> {
	return async (words) => {
		let given: T | undefined;
		const problem = readCommand(words, version, (line) => {
			given = line as unknown as T;
		});
		if (problem !== null) return fail(problem, exits.usage);
		const found = given;
		if (found) await runToEnd(() => work(found));
	};
}

/** The failure of a command: a sentence and an exit status. */
export class CommandError extends Error {
	readonly status: number;
	constructor(message: string, status: number) {
		super(message);
		this.status = status;
	}
}

function fail(sentence: string, status: number): void {
	process.stderr.write(`${sentence}\n`);
	process.exitCode = status;
}

/** Runs a command, and sets the exit status from its result or its error. */
async function runToEnd(work: () => Promise<number>): Promise<void> {
	// If the process exits before `work` has a result, the command has failed.
	process.exitCode = exits.failed;
	try {
		process.exitCode = await work();
	} catch (error) {
		if (error instanceof CommandError) return fail(error.message, error.status);
		if (error instanceof NoAnswer) return fail(error.message, exits.nobody);
		if (error instanceof Several) return fail(error.message, exits.usage);
		throw error;
	} finally {
		leaveWhatHangs(Number(process.exitCode));
	}
}

/**
 * Returns the path of the control socket.
 * @param named the value of -control; undefined if the flag is not given
 * @throws {CommandError | NoAnswer | Several}
 */
export async function controlOf(named: unknown): Promise<string> {
	if (named === '')
		throw new CommandError('invalid value "" for flag -control: a path or a name is wanted', exits.usage);
	return findControl(named === undefined ? undefined : String(named), process.env);
}

/**
 * Parses a number of milliseconds; null if the flag is not given.
 * @throws {CommandError} if it is invalid or below `least`
 */
export function millisOf(flag: string, value: unknown, least: number): number | null {
	if (value === undefined) return null;
	const text = String(value);
	const number = Number(text);
	if (!/^\d+$/.test(text) || !Number.isSafeInteger(number) || number < least) {
		throw new CommandError(`invalid value "${text}" for flag -${flag}: expected milliseconds`, exits.usage);
	}
	return number;
}

/** Returns a signal that aborts after `timeout` milliseconds; undefined if there is no limit. */
export function limitOf(timeout: number | null): AbortSignal | undefined {
	return timeout === null ? undefined : AbortSignal.timeout(Math.min(timeout, 2 ** 31 - 1));
}

/** The error message in the body of a response. */
export function errorOf(body: unknown): string {
	const { error } = (body ?? {}) as { error?: unknown };
	return typeof error === 'string' ? harmless(error) : 'it answers what makes no sense';
}
