/** A wait, as an actor. */
import { type EventObject, fromCallback } from 'xstate';
import type { TimerInput } from '../../machines/charts/protocol.ts';
import type { ExternalEvent } from '../../machines/facts/facts.ts';
import { bootClock } from './clock.ts';

/** What setTimeout takes at most; a longer wait is taken in turns. */
const longest = 2 ** 31 - 1;

export interface TimerOptions {
	admit: (external: ExternalEvent) => void;
	/** Of a child whose process has ended, and whose end is not told yet: when it is. */
	endOf: (child: number) => Promise<void> | null;
	/** Of a child that was to come up: its pid, if it is stopped. */
	stoppedPid: (child: number) => number | null;
	/** Takes what a child has said in time and we, who were away or stopped, have not heard. */
	receiveNow: (child: number) => void;
	/** What a child that is late has printed last, and said in vain. */
	printedBy: (child: number) => { lastOutput?: string[]; ignored?: string };
}

/**
 * Tells `timer.elapsed` (or that a child which was to come up is found stopped) when the wait is over, at once when it was over
 * already, never when it is for ever. It is counted on a clock that is never set, so that it goes on where it was after an
 * upgrade or a crash.
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
			const { child, timer } = input;
			const end = endOf(child);
			// It came first.
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
