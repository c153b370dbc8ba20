/** Child processes as actors: each one spawned or adopted, signalled and missed. */
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

/** How long a process that was killed may take to be gone, in milliseconds: one may hang in the kernel. */
const longestDeath = 2000;

interface Living {
	child: number;
	pid: number;
	/** Null for our own child; a stranger is watched and signalled by it. */
	pidfd: number | null;
	/** Our own child: its orphans are given to us, and until it is reaped its number and its group's are nobody else's. */
	isOwn: boolean;
	/** Null for a process whose output could not be taken over. */
	output: Output | null;
	/** Those that it has left behind and that are waited for, held by pidfd; null while it lives itself. */
	group: Map<number, number> | null;
	/** So were its group, or those that it has left behind: who is found of them from then on is killed too. */
	wasKilled: boolean;
	/** The signal that it was told to leave by; null before. */
	told: string | null;
	/** Processes that are its for certain, by their start times: they say so no more when it has ended. */
	its: Map<number, number>;
	/** Its end failed a rotation: all that it has left behind are told, and killed. */
	hasFailed: boolean;
	/** Nobody waits for those that it has left behind: until when they may live, in milliseconds since boot; null otherwise. */
	abandonedUntil: number | null;
}

/** What nothing is known of yet. */
const newcomer = () =>
	({ group: null, told: null, hasFailed: false, abandonedUntil: null, its: new Map() }) satisfies Partial<Living>;

/** A process that an earlier program started. */
export interface Survivor extends Omit<Living, 'output' | 'group' | 'its' | 'hasFailed'> {
	hasFailed?: boolean;
	/** Pid and pidfd of each. */
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
	/** Children of a supervisor that was killed. Whoever is neither among them nor inherited is gone. */
	recovered: Survivor[];
	/** A child as it is known; null when it is gone. */
	known: (child: number) => ChildState | null;
	plan: () => Plan;
	/** Whether a child is not up yet, and its end fails a rotation. */
	isFailing: (child: number) => boolean;
	/** Every signal goes to all of a child's process group. */
	isGroup: boolean;
}

