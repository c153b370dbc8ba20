/** Child processes as actors: spawns or adopts each child, signals it and reports its exit. */
import { array, boolean, nullable, number, object, optional, string, tuple } from 'valibot';
import { fromCallback } from 'xstate';
import type { ProcessCommand, ProcessInput } from '../../machines/charts/protocol.ts';
import type { Holder, Plan } from '../../machines/facts/facts.ts';
import { longestKillTimeout } from '../../machines/rules/killTimeout.ts';
import { awaitedOf, type ChildState, isLeaving, isNoGood } from '../../machines/state/supervisorState.ts';
import { bootClock } from '../os/clock.ts';
import { closeAll } from '../os/descriptors.ts';
import { onEnd, openPidfd } from '../os/pidfd.ts';
import { lookAt, lookUp } from '../os/proc.ts';
import type { Exit } from '../os/wait.ts';
import { relistenOf } from '../sockets/relisten.ts';
import { type HandoverState, section } from '../upgrade/handoverState.ts';
import { addressInUseHint } from './addressInUse.ts';
import type { LastOutput } from './lastOutput.ts';
import { descendantsOf, membersOf } from './leftBehind.ts';
import type { Output } from './output.ts';
import { send } from './signalChild.ts';
import { type BirthsOptions, type Born, birthsOf } from './spawnChild.ts';
import { type SurvivingProcesses, survivorFinder } from './survivingProcesses.ts';

/** After SIGKILL a process may take this long to exit, in milliseconds: it may be blocked in the kernel. */
const killedExitMs = 2000;

interface TrackedChild {
	child: number;
	pid: number;
	/** Null for a direct child. A non-child process is watched and signalled by its pidfd. */
	pidfd: number | null;
	/**
	 * A direct child: its orphans are reparented to the supervisor. Until the supervisor reaps it, the kernel reuses
	 * neither its pid nor its process group id.
	 */
	isOwn: boolean;
	/** Null if the output pipe could not be taken over. */
	output: Output | null;
	/** The surviving processes that are waited for, pidfd by pid. Null while the leader runs. */
	group: Map<number, number> | null;
	/**
	 * SIGKILL was sent to it and its process group, or to its surviving processes. Surviving processes that are found
	 * later are killed too.
	 */
	wasKilled: boolean;
	/** The last signal, other than SIGKILL, that was sent to it; null before the first. */
	told: string | null;
	/**
	 * Processes that certainly belong to the child: start time by pid, in clock ticks since boot. They are recorded
	 * early: /proc may not show the relation after the leader exits.
	 */
	its: Map<number, number>;
	/** Its exit failed a rotation: all its surviving processes are signalled, and killed if they do not exit. */
	hasFailed: boolean;
	/**
	 * Set when no slot waits for the surviving processes: they are killed at this time, in milliseconds since boot.
	 * Else null.
	 */
	abandonedUntil: number | null;
}

const initialState = () =>
	({ group: null, told: null, hasFailed: false, abandonedUntil: null, its: new Map() }) satisfies Partial<TrackedChild>;

/** A process that an earlier supervisor program started. */
export interface Survivor extends Omit<TrackedChild, 'output' | 'group' | 'its' | 'hasFailed'> {
	hasFailed?: boolean;
	/** Pid and pidfd of each surviving process. */
	group: [number, number][] | null;
}

export const childrenSection = section('children', () =>
	array(
		object({
			child: number(),
			pid: number(),
			pidfd: nullable(number()),
			isOwn: boolean(),
			wasKilled: boolean(),
			group: nullable(array(tuple([number(), number()]))),
			told: optional(nullable(string()), null),
			hasFailed: optional(boolean(), false),
			abandonedUntil: optional(nullable(number()), null),
		}),
	),
);

export interface ChildrenOptions extends Omit<BirthsOptions, 'relistenAll' | 'born'> {
	handoverState: HandoverState;
	lastOutput: LastOutput;
	/** Children of a supervisor that was killed. A child that is neither here nor in the handover state has exited. */
	recovered: Survivor[];
	/** The state of a child; null after it is gone. */
	known: (child: number) => ChildState | null;
	plan: () => Plan;
	/** Whether a child is not ready yet, and its exit fails a rotation. */
	isFailing: (child: number) => boolean;
	/** -group: every signal goes to all processes of a child's process group. */
	isGroup: boolean;
}

