/** The new program checks itself before the present one makes room for it. */
import { closeSync, readSync } from 'node:fs';
import type { Observable } from 'rxjs';
import { type EventObject, fromCallback } from 'xstate';
import type { Happening } from '../../machines/facts.ts';
import { howItEnded } from '../log/sentences.ts';
import { closeAll, makePipe, reopenForReading } from '../os/descriptors.ts';
import { signalProcess } from '../os/kill.ts';
import { type SpawnSpec, spawnProcess } from '../os/spawn.ts';
import type { Exit } from '../os/wait.ts';
import { handoverFormat } from './handover.ts';

/** How long the new program may take to check itself, in milliseconds. */
const patience = 10_000;

/** Tells a program to check everything and start nothing; its value is the format that will be handed over. */
export const preflightVariable = 'SOCKETMASTER_PREFLIGHT';

export interface PreflightOptions {
	admit: (happening: Happening) => void;
	/** All processes that are reaped. */
	exits: Observable<Exit>;
	/** The new program with the present arguments. @throws {Error} when it is not to be found */
	program: () => Pick<SpawnSpec, 'path' | 'args' | 'directory'>;
}

/** Runs the new program once and tells whether it is sound, with its own words where it is not. */
export function preflightActor({ admit, exits, program }: PreflightOptions) {
	return fromCallback<EventObject, void>(() => {
		const refuse = (reason: string) => admit({ type: 'upgrade.refused', reason });
		let ends: number[] = [];
		try {
			ends = makePipe();
			const [read = -1, write = -1] = ends;
			const env = { ...process.env, [preflightVariable]: String(handoverFormat) };
			const pid = spawnProcess({ ...program(), env, fds: [0, write, write], user: null });
			const output = reopenForReading(read);
			closeAll(ends);
			let isLate = false;
			const limit = setTimeout(() => {
				isLate = true;
				signalProcess(pid, 'KILL');
			}, patience);
			const subscription = exits.subscribe((exit) => {
				if (exit.pid !== pid) return;
				subscription.unsubscribe();
				clearTimeout(limit);
				const said = readAll(output);
				if (isLate) refuse(`the new program took over ${patience / 1000} s to check itself`);
				else if (exit.status === 0) admit({ type: 'upgrade.verified' });
				else refuse(`the new program says: ${said || howItEnded(exit)}`);
			});
		} catch (error) {
			closeAll(ends);
			refuse((error as Error).message);
		}
	});
}

/** The last words in a pipe whose writer is gone, on one line. */
function readAll(fd: number): string {
	const buffer = Buffer.alloc(64 * 1024);
	let length = 0;
	try {
		length = readSync(fd, buffer);
	} catch {
		// Nothing was said.
	}
	closeSync(fd);
	return buffer
		.toString('utf8', 0, length)
		.trim()
		.replace(/\s*\n\s*/g, ' | ');
}
