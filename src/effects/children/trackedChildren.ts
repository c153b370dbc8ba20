/** The children that have processes, with what is kept of each and handed over to the next supervisor program. */
import type { Output } from './output.ts';

export interface TrackedChild {
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

/** A tracked child as plain JSON. */
export interface SavedChild extends Omit<TrackedChild, 'output' | 'its' | 'group'> {
	/** Pid and pidfd of each surviving process. */
	group: [number, number][] | null;
}

export const initialState = () =>
	({ group: null, told: null, hasFailed: false, abandonedUntil: null, its: new Map() }) satisfies Partial<TrackedChild>;

/** A child is in it from its spawn to the exit of the leader, and again while its surviving processes are waited for. */
export class TrackedChildren {
	readonly #byKey = new Map<number, TrackedChild>();

	add(alive: TrackedChild): TrackedChild {
		this.#byKey.set(keyOf(alive), alive);
		return alive;
	}

	remove(gone: TrackedChild): void {
		this.#byKey.delete(keyOf(gone));
	}

	has(alive: TrackedChild): boolean {
		return this.#byKey.get(keyOf(alive)) === alive;
	}

	all(): TrackedChild[] {
		return [...this.#byKey.values()];
	}

	/** The child whose running leader has this pid. */
	byPid(pid: number): TrackedChild | undefined {
		return this.#byKey.get(pid);
	}

	/** The child, if its leader runs. */
	running(child: number): TrackedChild | undefined {
		return this.all().find((each) => each.child === child && each.group === null);
	}

	/** The child, if its leader has exited. */
	exited(child: number): TrackedChild | undefined {
		return this.all().find((each) => each.child === child && each.group !== null);
	}

	/** The state for the next supervisor program, and the pidfds that must stay open for it. */
	saved(): { state: SavedChild[]; fds: number[] } {
		const state = this.all().map(({ output: _, its: __, group, pidfd, ...rest }) => ({
			...rest,
			// The pidfd of a leader that has exited is closed.
			pidfd: group ? null : pidfd,
			group: group && [...group],
		}));
		const fds = state.flatMap(({ pidfd, group }) => group?.map(([, fd]) => fd) ?? pidfd ?? []);
		return { state, fds };
	}
}

/** The pid while the leader runs. After that the pid may be reused, so the key is the negative child id. */
function keyOf({ child, pid, group }: Pick<TrackedChild, 'child' | 'pid' | 'group'>): number {
	return group === null ? pid : -child;
}