/** The children of one supervisor: the process actor, and the handling of each exit. */
export function childrenOf({
	handoverState,
	recovered,
	lastOutput,
	known,
	plan,
	isFailing,
	isGroup,
	...spawnOptions
}: ChildrenOptions) {
	const { admit, log, outputs, spec, notifySockets, listeners } = spawnOptions;
	const survivors = handoverState.restore(childrenSection) ?? recovered;
	const tracked = new Map<number, TrackedChild>();
	const find = survivorFinder({ run: spec.run, listeners: new Set(listeners.map(({ inode }) => inode)), log });
	/** Children whose leader has exited, while the search for surviving processes runs. */
	const ending = new Map<TrackedChild, Promise<void>>();
	/** Called when no abandoned surviving process is left. */
	let allGone = () => {};
	const relistening = relistenOf(listeners, log);
	const spawner = birthsOf({ ...spawnOptions, relistenAll: relistening.relistenAll, born });
	handoverState.save(childrenSection, () => {
		const state = [...tracked.values()].map(({ output: _, its: __, group, pidfd, ...rest }) => ({
			...rest,
			// The pidfd of a leader that has exited is closed.
			pidfd: group ? null : pidfd,
			group: group && [...group],
		}));
		const fds = state.flatMap(({ pidfd, group }) => group?.map(([, fd]) => fd) ?? pidfd ?? []);
		return { state, fds };
	});

	const actor = fromCallback<ProcessCommand, ProcessInput>(({ input, receive }) => {
		if (input.adopted) adopt(input, input.adopted);
		else spawner.spawn(input);
		receive(({ signal }) => {
			for (const alive of tracked.values()) if (alive.child === input.child) sendSignal(alive, signal);
		});
	});

	/** The child is registered before its event is admitted: the event may cause a signal to the child. */
	function born({ child, pid, output, inode, program, directory }: Born) {
		track({ ...initialState(), child, pid, pidfd: null, isOwn: true, output, wasKilled: false });
		const { startTime = 0 } = lookUp(pid) ?? {};
		admit({ type: 'child.spawned', child, pid, startTime, pipe: inode, program, directory });
		notifySockets.receive(child, pid);
	}

	function adopt({ child, isOrphaned }: ProcessInput, pid: number): TrackedChild {
		const output = outputs.of(child);
		const survivor = survivors.find((each) => each.child === child) ?? exitedChild(child, pid);
		const isOwn = survivor.isOwn && (isOrphaned || !isReaped(survivor));
		const group = isOrphaned ? new Map(survivor.group) : null;
		const alive = track({ ...initialState(), ...survivor, isOwn, output, group });
		if (group) {
			notifySockets.forget(child);
			watch(alive, group, group);
			void follow(alive, group);
			return alive;
		}
		notifySockets.receive(child, pid);
		if (!isOwn && survivor.pidfd === null) ended(unknownEnd(pid));
		else if (survivor.pidfd !== null) onEnd(survivor.pidfd, () => ended(unknownEnd(pid)));
		return alive;
	}

	function track(alive: TrackedChild): TrackedChild {
		tracked.set(keyOf(alive), alive);
		return alive;
	}

	/**
	 * Finds the surviving processes of a child that has exited, then reports the exit. Exits of reparented orphans are
	 * ignored.
	 */
	function ended(exit: Exit) {
		spawner.ended(exit.pid);
		const gone = tracked.get(exit.pid);
		if (!gone) return;
		relistening.tryToRelisten();
		notifySockets.forget(gone.child);
		// The kernel may reuse the pid from now on. The process group id stays reserved while the group has members.
		tracked.delete(exit.pid);
		if (gone.isOwn && !gone.wasKilled) for (const [pid, startTime] of membersOf(gone.pid)) gone.its.set(pid, startTime);
		const reported = findSurvivors(gone)
			.finally(() => ending.delete(gone))
			.then((others) => reportEnd(exit, gone, others));
		ending.set(gone, reported);
	}

	function reportEnd(exit: Exit, gone: TrackedChild, others: SurvivingProcesses) {
		const { survivors, holders } = others;
		gone.hasFailed = isFailing(gone.child);
		gone.output?.finish(survivors.length > 0);
		// The pidfds are opened before the event is admitted: the event may cause a signal to these processes.
		const group = new Map<number, number>();
		if (survivors.length > 0) {
			gone.group = group;
			track(gone);
			hold(group, awaitedFor(gone, others));
		}
		const printed = lastOutput.of(gone.child, outputs.unfinishedOf(gone.child));
		const hint = exit.status === 0 ? null : addressInUseHint(printed.lastOutput ?? [], listeners);
		admit({
			type: 'child.exited',
			child: gone.child,
			...exit,
			survivors,
			...(holders.length > 0 ? { holders } : {}),
			...printed,
			...(hint === null ? {} : { hint }),
		});
		lastOutput.forget(gone.child);
		if (survivors.length === 0) return;
		signalUncertain(gone, group, holders);
		watch(gone, group, group);
		// The surviving processes may have exited since, and may have left processes of their own.
		if (group.size === 0) void follow(gone, group);
	}

	/** Finds the surviving processes of a child whose leader has exited. */
	async function findSurvivors(gone: TrackedChild): Promise<SurvivingProcesses> {
		const { child, pid, isOwn, its, wasKilled, group } = gone;
		const leader = { child, pid, startTime: known(child)?.startTime ?? null };
		for (const member of group?.keys() ?? []) its.set(member, lookUp(member)?.startTime ?? 0);
		const all = [...tracked.values(), ...ending.keys()].filter((each) => each !== gone);
		const others = new Set([
			...spawner.pids(),
			...all.flatMap((each) => (each.group ? [...each.group.keys()] : each.pid)),
			...all.flatMap(({ its }) => [...its].flatMap(([pid, began]) => (lookUp(pid)?.startTime === began ? pid : []))),
		]);
		const othersBegan = all.flatMap((each) => known(each.child)?.startTime ?? []);
		return find(leader, { its, others, othersBegan, wasKilled, hasOurOrphans: isOwn });
	}

	/**
	 * The surviving processes to track. If the child was stopping, these are the processes that its slot waits for. If
	 * the child was not stopping, they are signalled now, and no slot waits for them. These are all processes if the
	 * exit failed a rotation, else those that hold a listener.
	 */
	function awaitedFor({ child, hasFailed }: TrackedChild, others: SurvivingProcesses): number[] {
		const before = known(child);
		const wasStopping = before !== null && isLeaving(before);
		const seen = others.holders.flatMap(({ pid, fds }) => (fds.length > 0 ? pid : []));
		if (wasStopping) return awaitedOf(others, plan(), isNoGood(before));
		return hasFailed ? others.survivors : seen;
	}

	/** @returns the processes that are alive and were not in the group before */
	function hold(group: Map<number, number>, pids: number[]): Map<number, number> {
		const added = new Map<number, number>();
		for (const pid of pids) {
			if (group.has(pid)) continue;
			const pidfd = pidfdOf(pid);
			if (pidfd === null) continue;
			group.set(pid, pidfd);
			added.set(pid, pidfd);
		}
		return added;
	}

	/**
	 * Signals, once, the processes whose fds can't be inspected. They may not be servers, so no slot waits for their
	 * exit.
	 */
	function signalUncertain(gone: TrackedChild, group: ReadonlyMap<number, number>, holders: Holder[]) {
		const pids = holders.flatMap(({ pid, fds }) => (fds.length === 0 && !group.has(pid) ? pid : []));
		const uncertain = hold(new Map(), pids);
		if (uncertain.size > 0) sendSignal({ ...gone, group: uncertain }, gone.told ?? plan().drain);
		closeAll([...uncertain.values()]);
	}

	function pidfdOf(pid: number): number | null {
		try {
			return openPidfd(pid, lookUp(pid)?.startTime ?? 0);
		} catch (error) {
			log.say('error', `${pid}, left behind by a child, can't be waited for: ${(error as Error).message}`);
			return null;
		}
	}

	/** Follows up on the exit of each watched surviving process. */
	function watch(gone: TrackedChild, group: Map<number, number>, watched: ReadonlyMap<number, number>) {
		for (const [pid, pidfd] of watched) {
			onEnd(pidfd, () => {
				group.delete(pid);
				void follow(gone, group);
			});
		}
	}

	/**
	 * New processes may have been started before the exit: they receive the signal that the earlier processes received.
	 */
	async function follow(gone: TrackedChild, group: Map<number, number>) {
		const others = await findSurvivors(gone);
		// A concurrent call has already reported that all surviving processes are gone.
		if (tracked.get(keyOf(gone)) !== gone) return;
		const added = hold(group, awaitedFor(gone, others));
		if (added.size > 0) sendSignal({ ...gone, group: added }, gone.wasKilled ? 'KILL' : (gone.told ?? plan().drain));
		watch(gone, group, added);
		if (group.size === 0) groupGone(gone);
	}

	function groupGone(gone: TrackedChild) {
		relistening.tryToRelisten();
		tracked.delete(keyOf(gone));
		if (known(gone.child)) admit({ type: 'group.gone', child: gone.child });
		if (!isAnyAbandoned()) allGone();
	}

	/**
	 * Signals the surviving processes of a child that no slot waits for. Processes that are still alive at the end of
	 * the longest kill timeout are killed.
	 */
	function abandon(child: number) {
		const gone = [...tracked.values()].find((each) => each.child === child && each.group !== null);
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
	}

	function sendSignal(alive: TrackedChild, signal: string) {
		if (signal !== 'KILL') alive.told = signal;
		// After the leader exits, /proc may not show that these processes belong to the child.
		if (alive.group === null) for (const [pid, startTime] of descendantsOf(alive.pid)) alive.its.set(pid, startTime);
		try {
			send(alive, signal, isGroup);
		} catch (error) {
			log.say('error', `Could not send SIG${signal} to ${alive.pid}: ${(error as Error).message}`);
		}
	}

	function isAnyAbandoned(): boolean {
		return [...tracked.values()].some(({ abandonedUntil }) => abandonedUntil !== null);
	}

	/**
	 * On exit of the supervisor: abandoned processes must not stay on the listeners.
	 * @returns when these processes are gone, or the time limit is over
	 */
	function abandonedGone(): Promise<void> {
		if (!isAnyAbandoned()) return Promise.resolve();
		const ends = [...tracked.values()].map(({ abandonedUntil }) => abandonedUntil ?? 0);
		return new Promise((resolve) => {
			allGone = resolve;
			setTimeout(resolve, Math.max(...ends) - bootClock() + killedExitMs);
		});
	}

	/** If the leader has exited and the exit is not reported yet: resolves after the report. Else null. */
	function endOf(child: number): Promise<void> | null {
		for (const [gone, reported] of ending) if (gone.child === child) return reported;
		return null;
	}

	/** The pid of the leader; null after it has exited. */
	function pidOf(child: number): number | null {
		for (const alive of tracked.values()) if (alive.child === child && alive.group === null) return alive.pid;
		return null;
	}

	/** The pid of a child that is to become ready, if the process is stopped by a signal; else null. */
	function stoppedPid(child: number): number | null {
		const pid = pidOf(child);
		return pid !== null && lookUp(pid)?.isStopped ? pid : null;
	}

	// Surviving processes of an earlier supervisor program, whose child is no longer in the state.
	for (const survivor of survivors) {
		if (!survivor.group || known(survivor.child)) continue;
		const group = new Map(survivor.group);
		const gone = track({ ...initialState(), ...survivor, output: null, group });
		watch(gone, group, group);
		abandon(survivor.child);
	}

	return {
		actor,
		ended,
		abandon,
		abandonedGone,
		endOf,
		pidOf,
		stoppedPid,
		isSettled: () => spawner.isSettled() && ending.size === 0,
	};
}

/** The pid while the leader runs. After that the pid may be reused, so the key is the negative child id. */
function keyOf({ child, pid, group }: Pick<TrackedChild, 'child' | 'pid' | 'group'>): number {
	return group === null ? pid : -child;
}

/** A child that exited while no supervisor ran. */
function exitedChild(child: number, pid: number): Survivor {
	return { child, pid, pidfd: null, isOwn: false, wasKilled: false, group: null, told: null, abandonedUntil: null };
}

/** Whether an earlier supervisor program reaped this direct child and did not report the exit. */
function isReaped({ pid, pidfd }: Survivor): boolean {
	if (pidfd !== null) return false;
	const found = lookAt(pid);
	return found === 'gone' || (typeof found === 'object' && found.parent !== process.pid);
}

/** Only the parent process receives the exit status. Status 1 stands for an unknown one. */
function unknownEnd(pid: number): Exit {
	return { pid, code: null, signal: null, status: 1 };
}
