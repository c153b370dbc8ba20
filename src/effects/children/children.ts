/** Child processes as actors: spawns or adopts each child, signals it and reports its exit. */
import { array, boolean, nullable, number, object, optional, string, tuple } from 'valibot';
import { type CallbackActorLogic, fromCallback } from 'xstate';
import type { ProcessCommand, ProcessInput } from '../../machines/charts/protocol.ts';
import type { Plan } from '../../machines/facts/facts.ts';
import type { ChildState } from '../../machines/state/supervisorState.ts';
import { onEnd } from '../os/pidfd.ts';
import { lookAt, lookUp } from '../os/proc.ts';
import type { Exit } from '../os/wait.ts';
import { relistenOf } from '../sockets/relisten.ts';
import { type HandoverState, section } from '../upgrade/handoverState.ts';
import { addressInUseHint } from './addressInUse.ts';
import type { LastOutput } from './lastOutput.ts';
import { descendantsOf, membersOf } from './leftBehind.ts';
import { send } from './signalChild.ts';
import { type Births, type BirthsOptions, type Born, birthsOf } from './spawnChild.ts';
import { SurvivingGroups } from './survivingGroups.ts';
import { type SurvivingProcesses, survivorFinder } from './survivingProcesses.ts';
import { survivorSearch } from './survivorSearch.ts';
import { initialState, type SavedChild, type TrackedChild, TrackedChildren } from './trackedChildren.ts';

/** A process that an earlier supervisor program started. */
export interface Survivor extends Omit<SavedChild, 'hasFailed'> {
	hasFailed?: boolean;
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
export function childrenOf(options: ChildrenOptions): Children {
	return new Children(options);
}

class Children {
	readonly #options: ChildrenOptions;
	/** Left by an earlier supervisor program. */
	readonly #survivors: Survivor[];
	readonly #tracked = new TrackedChildren();
	readonly #find: ReturnType<typeof survivorFinder>;
	/** Children whose leader has exited, while the search for surviving processes runs. */
	readonly #ending = new Map<TrackedChild, Promise<void>>();
	readonly #relistening: ReturnType<typeof relistenOf>;
	readonly #spawner: Births;
	readonly #groups: SurvivingGroups;
	readonly abandon: SurvivingGroups['abandon'];
	readonly abandonedGone: SurvivingGroups['abandonedGone'];

	constructor(options: ChildrenOptions) {
		const { handoverState, recovered, listeners, log, spec, admit, known, plan } = options;
		this.#options = options;
		this.#survivors = handoverState.restore(childrenSection) ?? recovered;
		this.#find = survivorFinder({ run: spec.run, listeners: new Set(listeners.map(({ inode }) => inode)), log });
		this.#relistening = relistenOf(listeners, log);
		const { relistenAll, tryToRelisten } = this.#relistening;
		this.#spawner = birthsOf({ ...options, relistenAll, born: (child) => this.#born(child) });
		this.#groups = new SurvivingGroups({
			admit,
			log,
			known,
			plan,
			tracked: this.#tracked,
			findSurvivors: (gone) => this.#findSurvivors(gone),
			sendSignal: (alive, signal) => this.#sendSignal(alive, signal),
			tryToRelisten,
		});
		this.abandon = this.#groups.abandon;
		this.abandonedGone = this.#groups.abandonedGone;
		handoverState.save(childrenSection, () => this.#tracked.saved());
		// Surviving processes of an earlier supervisor program, whose child is no longer in the state.
		for (const survivor of this.#survivors) {
			if (!survivor.group || known(survivor.child)) continue;
			const group = new Map(survivor.group);
			const gone = this.#tracked.add({ ...initialState(), ...survivor, output: null, group });
			this.#groups.watch(gone, group);
			this.abandon(survivor.child);
			// The last of them exited while the state was saved, and what it left was not searched for yet.
			if (group.size === 0) void this.#groups.follow(gone, group);
		}
	}

	readonly actor: CallbackActorLogic<ProcessCommand, ProcessInput> = fromCallback(({ input, receive }) => {
		if (input.adopted) this.#adopt(input, input.adopted);
		else this.#spawner.spawn(input);
		receive(({ signal }) => {
			for (const alive of this.#tracked.all()) if (alive.child === input.child) this.#sendSignal(alive, signal);
		});
	});

	/** The child is registered before its event is admitted: the event may cause a signal to the child. */
	#born({ child, pid, output, inode, program, directory }: Born): void {
		const { admit, notifySockets } = this.#options;
		this.#tracked.add({ ...initialState(), child, pid, pidfd: null, isOwn: true, output, wasKilled: false });
		const { startTime = 0 } = lookUp(pid) ?? {};
		admit({ type: 'child.spawned', child, pid, startTime, pipe: inode, program, directory });
		notifySockets.receive(child, pid);
	}

