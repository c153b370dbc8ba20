/** How this program makes room for the next. */
import { statSync } from 'node:fs';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { type EventObject, fromCallback } from 'xstate';
import type { ExternalEvent } from '../../machines/facts/facts.ts';
import type { Outputs } from '../children/output.ts';
import type { Sink } from '../log/sink.ts';
import { withDebuggerFlag } from '../os/debugger.ts';
import { findCommand } from '../os/findCommand.ts';
import { commandLine } from '../os/rawArgv.ts';
import type { SpawnSpec } from '../os/spawn.ts';
import { becomeProgram } from './handover.ts';
import type { HandoverState } from './handoverState.ts';

/** How long until it is asked again whether all children have their processes, in milliseconds. */
const settling = 5;

/** How long a log that nobody reads may hold it up, and a process that is about to become its program, which has 5 s; in milliseconds. */
const [flushTimeoutMs, longestSettling] = [5000, 6000];

export interface ReplacementOptions {
	handoverState: HandoverState;
	outputs: Outputs;
	sink: Sink;
	/** The directory that a relative path of the program is meant in, by its logical path. */
	directory: string;
	/** Whether every child has its process. */
	isSettled: () => boolean;
}

/**
 * Stops reading, waits until all that was read is written, and becomes the next program.
 * @returns only when that can't be done: why not. Nothing has changed then, but that nothing is read
 */
export async function replaceProgram({
	handoverState,
	outputs,
	sink,
	directory,
	isSettled,
}: ReplacementOptions): Promise<Error> {
	try {
		do {
			outputs.hold();
			if (!(await sink.flush(flushTimeoutMs))) throw new Error('nobody reads the log');
			for (let waited = 0; !isSettled(); waited += settling) {
				if (waited >= longestSettling) throw new Error('a child has not become its program');
				await setTimeout(settling);
			}
			// libuv reads several signals at a time and tells of them one by one: what it still has in its hands is lost with
			// it, and in this phase of its loop there is none.
			await setImmediate();
		} while (!sink.isIdle() || !isSettled() || outputs.isEnding());
		followDirectory(directory);
		const { path, args } = nextProgram(directory);
		return becomeProgram(handoverState, path, [commandLine()[0] ?? path, ...args]);
	} catch (error) {
		return error as Error;
	}
}

/** The handover as an actor; what it tells is that it failed. */
export function handoverActor(admit: (external: ExternalEvent) => void, options: ReplacementOptions) {
	return fromCallback<EventObject, void>(() => {
		void replaceProgram(options).then(({ message }) => {
			options.outputs.resume();
			admit({ type: 'upgrade.failed', reason: message });
		});
	});
}

/** The program that this one was started as, found anew, with its arguments. @throws {Error} */
export function nextProgram(directory: string): Pick<SpawnSpec, 'path' | 'args' | 'directory'> {
	const [name = '', ...words] = commandLine();
	const path = findCommand(name, process.env.PATH ?? '');
	return { path, args: withDebuggerFlag(words, isOwnProgram(path)), directory };
}

/** Whether a path leads to the file that this process runs. */
function isOwnProgram(path: string | Buffer): boolean {
	try {
		const [there, here] = [statSync(path), statSync('/proc/self/exe')];
		return there.dev === here.dev && there.ino === here.ino;
	} catch {
		return false;
	}
}

/** Where the directory is gone we stay: the program is looked for there. */
function followDirectory(directory: string) {
	try {
		process.chdir(directory);
	} catch {
		// It has no other name.
	}
}
