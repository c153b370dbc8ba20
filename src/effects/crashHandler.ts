/** Handles internal errors. A supervisor that keeps running must also keep handling events. */
import type { Log } from './log/log.ts';
import type { Sink } from './log/sink.ts';
import { bootClock } from './os/clock.ts';
import { signalProcess } from './os/kill.ts';

/** Set by a test build; enables failpoints. */
declare const SOCKETMASTER_FAULTS: boolean;

/** Time of the last internal error, in milliseconds since boot. The variable survives the execve(2) of an upgrade. */
export const faultVariable = 'SOCKETMASTER_FAULT';

/**
 * After an internal error within this time of the last one, the supervisor does not replace itself again. In
 * milliseconds.
 */
const tooSoon = 60_000;

/** Limit for flushing the log before the supervisor kills itself, in milliseconds. */
const flushTimeoutMs = 1000;

export interface CrashHandlerOptions {
	log: Log;
	sink: Sink;
	/** Replaces this program by execve(2). Resolves with the error if the replacement fails. */
	replace: () => Promise<Error>;
}

/**
 * Handles an unexpected error. The handler logs the error once, with its stack, and replaces the program once.
 * If the replacement fails, or a second error follows within 60 s, the process kills itself with SIGKILL. The service
 * manager then sees a crash and restarts the supervisor, which recovers from the journal. The children keep running
 * in both cases.
 */
export function crashHandler({ log, sink, replace }: CrashHandlerOptions) {
	let isHandled = false;

	async function handle(error: unknown) {
		const [first = '', ...rest] = String((error as Error)?.stack ?? error).split('\n');
		log.say('error', `Internal error: ${first}`);
		for (const line of rest) log.say('error', line);
		const last = Number(process.env[faultVariable] ?? Number.NaN);
		if (bootClock() - last < tooSoon) return end('it happened within a minute of another one');
		process.env[faultVariable] = String(bootClock());
		log.say('error', 'The supervisor replaces itself; its children are not touched');
		end((await replace()).message);
	}

	async function end(why: string) {
		log.say('error', `The supervisor kills itself: ${why}; its children are not touched`);
		await sink.flush(flushTimeoutMs);
		signalProcess(process.pid, 'KILL');
	}

	function meet(error: unknown) {
		if (isHandled) return;
		isHandled = true;
		void handle(error).catch(() => signalProcess(process.pid, 'KILL'));
	}

	return { meet, wasMet: () => isHandled };
}

/**
 * In a test build, throws if SOCKETMASTER_FAULT_AT names this failpoint. It throws once, or every time if
 * SOCKETMASTER_FAULT_AGAIN is set.
 */
export function failpoint(where: string): void {
	if (!SOCKETMASTER_FAULTS || process.env.SOCKETMASTER_FAULT_AT !== where) return;
	if (!process.env.SOCKETMASTER_FAULT_AGAIN) delete process.env.SOCKETMASTER_FAULT_AT;
	throw new Error(`a fault at ${where}`);
}