	#adopt({ child, isOrphaned }: ProcessInput, pid: number): void {
		const { outputs, notifySockets } = this.#options;
		const output = outputs.of(child);
		const survivor = this.#survivors.find((each) => each.child === child) ?? exitedChild(child, pid);
		const isOwn = survivor.isOwn && (isOrphaned || !isReaped(survivor));
		const group = isOrphaned ? new Map(survivor.group) : null;
		const alive = this.#tracked.add({ ...initialState(), ...survivor, isOwn, output, group });
		if (group) {
			notifySockets.forget(child);
			this.#groups.watch(alive, group);
			void this.#groups.follow(alive, group);
			return;
		}
		notifySockets.receive(child, pid);
		if (!isOwn && survivor.pidfd === null) this.ended(unknownEnd(pid));
		else if (survivor.pidfd !== null) onEnd(survivor.pidfd, () => this.ended(unknownEnd(pid)));
	}

	/**
	 * Finds the surviving processes of a child that has exited, then reports the exit. Exits of reparented orphans are
	 * ignored.
	 */
	readonly ended = (exit: Exit): void => {
		this.#spawner.ended(exit.pid);
		const gone = this.#tracked.byPid(exit.pid);
		if (!gone) return;
		this.#relistening.tryToRelisten();
		this.#options.notifySockets.forget(gone.child);
		// The kernel may reuse the pid from now on. The process group id stays reserved while the group has members.
		this.#tracked.remove(gone);
		if (gone.isOwn && !gone.wasKilled) for (const [pid, startTime] of membersOf(gone.pid)) gone.its.set(pid, startTime);
		const reported = this.#findSurvivors(gone)
			.finally(() => this.#ending.delete(gone))
			.then((others) => this.#reportEnd(exit, gone, others));
		this.#ending.set(gone, reported);
	};

	#reportEnd(exit: Exit, gone: TrackedChild, others: SurvivingProcesses): void {
		const { admit, isFailing, lastOutput, listeners, outputs } = this.#options;
		const { survivors, holders } = others;
		gone.hasFailed = isFailing(gone.child);
		gone.output?.finish(survivors.length > 0);
		// The pidfds are opened before the event is admitted: the event may cause a signal to these processes.
		const group = survivors.length > 0 ? this.#groups.begin(gone, others) : null;
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
		if (group) this.#groups.followUp(gone, group, holders);
	}

	/** Finds the surviving processes of a child whose leader has exited. */
	async #findSurvivors(gone: TrackedChild): Promise<SurvivingProcesses> {
		const others = [...this.#tracked.all(), ...this.#ending.keys()].filter((each) => each !== gone);
		const surroundings = { others, pending: this.#spawner.pids(), known: this.#options.known };
		const { leader, search } = survivorSearch(gone, surroundings);
		return this.#find(leader, search);
	}

	#sendSignal(alive: TrackedChild, signal: string): void {
		if (signal !== 'KILL') alive.told = signal;
		// After the leader exits, /proc may not show that these processes belong to the child.
		if (alive.group === null) for (const [pid, startTime] of descendantsOf(alive.pid)) alive.its.set(pid, startTime);
		try {
			send(alive, signal, this.#options.isGroup);
		} catch (error) {
			this.#options.log.say('error', `Could not send SIG${signal} to ${alive.pid}: ${(error as Error).message}`);
		}
	}

	/** If the leader has exited and the exit is not reported yet: resolves after the report. Else null. */
	readonly endOf = (child: number): Promise<void> | null => {
		for (const [gone, reported] of this.#ending) if (gone.child === child) return reported;
		return null;
	};

	/** The pid of the leader; null after it has exited. */
	readonly pidOf = (child: number): number | null => this.#tracked.running(child)?.pid ?? null;

	/** The pid of a child that is to become ready, if the process is stopped by a signal; else null. */
	readonly stoppedPid = (child: number): number | null => {
		const pid = this.pidOf(child);
		return pid !== null && lookUp(pid)?.isStopped ? pid : null;
	};

	readonly isSettled = (): boolean => this.#spawner.isSettled() && this.#ending.size === 0;
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
