/**
 * Processes that children of an earlier supervisor have left behind. If no child lived, these processes serve until a
 * generation is ready. If a generation serves, they are what a lost child or a failed generation left: they are
 * stopped at once, as the earlier supervisor would have stopped them.
 */
import { array, boolean, number, object, optional, tuple } from 'valibot';
import type { Fact, Plan } from '../../machines/facts/facts.ts';
import { longestKillTimeout } from '../../machines/rules/killTimeout.ts';
import { whoServes } from '../../machines/state/whoServes.ts';
import type { Log } from '../log/log.ts';
import { onEnd, openPidfd, signalPidfd } from '../os/pidfd.ts';
import { lookUp } from '../os/proc.ts';
import { type HandoverState, section } from '../upgrade/handoverState.ts';

/** After SIGKILL a process may take this long to exit, in milliseconds. */
const killedExitMs = 2000;

const noOrphans = { living: [], wereTold: false };

/** Pid and start time of each process. The section is missing in the handover state of an older version. */
export const orphansSection = section('orphans', () =>
	optional(object({ living: array(tuple([number(), number()])), wereTold: boolean() }), noOrphans),
);

export interface OrphansOptions {
	/** Found by a start after a crash. */
	pids: number[];
	handoverState: HandoverState;
	log: Pick<Log, 'say'>;
	drain: Plan['drain'];
}

/**
 * Sends the stop signal to these processes when a generation serves or a stop begins. Processes that are
 * still alive after the longest kill timeout are killed.
 */
export function orphanKeeper({ pids, handoverState, log, drain }: OrphansOptions) {
	const inherited = handoverState.restore(orphansSection) ?? noOrphans;
	const living = new Map<number, { pidfd: number; startTime: number }>();
	let wereSignalled = false;
	/** Called when no process is left. */
	let allGone = () => {};
	handoverState.save(orphansSection, () => ({
		state: {
			living: [...living].map(([pid, { startTime }]): [number, number] => [pid, startTime]),
			wereTold: wereSignalled,
		},
		fds: [],
	}));
	const found = pids.map((pid) => [pid, lookUp(pid)?.startTime ?? 0] as [number, number]);
	for (const [pid, startTime] of [...found, ...inherited.living]) hold(pid, startTime);
	if (inherited.wereTold) scheduleKill();

	function hold(pid: number, startTime: number) {
		try {
			const pidfd = openPidfd(pid, startTime);
			if (pidfd === null) return;
			living.set(pid, { pidfd, startTime });
			onEnd(pidfd, () => {
				living.delete(pid);
				if (living.size === 0) allGone();
			});
		} catch (error) {
			log.say(
				'error',
				`${pid}, which an earlier supervisor has left, can't be waited for: ${(error as Error).message}`,
			);
		}
	}

	function signalAll(name: string) {
		for (const [pid, { pidfd }] of living) {
			try {
				signalPidfd(pidfd, name);
			} catch (error) {
				log.say('error', `Could not send SIG${name} to ${pid}: ${(error as Error).message}`);
			}
		}
	}

	function scheduleKill() {
		wereSignalled = true;
		setTimeout(() => signalAll('KILL'), longestKillTimeout).unref();
	}

	function note(fact: Fact) {
		if (wereSignalled || living.size === 0 || !isTheirEnd(fact)) return;
		const those = [...living.keys()].join(', ');
		const then = `SIGKILL after ${longestKillTimeout / 1000} s`;
		log.say('warn', `Sending SIG${drain} to ${those}, which an earlier supervisor has left, and ${then}`);
		signalAll(drain);
		signalAll('CONT');
		scheduleKill();
	}

	/**
	 * On exit of the supervisor: processes that were signalled must not stay on the listeners. Resolves when they are
	 * gone, or after a time limit.
	 */
	function gone(): Promise<void> {
		if (!wereSignalled || living.size === 0) return Promise.resolve();
		return new Promise((resolve) => {
			allGone = resolve;
			setTimeout(resolve, longestKillTimeout + killedExitMs);
		});
	}

	return { note, gone };
}

/** Whether a generation serves from now on, or a stop begins. */
function isTheirEnd(fact: Fact): boolean {
	if (fact.type === 'supervisor.recovered') return whoServes(fact.state) !== null;
	return fact.type === 'generation.promoted' || fact.type === 'stop.begun';
}
