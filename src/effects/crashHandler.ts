/** When something inside goes wrong: the supervisor must never be up and deaf. */
import type { Log } from './log/log.ts';
import type { Sink } from './log/sink.ts';
import { bootClock } from './os/clock.ts';
import { signalProcess } from './os/kill.ts';

/** Put in by a test's build: where an error is to be thrown. */
declare const SOCKETMASTER_FAULTS: boolean;

/** When the last fault was, in milliseconds since boot: it goes with the process from program to program. */
export const faultVariable = 'SOCKETMASTER_FAULT';

/** A fault so soon after the last one is not met by another try, in milliseconds. */
const tooSoon = 60_000;

/** How long the last output may take, in milliseconds. */
const flushTimeoutMs = 1000;

export interface CrashHandlerOptions {
	log: Log;
	sink: Sink;
	/** Has the next program take over; resolves with why it could not. */
	replace: () => Promise<Error>;
}

/**
 * What to do about an error that nobody expected: it is said once, with its stack, and the program replaces itself
 * once. Where that fails, or it happens again within a minute, it ends by SIGKILL, as a crash: a manager starts it
 * anew, and the journal brings everything back. The children notice neither.
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

/** In a build for tests, throws where a variable says so: once, or each time where another one says that. */
export function failpoint(where: string): void {
	if (!SOCKETMASTER_FAULTS || process.env.SOCKETMASTER_FAULT_AT !== where) return;
	if (!process.env.SOCKETMASTER_FAULT_AGAIN) delete process.env.SOCKETMASTER_FAULT_AT;
	throw new Error(`a fault at ${where}`);
}
