/** Processes of children of an earlier supervisor that has been killed, as those children have been: they serve until a generation is up. */
import { array, boolean, number, object, optional, tuple } from 'valibot';
import type { Fact, Plan } from '../../machines/facts/facts.ts';
import { longestKillTimeout } from '../../machines/rules/killTimeout.ts';
import type { Log } from '../log/log.ts';
import { onEnd, openPidfd, signalPidfd } from '../os/pidfd.ts';
import { lookUp } from '../os/proc.ts';
import { type HandoverState, section } from '../upgrade/handoverState.ts';

/** How long one that was killed may take to be gone, in milliseconds. */
const longestDeath = 2000;

const nobody = { living: [], wereTold: false };

/** Pid and start time of each. An earlier program leaves nothing of the kind. */
export const orphansSection = section('orphans', () =>
	optional(object({ living: array(tuple([number(), number()])), wereTold: boolean() }), nobody),
);

export interface OrphansOptions {
	/** Found by a start after a crash. */
	pids: number[];
	handoverState: HandoverState;
	log: Pick<Log, 'say'>;
	drain: Plan['drain'];
}

/** They are told to leave when the first generation is up, or a stop begins, and killed when that is in vain. */
export function orphanKeeper({ pids, handoverState, log, drain }: OrphansOptions) {
	const inherited = handoverState.take(orphansSection) ?? nobody;
	const living = new Map<number, { pidfd: number; startTime: number }>();
	let wereTold = false;
	/** Told when nobody is left. */
	let allGone = () => {};
	handoverState.leave(orphansSection, () => ({
		state: { living: [...living].map(([pid, { startTime }]) => [pid, startTime]), wereTold },
		fds: [],
	}));
	const found = pids.map((pid) => [pid, lookUp(pid)?.startTime ?? 0] as [number, number]);
	for (const [pid, startTime] of [...found, ...inherited.living]) hold(pid, startTime);
	if (inherited.wereTold) killInTime();

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

	function tell(name: string) {
		for (const [pid, { pidfd }] of living) {
			try {
				signalPidfd(pidfd, name);
			} catch (error) {
				log.say('error', `Could not send SIG${name} to ${pid}: ${(error as Error).message}`);
			}
		}
	}

	function killInTime() {
		wereTold = true;
		setTimeout(() => tell('KILL'), longestKillTimeout).unref();
	}

	function note({ type }: Fact) {
		if (wereTold || living.size === 0 || (type !== 'generation.promoted' && type !== 'stop.begun')) return;
		const those = [...living.keys()].join(', ');
		const then = `SIGKILL after ${longestKillTimeout / 1000} s`;
		log.say('warn', `Sending SIG${drain} to ${those}, which an earlier supervisor has left, and ${then}`);
		tell(drain);
		tell('CONT');
		killInTime();
	}

	/** At the end of the supervisor: nothing of them is left on its sockets, where they were told. */
	function gone(): Promise<void> {
		if (!wereTold || living.size === 0) return Promise.resolve();
		return new Promise((resolve) => {
			allGone = resolve;
			setTimeout(resolve, longestKillTimeout + longestDeath);
		});
	}

	return { note, gone };
}
