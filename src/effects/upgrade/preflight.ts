/** The preflight check: the new program checks itself before it replaces the present one. */
import { closeSync, readSync } from 'node:fs';
import type { Observable } from 'rxjs';
import { number, object, record, safeParse, string, unknown } from 'valibot';
import { type EventObject, fromCallback } from 'xstate';
import type { ExternalEvent } from '../../machines/facts/facts.ts';
import { howItEnded } from '../../machines/text/sentences.ts';
import { oldestHandoverFormat, upcastSections } from '../journal/upcast.ts';
import { closeAll, makePipe, reopenForReading } from '../os/descriptors.ts';
import { newRun } from '../os/ids.ts';
import { signalProcess } from '../os/kill.ts';
import { ownVariables } from '../os/rawArgv.ts';
import { type SpawnSpec, spawnProcess } from '../os/spawn.ts';
import type { Exit } from '../os/wait.ts';
import { handoverFormat, isHandoverFormat } from './handover.ts';
import { checkSections, type HandoverState } from './handoverState.ts';
import { newMemfd, readMemfd } from './memfd.ts';

/** Time limit for the check, in milliseconds. */
const checkTimeoutMs = 10_000;

/**
 * Limits for the output of the new program in an error message, in characters: longer lines are omitted, and only the
 * end of the text is shown.
 */
const [longestLine, longestAnswer] = [300, 1000];

const variable = 'SOCKETMASTER_PREFLIGHT';

export interface PreflightOptions {
	admit: (external: ExternalEvent) => void;
	/** The exits of all reaped processes. */
	exits: Observable<Exit>;
	handoverState: HandoverState;
	/** The new program with the present arguments. @throws {Error} if the program is not found */
	program: () => Pick<SpawnSpec, 'path' | 'args' | 'directory'>;
	/** Whether the file systems of program and directory answer: a sentence if one does not, else null. */
	answers: () => Promise<string | null>;
}

/**
 * Runs the new program once and reports whether it can take over; if not, the report includes its output. The new
 * program receives the handover state and must print the token in it. An empty or truncated program file can exit
 * with status 0, but cannot print the token.
 */
export function preflightActor({ admit, exits, handoverState, program, answers }: PreflightOptions) {
	return fromCallback<EventObject, void>(() => {
		let isCancelled = false;
		let cancel = () => {};
		void check();
		return () => {
			isCancelled = true;
			cancel();
		};

		function refuse(reason: string) {
			admit({ type: 'upgrade.refused', reason });
		}

		async function check() {
			// What follows runs on the event loop, and the spawn waits for execve(2).
			const late = await answers();
			if (isCancelled) return;
			if (late !== null) return refuse(late);
			try {
				cancel = run();
			} catch (error) {
				refuse((error as Error).message);
			}
		}

		/** @returns a function that kills the new program @throws {Error} if it can't be run; then nothing is left of it */
		function run(): () => void {
			const token = newRun();
			const { states } = handoverState.collect();
			const offer = newMemfd(JSON.stringify({ format: handoverFormat, token, states }));
			const fds = [offer];
			let pid: number | null = null;
			try {
				const [read, write] = makePipe();
				fds.push(read, write);
				const env = { ...ownVariables(), [variable]: '3' };
				pid = spawnProcess({ ...program(), env, fds: [0, write, write, offer] });
				const output = reopenForReading(read);
				closeAll(fds);
				return awaitAnswer(pid, output, token);
			} catch (error) {
				closeAll(fds);
				if (pid !== null) signalProcess(pid, 'KILL');
				throw error;
			}
		}

		function awaitAnswer(pid: number, output: number, token: string): () => void {
			let isLate = false;
			const limit = setTimeout(() => {
				isLate = true;
				signalProcess(pid, 'KILL');
			}, checkTimeoutMs);
			const subscription = exits.subscribe((exit) => {
				if (exit.pid !== pid) return;
				subscription.unsubscribe();
				clearTimeout(limit);
				const said = readAll(output);
				if (isLate) refuse(`the new program took over ${checkTimeoutMs / 1000} s to check itself`);
				else if (exit.status === 0 && said.endsWith(token)) admit({ type: 'upgrade.verified' });
				else refuse(`the new program says: ${said || `nothing (${howItEnded(exit)})`}`);
			});
			return () => {
				if (subscription.closed) return;
				subscription.unsubscribe();
				clearTimeout(limit);
				closeSync(output);
				signalProcess(pid, 'KILL');
			};
		}
	});
}

/**
 * Runs in the new program: checks the offered handover state if the preflight variable is set.
 * @param check further checks; throws if one fails
 * @returns the text to print, and whether the check passed; null if this start is not a preflight check
 */
export async function answerPreflight(
	check: () => Promise<void>,
): Promise<{ answer: string; isSound: boolean } | null> {
	try {
		const text = readMemfd(variable);
		if (text === null) return null;
		const schema = object({ format: number(), token: string(), states: record(string(), unknown()) });
		const { success, output } = safeParse(schema, JSON.parse(text));
		if (!success || !isHandoverFormat(output.format)) {
			const { format } = JSON.parse(text);
			throw new Error(
				`it takes over formats ${oldestHandoverFormat} to ${handoverFormat}, and would be given format ${format}: to change to it, stop and start`,
			);
		}
		await check();
		checkSections(upcastSections(output.states, output.format));
		return { answer: output.token, isSound: true };
	} catch (error) {
		return { answer: (error as Error).message, isSound: false };
	}
}

/** Reads the output from a pipe whose writer has exited, and joins its lines into one. */
function readAll(fd: number): string {
	const buffer = Buffer.alloc(64 * 1024);
	let length = 0;
	try {
		length = readSync(fd, buffer);
	} catch {
		// The process printed nothing.
	}
	closeSync(fd);
	// Omit long lines: Node prints the source line of an error, which is no message.
	const lines = buffer
		.toString('utf8', 0, length)
		.split('\n')
		.map((line) => line.trim());
	return lines
		.filter((line) => line !== '' && line.length <= longestLine)
		.join(' | ')
		.slice(-longestAnswer);
}
