/** Prepares this process for execve(2) of the next program. */
import { statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { type EventObject, fromCallback } from 'xstate';
import type { ExternalEvent } from '../../machines/facts/facts.ts';
import type { Outputs } from '../children/output.ts';
import { forgetDirectory } from '../children/startedFrom.ts';
import type { Sink } from '../log/sink.ts';
import { inTime, isLate, lateText, start } from '../os/boundedReads.ts';
import { withDebuggerFlag } from '../os/debugger.ts';
import { findCommand } from '../os/findCommand.ts';
import { commandLine } from '../os/rawArgv.ts';
import type { SpawnSpec } from '../os/spawn.ts';
import { becomeProgram } from './handover.ts';
import type { HandoverState } from './handoverState.ts';

/** Interval at which `isSettled` is checked again, in milliseconds. */
const settling = 5;

/**
 * Limits for the log flush and for pending spawns, in milliseconds. A spawned process has 5 s for its execve(2), so
 * the second limit is longer.
 */
const [flushTimeoutMs, longestSettling] = [5000, 6000];

export interface ReplacementOptions {
	handoverState: HandoverState;
	outputs: Outputs;
	sink: Sink;
	/** The directory for relative program paths, by its logical path. */
	directory: string;
	/** Whether every spawned process has completed its execve(2), and every exit is recorded. */
	isSettled: () => boolean;
}

/**
 * Stops reading child output, waits until the output read so far is written, and replaces this program.
 * @returns the reason if the replacement fails; child output is then unread until `outputs.resume()`
 */
export async function replaceProgram({
	handoverState,
	outputs,
	sink,
	directory,
	isSettled,
}: ReplacementOptions): Promise<Error> {
	try {
		const late = await programAnswers(directory);
		if (late !== null) throw new Error(late);
		do {
			outputs.hold();
			if (!(await sink.flush(flushTimeoutMs))) throw new Error('nobody reads the log');
			for (let waited = 0; !isSettled(); waited += settling) {
				if (waited >= longestSettling) throw new Error('a child has not become its program');
				await setTimeout(settling);
			}
			// libuv reads several signals at once from its pipe and dispatches them one by one. An execve(2) would
			// lose those not dispatched yet. In the phase of the loop after setImmediate there are none.
			await setImmediate();
		} while (!sink.isIdle() || !isSettled() || outputs.isEnding());
		followDirectory(directory);
		const { path, args } = nextProgram(directory);
		return becomeProgram(handoverState, path, [commandLine()[0] ?? path, ...args]);
	} catch (error) {
		return error as Error;
	}
}

/** The handover as an actor. It admits an event only if the handover fails. */
export function handoverActor(admit: (external: ExternalEvent) => void, options: ReplacementOptions) {
	return fromCallback<EventObject, void>(() => {
		void replaceProgram(options).then(({ message }) => {
			options.outputs.resume();
			admit({ type: 'upgrade.failed', reason: message });
		});
	});
}

/** Looks up the program that this process was started as, and its arguments. @throws {Error} */
export function nextProgram(directory: string): Pick<SpawnSpec, 'path' | 'args' | 'directory'> {
	const [name = '', ...rest] = commandLine();
	const path = findCommand(name, process.env.PATH ?? '');
	return { path, args: withDebuggerFlag(rest, isOwnProgram(path)), directory };
}

/** Whether the path leads to the file that this process runs. */
function isOwnProgram(path: string | Buffer): boolean {
	try {
		const [there, here] = [statSync(path), statSync('/proc/self/exe')];
		return there.dev === here.dev && there.ino === here.ino;
	} catch {
		return false;
	}
}

/**
 * Checks in the pool that the file systems of the next program and of its directory answer.
 * @returns a sentence if one does not; null if all do, also if the program is not found
 */
export async function programAnswers(directory: string): Promise<string | null> {
	const [name = ''] = commandLine().map(String);
	const folders = name.includes('/') ? [] : (process.env.PATH ?? '').split(':');
	const programs = name.includes('/') ? [name] : folders.map((folder) => `${folder || '.'}/${name}`);
	for (const path of [directory, ...programs]) {
		const looked = await inTime(path, start, () => stat(path).catch(() => null));
		if (isLate(looked)) return lateText(path, looked);
	}
	return null;
}

/** If the directory was removed, the working directory stays as it is, and the program is looked up from there. */
function followDirectory(directory: string) {
	try {
		process.chdir(directory);
		// If the replacement fails after this, the supervisor continues in the new directory.
		forgetDirectory();
	} catch {
		// The logical path leads nowhere, and there is no other.
	}
}
