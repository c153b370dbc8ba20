/** How a signal reaches a child, and its process group. */
import { signalGroup, signalProcess } from '../os/kill.ts';
import { isHeld, signalPidfd } from '../os/pidfd.ts';
import { lookUp } from '../os/proc.ts';

export interface Recipient {
	pid: number;
	/** Null for our own child; a stranger is watched and signalled by it. */
	pidfd: number | null;
	/** Those that it has left behind, held by pidfd; null while it lives itself. */
	group: ReadonlyMap<number, number> | null;
	wasKilled: boolean;
}

/**
 * To a child; to all of its process group where it is to be killed, or where that is asked for; to those that it has left
 * behind. A process that is stopped does not see a signal that shall end it before it is told to continue.
 * @param toGroup -group
 */
export function send(alive: Recipient, signal: string, toGroup: boolean): void {
	const { pid, pidfd, group } = alive;
	alive.wasKilled ||= signal === 'KILL';
	const ways: (() => void)[] = [];
	for (const name of signal === 'KILL' ? ['KILL'] : [signal, 'CONT']) {
		if (group) for (const other of group.values()) ways.push(() => signalPidfd(other, name));
		else {
			const isToGroup = name === 'KILL' || toGroup;
			if (isToGroup) ways.push(() => sendToGroup(alive, name));
			// The leader may have left the group that it was to lead; else the signal would come twice.
			if (!isToGroup || lookUp(pid)?.group !== pid)
				ways.push(() => (pidfd === null ? signalProcess(pid, name) : signalPidfd(pidfd, name)));
		}
	}
	allOf(ways);
}

/**
 * The number of the group is the leader's: nobody else has it until our own child is reaped, or, of a process that is no
 * child of ours, as long as it is there.
 */
function sendToGroup({ pid, pidfd }: Recipient, name: string) {
	if (pidfd === null || isHeld(pidfd)) signalGroup(pid, name);
}

/** Does each, and then throws the first error: one that can't be signalled spares none of the others. */
function allOf(ways: (() => void)[]) {
	let first: unknown;
	for (const way of ways) {
		try {
			way();
		} catch (error) {
			first ??= error;
		}
	}
	if (first !== undefined) throw first;
}
