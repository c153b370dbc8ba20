/** The surviving processes of children whose leader has exited: holds, watches, signals and kills them. */
import type { ExternalEvent, Holder, Plan } from '../../machines/facts/facts.ts';
import { longestKillTimeout } from '../../machines/rules/killTimeout.ts';
import type { ChildState } from '../../machines/state/supervisorState.ts';
import type { Log } from '../log/log.ts';
import { bootClock } from '../os/clock.ts';
import { closeAll } from '../os/descriptors.ts';
import { onEnd, openPidfd } from '../os/pidfd.ts';
import { lookUp } from '../os/proc.ts';
import { awaitedSurvivors, uncertainHolders } from './awaitedSurvivors.ts';
import type { SurvivingProcesses } from './survivingProcesses.ts';
import type { TrackedChild, TrackedChildren } from './trackedChildren.ts';

/** After SIGKILL a process may take this long to exit, in milliseconds: it may be blocked in the kernel. */
const killedExitMs = 2000;

export interface SurvivingGroupsOptions {
	admit: (external: ExternalEvent) => void;
	log: Pick<Log, 'say'>;
	/** The state of a child; null after it is gone. */
	known: (child: number) => ChildState | null;
	plan: () => Plan;
	tracked: TrackedChildren;
	findSurvivors: (gone: TrackedChild) => Promise<SurvivingProcesses>;
	sendSignal: (alive: TrackedChild, signal: string) => void;
	/** Calls listen(2) on listeners that one of these processes has shut down. */
	tryToRelisten: () => void;
}

export class SurvivingGroups {
	readonly #options: SurvivingGroupsOptions;
	/** Called when no abandoned surviving process is left. */
	#allGone = () => {};

	constructor(options: SurvivingGroupsOptions) {
		this.#options = options;
	}

	/** Tracks the child again, and opens the pidfds of the surviving processes that are waited for. */
	begin(gone: TrackedChild, others: SurvivingProcesses): Map<number, number> {
		const group = new Map<number, number>();
		gone.group = group;
		this.#options.tracked.add(gone);
		this.#hold(group, this.#awaitedFor(gone, others));
		return group;
	}

	/** Call after the exit of the leader is reported. */
	followUp(gone: TrackedChild, group: Map<number, number>, holders: Holder[]): void {
		this.#signalUncertain(gone, group, holders);
		this.watch(gone, group);
		// The surviving processes may have exited since, and may have left processes of their own.
		if (group.size === 0) void this.follow(gone, group);
	}

	/**
	 * Follows up on the exit of each watched surviving process.
	 * @param watched the processes of the group to watch
	 */
	watch(gone: TrackedChild, group: Map<number, number>, watched: ReadonlyMap<number, number> = group): void {
		for (const [pid, pidfd] of watched) {
			onEnd(pidfd, () => {
				group.delete(pid);
				void this.follow(gone, group);
			});
		}
	}

	/**
	 * New processes may have been started before the exit: they receive the signal that the earlier processes received.
	 */
	async follow(gone: TrackedChild, group: Map<number, number>): Promise<void> {
		const { tracked, findSurvivors, sendSignal, plan } = this.#options;
		const others = await findSurvivors(gone);
		// A concurrent call has already reported that all surviving processes are gone.
		if (!tracked.has(gone)) return;
		const added = this.#hold(group, this.#awaitedFor(gone, others));
		if (added.size > 0) sendSignal({ ...gone, group: added }, gone.wasKilled ? 'KILL' : (gone.told ?? plan().drain));
		this.watch(gone, group, added);
		if (group.size === 0) this.#groupGone(gone);
	}

	/**
	 * Signals the surviving processes of a child that no slot waits for. Processes that are still alive at the end of
	 * the longest kill timeout are killed.
	 */
	readonly abandon = (child: number): void => {
		const { tracked, sendSignal, plan, log } = this.#options;
		const gone = tracked.exited(child);
		if (!gone) return;
		const isKnown = gone.abandonedUntil !== null;
		gone.abandonedUntil ??= bootClock() + longestKillTimeout;
		if (!isKnown) sendSignal(gone, plan().drain);
		setTimeout(
			() => {
				if (!gone.group || gone.group.size === 0) return;
				log.say('warn', `${[...gone.group.keys()].join(', ')}, left behind by ${gone.pid}, still there; killing`);
				sendSignal(gone, 'KILL');
			},
			Math.max(0, gone.abandonedUntil - bootClock()),
		).unref();
	};

	/**
	 * On exit of the supervisor: abandoned processes must not stay on the listeners.
	 * @returns when these processes are gone, or the time limit is over
	 */
	readonly abandonedGone = (): Promise<void> => {
		if (!this.#isAnyAbandoned()) return Promise.resolve();
		const ends = this.#options.tracked.all().map(({ abandonedUntil }) => abandonedUntil ?? 0);
		return new Promise((resolve) => {
			this.#allGone = resolve;
			setTimeout(resolve, Math.max(...ends) - bootClock() + killedExitMs);
		});
	};

	#awaitedFor({ child, hasFailed }: TrackedChild, others: SurvivingProcesses): number[] {
		return awaitedSurvivors(this.#options.known(child), hasFailed, others, this.#options.plan());
	}

	/** @returns the processes that are alive and were not in the group before */
	#hold(group: Map<number, number>, pids: number[]): Map<number, number> {
		const added = new Map<number, number>();
		for (const pid of pids) {
			if (group.has(pid)) continue;
			const pidfd = this.#pidfdOf(pid);
			if (pidfd === null) continue;
			group.set(pid, pidfd);
			added.set(pid, pidfd);
		}
		return added;
	}

	#pidfdOf(pid: number): number | null {
		try {
			return openPidfd(pid, lookUp(pid)?.startTime ?? 0);
		} catch (error) {
			const why = (error as Error).message;
			this.#options.log.say('error', `${pid}, left behind by a child, can't be waited for: ${why}`);
			return null;
		}
	}

	/**
	 * Signals, once, the processes whose fds can't be inspected. They may not be servers, so no slot waits for their
	 * exit.
	 */
	#signalUncertain(gone: TrackedChild, group: ReadonlyMap<number, number>, holders: Holder[]): void {
		const { sendSignal, plan } = this.#options;
		const uncertain = this.#hold(new Map(), uncertainHolders(holders, group));
		if (uncertain.size > 0) sendSignal({ ...gone, group: uncertain }, gone.told ?? plan().drain);
		closeAll([...uncertain.values()]);
	}

	#groupGone(gone: TrackedChild): void {
		const { tryToRelisten, tracked, known, admit } = this.#options;
		tryToRelisten();
		tracked.remove(gone);
		if (known(gone.child)) admit({ type: 'group.gone', child: gone.child });
		if (!this.#isAnyAbandoned()) this.#allGone();
	}

	#isAnyAbandoned(): boolean {
		return this.#options.tracked.all().some(({ abandonedUntil }) => abandonedUntil !== null);
	}
}
