/** The new program checks itself before the present one makes room for it. */
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

/** How long the new program may take to check itself, in milliseconds. */
const checkTimeoutMs = 10_000;

/** What a program says of itself is shown so far, in characters. */
const [longestLine, longestAnswer] = [300, 1000];

const variable = 'SOCKETMASTER_PREFLIGHT';

export interface PreflightOptions {
	admit: (external: ExternalEvent) => void;
	/** All processes that are reaped. */
	exits: Observable<Exit>;
	handoverState: HandoverState;
	/** The new program with the present arguments. @throws {Error} when it is not to be found */
	program: () => Pick<SpawnSpec, 'path' | 'args' | 'directory'>;
}

/**
 * Runs the new program once and tells whether it is sound, with its own words where it is not. It is given what would
 * be handed over, and has to answer with the token in it: a program that is empty, or cut off, ends in silence.
 */
export function preflightActor({ admit, exits, handoverState, program }: PreflightOptions) {
	return fromCallback<EventObject, void>(() => {
		const refuse = (reason: string) => admit({ type: 'upgrade.refused', reason });
		let fds: number[] = [];
		try {
			const token = newRun();
			const { states } = handoverState.collect();
			const offer = newMemfd(JSON.stringify({ format: handoverFormat, token, states }));
			fds = [offer];
			const [read, write] = makePipe();
			fds.push(read, write);
			const env = { ...ownVariables(), [variable]: '3' };
			const pid = spawnProcess({ ...program(), env, fds: [0, write, write, offer] });
			const output = reopenForReading(read);
			closeAll(fds);
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
		} catch (error) {
			closeAll(fds);
			refuse((error as Error).message);
		}
		return;
	});
}

/**
 * In the new program: checks what it is offered, where it is asked to.
 * @param check what else can be wrong with it; throws
 * @returns what it answers, and whether it is sound; null when nobody asks
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

/** The last output in a pipe whose writer is gone, on one line. */
function readAll(fd: number): string {
	const buffer = Buffer.alloc(64 * 1024);
	let length = 0;
	try {
		length = readSync(fd, buffer);
	} catch {
		// Nothing was said.
	}
	closeSync(fd);
	// A line of code that it stumbled over is not what it says.
	const lines = buffer
		.toString('utf8', 0, length)
		.split('\n')
		.map((line) => line.trim());
	return lines
		.filter((line) => line !== '' && line.length <= longestLine)
		.join(' | ')
		.slice(-longestAnswer);
}
