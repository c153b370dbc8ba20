/** Reports children that still drain, because old generations can accumulate unnoticed. */

import type { Fact } from '../../machines/facts/facts.ts';
import type { SupervisorState } from '../../machines/state/supervisorState.ts';
import { duration } from '../../machines/text/duration.ts';
import { bootClock } from '../os/clock.ts';
import type { Log } from './log.ts';

const [second, minute, hour] = [1000, 60_000, 3_600_000];

export interface DrainReminderOptions {
	log: Pick<Log, 'say'>;
	state: () => SupervisorState | null;
	/** Whether each child accepts new connections, by pid; null if that is unknown. */
	accepting: (pids: number[]) => Promise<ReadonlyMap<number, boolean | null>>;
}

/** Logs a warning if a child still runs 10 s, 1 min and each full hour after it received the stop signal. */
export function drainReminder({ log, state, accepting }: DrainReminderOptions) {
	let pending: NodeJS.Timeout | null = null;
	let seen = bootClock();

	/** Only facts after which a child drains start the timer. */
	function note({ type }: Fact) {
		if (type === 'child.signalled' || type === 'supervisor.recovered') wait();
	}

	function wait() {
		if (pending) clearTimeout(pending);
		pending = null;
		const now = bootClock();
		const next = Math.min(...draining().map(({ clock }) => clock + dueAfter(seen - clock) - now));
		if (next === Number.POSITIVE_INFINITY) return;
		pending = setTimeout(remind, Math.max(0, next));
		pending.unref();
	}

	function remind() {
		pending = null;
		const now = bootClock();
		const due = draining().filter(({ clock }) => dueAfter(seen - clock) <= now - clock);
		seen = now;
		void say(due, now);
		wait();
	}

	async function say(due: { pid: number | null; clock: number }[], now: number) {
		const looked = await accepting(due.flatMap(({ pid }) => pid ?? []));
		const left = due
			.filter((each) => draining().some(({ pid }) => pid === each.pid))
			.map((each) => ({ ...each, isAccepting: looked.get(each.pid ?? 0) === true }));
		if (left.length === 0) return;
		const names = left.map(
			({ pid, clock, isAccepting }) =>
				`${pid} (told ${duration(now - clock)} ago${isAccepting ? ', still accepts' : ''})`,
		);
		const signal = state()?.plan.drain ?? '';
		const hint = left.some(({ isAccepting }) => isAccepting)
			? `; a server that leaves stops accepting: does this one leave on SIG${signal} (-signal)?`
			: '';
		log.say('warn', `Still draining: ${names.join(', ')}${hint}`);
	}

	function draining() {
		return (state()?.children ?? []).flatMap(({ phase, pid, clock }) =>
			phase === 'draining' && clock !== null ? [{ pid, clock }] : [],
		);
	}

	return { note };
}

/**
 * When the next warning is due, in milliseconds since the drain began.
 * @param passed how long the drain had taken at the last check, in milliseconds
 */
function dueAfter(passed: number): number {
	if (passed < 10 * second) return 10 * second;
	if (passed < minute) return minute;
	return (Math.floor(passed / hour) + 1) * hour;
}
