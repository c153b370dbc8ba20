/** A timer as an actor. */
import { type EventObject, fromCallback } from 'xstate';
import type { TimerInput } from '../../machines/charts/protocol.ts';
import type { ExternalEvent } from '../../machines/facts/facts.ts';
import { bootClock } from './clock.ts';

/** Maximum delay of setTimeout, in milliseconds; a longer wait uses several timeouts. */
const longest = 2 ** 31 - 1;

export interface TimerOptions {
	admit: (external: ExternalEvent) => void;
	/**
	 * If the leader of the child has exited and the exit is unreported: resolves when the exit is reported. Else null.
	 */
	endOf: (child: number) => Promise<void> | null;
	/** The pid of a booting child that is stopped; else null. */
	stoppedPid: (child: number) => number | null;
	/** Receives messages that the child sent in time, for example while the supervisor was stopped or upgraded. */
	receiveNow: (child: number) => void;
	/** The output tail of a late child, and the messages that the supervisor ignored. */
	printedBy: (child: number) => { lastOutput?: string[]; ignored?: string };
}

/**
 * Reports the end of a wait of `millis` milliseconds since `since`: `respawn.due`, `restart.due`, `bake.due` or
 * `timer.elapsed`.
 * If a booting child is stopped at that time, the report is `child.stopped`. A wait that is already over is reported
 * immediately; if `millis` is null, the wait never ends. No process can set the clock, so a wait continues correctly
 * after an upgrade or a crash.
 */
export function timerActor({ admit, endOf, stoppedPid, receiveNow, printedBy }: TimerOptions) {
	return fromCallback<EventObject, TimerInput>(({ input }) => {
		const { millis, since } = input;
		if (millis === null) return;
		const passed = since === null ? 0 : bootClock() - since;
		let left = millis - passed;
		let pending: NodeJS.Timeout;
		let isOver = false;
		const wait = () => {
			const turn = Math.min(Math.max(left, 0), longest);
			left -= turn;
			pending = setTimeout(left > 0 ? wait : elapsed, turn);
		};
		const elapsed = () => {
			if (isOver) return;
			if (input.timer === 'respawn') {
				return admit({ type: 'respawn.due', generation: input.generation, index: input.index });
			}
			if (input.timer === 'restart') return admit({ type: 'restart.due' });
			if (input.timer === 'bake') return admit({ type: 'bake.due' });
			const { child, timer } = input;
			const end = endOf(child);
			// The exit came before the end of the wait.
			if (end) return void end.then(elapsed);
			if (timer === 'boot') receiveNow(child);
			if (isOver) return;
			const pid = timer === 'boot' ? stoppedPid(child) : null;
			const last = timer === 'boot' ? printedBy(child) : {};
			if (pid === null) admit({ type: 'timer.elapsed', child, timer, ...last });
			else {
				const { ignored: _, ...printed } = last;
				admit({ type: 'child.stopped', child, pid, ...printed });
			}
		};
		wait();
		return () => {
			isOver = true;
			clearTimeout(pending);
		};
	});
}
