/** What the commands that ask a supervisor share: whom they ask, and how they end. */
import { NoAnswer } from '../effects/control/client.ts';
import { findControl, Several } from '../effects/control/find.ts';
import { harmless } from '../effects/terminal/format.ts';
import { leaveWhatHangs } from '../effects/terminal/leaving.ts';
import { readCommand } from './command.ts';
import { version } from './version.ts';

/** What was asked for: done, failed, wrong usage, nobody answers, out of time. */
export const exits = { done: 0, failed: 1, usage: 2, nobody: 3, late: 4 } as const;

/** A command that sends requests to a supervisor. @param work gets the command line, and returns the exit status */
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

/** A command's failure, as a sentence and a status. */
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

/** Runs a command to its end, whatever that is. */
async function runToEnd(work: () => Promise<number>): Promise<void> {
	// Whatever ends before it has said how has not done what was asked for.
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

/** @throws {NoAnswer | Several} */
export async function controlOf(named: unknown): Promise<string> {
	if (named === '')
		throw new CommandError('invalid value "" for flag -control: a path or a name is wanted', exits.usage);
	return findControl(named === undefined ? undefined : String(named), process.env);
}

/** A number of milliseconds; null where none is given. @throws {CommandError} */
export function millisOf(flag: string, value: unknown, least: number): number | null {
	if (value === undefined) return null;
	const text = String(value);
	const number = Number(text);
	if (!/^\d+$/.test(text) || !Number.isSafeInteger(number) || number < least) {
		throw new CommandError(`invalid value "${text}" for flag -${flag}: milliseconds are wanted`, exits.usage);
	}
	return number;
}

/** Aborted when the time is over; never where there is no limit. */
export function limitOf(timeout: number | null): AbortSignal | undefined {
	return timeout === null ? undefined : AbortSignal.timeout(Math.min(timeout, 2 ** 31 - 1));
}

/** The sentence of an answer that is an error. */
export function errorOf(body: unknown): string {
	const { error } = (body ?? {}) as { error?: unknown };
	return typeof error === 'string' ? harmless(error) : 'it answers what makes no sense';
}
