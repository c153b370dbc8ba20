/** Child processes as actors: each one spawned or adopted, signalled and missed. */
import { array, boolean, nullable, number, object, tuple } from 'valibot';
import { fromCallback } from 'xstate';
import type { ProcessCommand, ProcessInput } from '../../machines/childMessages.ts';
import { isGroup } from '../os/kill.ts';
import { onEnd, openPidfd } from '../os/pidfd.ts';
import { environmentOf, lookUp, othersInGroup } from '../os/proc.ts';
import type { Exit } from '../os/wait.ts';
import { revivalOf } from '../sockets/revival.ts';
import { type Inheritance, part } from '../upgrade/inheritance.ts';
import { type BirthsOptions, type Born, birthsOf } from './birth.ts';
import type { LastWords } from './lastWords.ts';
import type { Output } from './output.ts';
import { send } from './send.ts';

interface Living {
	child: number;
	pid: number;
	/** Null for our own child; a stranger is watched and signalled by it. */
	pidfd: number | null;
	/** Our own child: until it is reaped, and looked after at once, its number and its group's are nobody else's. */
	isOwn: boolean;
	/** Null for a process whose output could not be taken over. */
	output: Output | null;
	/** Others of its process group that outlive it, held by pidfd; null while it lives itself. */
	group: Map<number, number> | null;
	/** So was its group: who is in it still is just ending. */
	wasKilled: boolean;
}

/** A process that an earlier program started. */
export interface Survivor extends Omit<Living, 'output' | 'group'> {
	/** Pid and pidfd of each. */
	group: [number, number][] | null;
}

const childrenPart = part('children', () =>
	array(
		object({
			child: number(),
			pid: number(),
			pidfd: nullable(number()),
			isOwn: boolean(),
			wasKilled: boolean(),
			group: nullable(array(tuple([number(), number()]))),
		}),
	),
);

export interface ChildrenOptions extends Omit<BirthsOptions, 'revive' | 'born'> {
	inheritance: Inheritance;
	lastWords: LastWords;
	/** Children of a supervisor that was killed. Whoever is neither among them nor inherited is gone. */
	recovered: Survivor[];
}

/** The children of one supervisor: the actor that makes them, and what becomes of them when they end. */
export function childrenOf({ inheritance, recovered, lastWords, ...birth }: ChildrenOptions) {
	const { admit, log, outputs, spec, words, listeners } = birth;
	const survivors = inheritance.take(childrenPart) ?? recovered;
	const living = new Map<number, Living>();
	const revival = revivalOf(listeners, log);
	const births = birthsOf({ ...birth, revive: revival.revive, born });
	inheritance.leave(childrenPart, () => {
		const state: Survivor[] = [...living.values()].map(({ output, group, pidfd, ...rest }) => ({
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
			for (const alive of living.values()) {
				if (alive.child !== input.child) continue;
				try {
					send(alive, signal);
				} catch (error) {
					log.say('error', `Could not send SIG${signal} to ${alive.pid}: ${(error as Error).message}`);
				}
			}
		});
	});

	/** Known before it is told: what follows may be a signal to it. */
	function born({ child, pid, output, inode }: Born) {
		keep({ child, pid, pidfd: null, isOwn: true, output, group: null, wasKilled: false });
		admit({ type: 'child.spawned', child, pid, startTime: lookUp(pid)?.startTime ?? 0, pipe: inode });
		words.hear(child, pid);
	}

	function adopt({ child, isLingering }: ProcessInput, pid: number): Living {
		const output = outputs.of(child);
		const survivor = survivors.find((each) => each.child === child) ?? whoIsGone(child, pid);
		const isOwn = survivor.isOwn && (isLingering || !isReaped(survivor));
		const alive = keep({ ...survivor, isOwn, output, group: null });
		if (isLingering) words.forget(child);
		else words.hear(child, pid);
		if (isLingering) watchGroup(alive, new Map(survivor.group));
		else if (!isOwn && survivor.pidfd === null) ended(unknownEnd(pid));
		else if (survivor.pidfd !== null) onEnd(survivor.pidfd, () => ended(unknownEnd(pid)));
		return alive;
	}

	function keep(alive: Living): Living {
		living.set(alive.pid, alive);
		return alive;
	}

	/** Logs a child's last words and tells its end. Orphans that were given to us as PID 1 are nobody's business. */
	function ended(exit: Exit) {
		births.ended(exit.pid);
		const gone = living.get(exit.pid);
		if (!gone) return;
		revival.tryToRevive();
		const left = !gone.wasKilled && isGroup(exit.pid) ? membersOf(gone) : [];
		gone.output?.finish(left.length > 0);
		words.forget(gone.child);
		if (left.length === 0) living.delete(exit.pid);
		admit({
			type: 'child.exited',
			child: gone.child,
			...exit,
			left,
			...lastWords.of(gone.child, outputs.unfinishedOf(gone.child)),
		});
		lastWords.forget(gone.child);
		if (left.length > 0) watchGroup(gone);
	}

	/** Waits until nobody is left of a group whose leader has left. Some are held already. */
	function watchGroup(gone: Living, group = new Map<number, number>()) {
		gone.group = group;
		for (const pid of membersOf(gone)) {
			if (group.has(pid)) continue;
			const pidfd = openPidfd(pid, lookUp(pid)?.startTime ?? 0);
			if (pidfd !== null) group.set(pid, pidfd);
		}
		if (group.size === 0) {
			revival.tryToRevive();
			living.delete(gone.pid);
			admit({ type: 'group.gone', child: gone.child });
		}
		for (const [pid, pidfd] of group) {
			onEnd(pidfd, () => {
				group.delete(pid);
				// Others may have been started meanwhile.
				if (group.size === 0) watchGroup(gone);
			});
		}
	}

	/**
	 * Who lives in a child's group, besides itself. The number of another one's that has ended may be a stranger's by now:
	 * its members have to say whose they are.
	 */
	function membersOf({ pid, isOwn }: Living): number[] {
		const word = `SOCKETMASTER_RUN=${spec.run}`;
		return othersInGroup(pid).filter((other) => isOwn || environmentOf(other).includes(word));
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

	return { actor, ended, pidOf, stoppedPid, isSettled: births.isSettled };
}

/** A child that has ended while there was no supervisor. */
function whoIsGone(child: number, pid: number): Survivor {
	return { child, pid, pidfd: null, isOwn: false, wasKilled: false, group: null };
}

/** A child of ours that an earlier program has reaped, and not told of. */
function isReaped({ pid, pidfd }: Survivor): boolean {
	return pidfd === null && lookUp(pid)?.parent !== process.pid;
}

/** Only a parent learns how a process ended. */
function unknownEnd(pid: number): Exit {
	return { pid, code: null, signal: null, status: 1 };
}