/** The children of one supervisor: the actor that makes them, and what becomes of them when they end. */
export function childrenOf({
	handoverState,
	recovered,
	lastOutput,
	known,
	plan,
	isFailing,
	isGroup,
	...birth
}: ChildrenOptions) {
	const { admit, log, outputs, spec, notifySockets, listeners } = birth;
	const survivors = handoverState.take(childrenSection) ?? recovered;
	const living = new Map<number, Living>();
	const find = survivorFinder({ run: spec.run, listeners: new Set(listeners.map(({ inode }) => inode)), log });
	/** Those whose first process has ended, while it is looked for who lives on. */
	const ending = new Map<Living, Promise<void>>();
	/** Told when nobody is left of those that nobody waits for. */
	let allGone = () => {};
	const revival = relistenOf(listeners, log);
	const births = birthsOf({ ...birth, relistenAll: revival.relistenAll, born });
	handoverState.leave(childrenSection, () => {
		const state: Survivor[] = [...living.values()].map(({ output: _, its: __, group, pidfd, ...rest }) => ({
			...rest,
			// That of a leader who has left is closed.
			pidfd: group ? null : pidfd,
			group: group && [...group],
		}));
		const fds = state.flatMap(({ pidfd, group }) => group?.map(([, fd]) => fd) ?? pidfd ?? []);
		return { state, fds };
	});

	const actor = fromCallback<ProcessCommand, ProcessInput>(({ input, receive }) => {
		if (input.adopted) adopt(input, input.adopted);
		else births.spawn(input);
		receive(({ signal }) => {
			for (const alive of living.values()) if (alive.child === input.child) tell(alive, signal);
		});
	});

	/** Known before it is told: what follows may be a signal to it. */
	function born({ child, pid, output, inode, program, directory }: Born) {
		keep({ ...newcomer(), child, pid, pidfd: null, isOwn: true, output, wasKilled: false });
		const { startTime = 0 } = lookUp(pid) ?? {};
		admit({ type: 'child.spawned', child, pid, startTime, pipe: inode, program, directory });
		notifySockets.receive(child, pid);
	}

	function adopt({ child, isOrphaned }: ProcessInput, pid: number): Living {
		const output = outputs.of(child);
		const survivor = survivors.find((each) => each.child === child) ?? whoIsGone(child, pid);
		const isOwn = survivor.isOwn && (isOrphaned || !isReaped(survivor));
		const group = isOrphaned ? new Map(survivor.group) : null;
		const alive = keep({ ...newcomer(), ...survivor, isOwn, output, group });
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

	function keep(alive: Living): Living {
		living.set(keyOf(alive), alive);
		return alive;
	}

	/** Logs a child's last output and tells its end. Orphans that were given to us are nobody's business. */
	function ended(exit: Exit) {
		births.ended(exit.pid);
		const gone = living.get(exit.pid);
		if (!gone) return;
		revival.tryToRelisten();
		notifySockets.forget(gone.child);
		// Its number may be another one's from now on; that of its group is its own as long as somebody is in it.
		living.delete(exit.pid);
		if (gone.isOwn && !gone.wasKilled) for (const [pid, startTime] of membersOf(gone.pid)) gone.its.set(pid, startTime);
		const told = leftOf(gone)
			.finally(() => ending.delete(gone))
			.then((others) => reportEnd(exit, gone, others));
		ending.set(gone, told);
	}

	function reportEnd(exit: Exit, gone: Living, others: SurvivingProcesses) {
		const { survivors, holders } = others;
		gone.hasFailed = isFailing(gone.child);
		gone.output?.finish(survivors.length > 0);
		// Held before it is told: what follows may be a signal to them.
		const group = new Map<number, number>();
		if (survivors.length > 0) {
			gone.group = group;
			keep(gone);
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
		reportDoubtful(gone, group, holders);
		watch(gone, group, group);
		// They may have ended meanwhile, and left others behind.
		if (group.size === 0) void follow(gone, group);
	}

	/** Who lives on of a child whose first process has ended. */
	async function leftOf(gone: Living): Promise<SurvivingProcesses> {
		const { child, pid, isOwn, its, wasKilled, group } = gone;
		const leader = { child, pid, startTime: known(child)?.startTime ?? null };
		for (const member of group?.keys() ?? []) its.set(member, lookUp(member)?.startTime ?? 0);
		const all = [...living.values(), ...ending.keys()].filter((each) => each !== gone);
		const others = new Set([
			...births.pids(),
			...all.flatMap((each) => (each.group ? [...each.group.keys()] : each.pid)),
			...all.flatMap(({ its }) => [...its].flatMap(([pid, began]) => (lookUp(pid)?.startTime === began ? pid : []))),
		]);
		const othersBegan = all.flatMap((each) => known(each.child)?.startTime ?? []);
		return find(leader, { its, others, othersBegan, wasKilled, hasOurOrphans: isOwn });
	}

	/** Of one that was not told to leave those that hold a listener are told now, and not waited for; of a version that fails, all. */
	function awaitedFor({ child, hasFailed }: Living, others: SurvivingProcesses): number[] {
		const before = known(child);
		const wasTold = before !== null && isLeaving(before);
		const seen = others.holders.flatMap(({ pid, fds }) => (fds.length > 0 ? pid : []));
		if (wasTold) return awaitedOf(others, plan(), isNoGood(before));
		return hasFailed ? others.survivors : seen;
	}

	/** @returns those of them that were not held, and live */
	function hold(group: Map<number, number>, pids: number[]): Map<number, number> {
		const added = new Map<number, number>();
		for (const pid of pids) {
			if (group.has(pid)) continue;
			const pidfd = heldBy(pid);
			if (pidfd === null) continue;
			group.set(pid, pidfd);
			added.set(pid, pidfd);
		}
		return added;
	}

	/** Those of which can't be seen what they hold are told, once, and not waited for: they may be no servers. */
	function reportDoubtful(gone: Living, group: ReadonlyMap<number, number>, holders: Holder[]) {
		const pids = holders.flatMap(({ pid, fds }) => (fds.length === 0 && !group.has(pid) ? pid : []));
		const doubtful = hold(new Map(), pids);
		if (doubtful.size > 0) tell({ ...gone, group: doubtful }, gone.told ?? plan().drain);
		closeAll([...doubtful.values()]);
	}

	function heldBy(pid: number): number | null {
		try {
			return openPidfd(pid, lookUp(pid)?.startTime ?? 0);
		} catch (error) {
			log.say('error', `${pid}, left behind by a child, can't be waited for: ${(error as Error).message}`);
			return null;
		}
	}

	/** Waits until nobody is left of those that one has left behind. */
	function watch(gone: Living, group: Map<number, number>, watched: ReadonlyMap<number, number>) {
		for (const [pid, pidfd] of watched) {
			onEnd(pidfd, () => {
				group.delete(pid);
				void follow(gone, group);
			});
		}
	}

	/** Others may have been started meanwhile, and are told what those before them were told. */
	async function follow(gone: Living, group: Map<number, number>) {
		const others = await leftOf(gone);
		// Somebody else has found that nobody is left.
		if (living.get(keyOf(gone)) !== gone) return;
		const added = hold(group, awaitedFor(gone, others));
		if (added.size > 0) tell({ ...gone, group: added }, gone.wasKilled ? 'KILL' : (gone.told ?? plan().drain));
		watch(gone, group, added);
		if (group.size === 0) over(gone);
	}

	function over(gone: Living) {
		revival.tryToRelisten();
		living.delete(keyOf(gone));
		if (known(gone.child)) admit({ type: 'group.gone', child: gone.child });
		if (!isAnyAbandoned()) allGone();
	}

	/** Nobody waits for those that a child has left behind; where they hold a listener they are told, and killed when that is in vain. */
	function abandon(child: number) {
		const gone = [...living.values()].find((each) => each.child === child && each.group !== null);
		if (!gone) return;
		const isKnown = gone.abandonedUntil !== null;
		gone.abandonedUntil ??= bootClock() + longestKillTimeout;
		if (!isKnown) tell(gone, plan().drain);
		setTimeout(
			() => {
				if (!gone.group || gone.group.size === 0) return;
				log.say('warn', `${[...gone.group.keys()].join(', ')}, left behind by ${gone.pid}, still there; killing`);
				tell(gone, 'KILL');
			},
			Math.max(0, gone.abandonedUntil - bootClock()),
		).unref();
	}

	function tell(alive: Living, signal: string) {
		if (signal !== 'KILL') alive.told = signal;
		// When it has ended, some of them may not say any more whose they are.
		if (alive.group === null) for (const [pid, startTime] of descendantsOf(alive.pid)) alive.its.set(pid, startTime);
		try {
			send(alive, signal, isGroup);
		} catch (error) {
			log.say('error', `Could not send SIG${signal} to ${alive.pid}: ${(error as Error).message}`);
		}
	}

	function isAnyAbandoned(): boolean {
		return [...living.values()].some(({ abandonedUntil }) => abandonedUntil !== null);
	}

	/** At the end of the supervisor: nothing of its children is left on its sockets. @returns when that is so, or was waited for long enough */
	function abandonedGone(): Promise<void> {
		if (!isAnyAbandoned()) return Promise.resolve();
		const ends = [...living.values()].map(({ abandonedUntil }) => abandonedUntil ?? 0);
		return new Promise((resolve) => {
			allGone = resolve;
			setTimeout(resolve, Math.max(...ends) - bootClock() + longestDeath);
		});
	}

	/** Of a child whose first process has ended, and whose end is not told yet: when it is; else null. */
	function endOf(child: number): Promise<void> | null {
		for (const [gone, told] of ending) if (gone.child === child) return told;
		return null;
	}

	/** Null of a child that is gone. */
	function pidOf(child: number): number | null {
		for (const alive of living.values()) if (alive.child === child && alive.group === null) return alive.pid;
		return null;
	}

	/** Of a child that was to come up: its pid, if it is stopped. */
	function stoppedPid(child: number): number | null {
		const pid = pidOf(child);
		return pid !== null && lookUp(pid)?.isStopped ? pid : null;
	}

	// Those of an earlier program of whom nobody knows any more.
	for (const survivor of survivors) {
		if (!survivor.group || known(survivor.child)) continue;
		const group = new Map(survivor.group);
		const gone = keep({ ...newcomer(), ...survivor, output: null, group });
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
		isSettled: () => births.isSettled() && ending.size === 0,
	};
}

/** Its pid; of one that has left others behind, whose number may be another one's by now, its own number below zero. */
function keyOf({ child, pid, group }: Pick<Living, 'child' | 'pid' | 'group'>): number {
	return group === null ? pid : -child;
}

/** A child that has ended while there was no supervisor. */
function whoIsGone(child: number, pid: number): Survivor {
	return { child, pid, pidfd: null, isOwn: false, wasKilled: false, group: null, told: null, abandonedUntil: null };
}

/** A child of ours that an earlier program has reaped, and not told of. */
function isReaped({ pid, pidfd }: Survivor): boolean {
	if (pidfd !== null) return false;
	const found = lookAt(pid);
	return found === 'gone' || (typeof found === 'object' && found.parent !== process.pid);
}

/** Only a parent learns how a process ended. */
function unknownEnd(pid: number): Exit {
	return { pid, code: null, signal: null, status: 1 };
}
