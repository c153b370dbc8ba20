/** Sends signals to a child and its process group. */
import { signalGroup, signalProcess } from '../os/kill.ts';
import { isHeld, signalPidfd } from '../os/pidfd.ts';
import { lookUp } from '../os/proc.ts';

export interface Recipient {
	pid: number;
	/** Null for a direct child. A non-child process is watched and signalled by its pidfd. */
	pidfd: number | null;
	/** The surviving processes, pidfd by pid; null while the leader runs. */
	group: ReadonlyMap<number, number> | null;
	wasKilled: boolean;
}

/**
 * Sends a signal to the leader, or to the surviving processes after the leader has exited. SIGKILL goes to the whole
 * process group; with -group every signal does. SIGCONT follows other signals: a stopped process handles a signal only
 * after it continues.
 * @param toGroup whether -group is set
 * @throws {Error} the first error, after the signal was sent to every process
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
			// A leader that has left its process group gets the signal separately. A leader inside the group would get
			// it twice.
			if (!isToGroup || lookUp(pid)?.group !== pid)
				ways.push(() => (pidfd === null ? signalProcess(pid, name) : signalPidfd(pidfd, name)));
		}
	}
	allOf(ways);
}

/**
 * The process group id is the leader's pid. For a direct child the kernel does not reuse it before the supervisor reaps
 * the child. For a non-child process the kernel does not reuse it while the pidfd still finds the process.
 */
function sendToGroup({ pid, pidfd }: Recipient, name: string) {
	if (pidfd === null || isHeld(pidfd)) signalGroup(pid, name);
}

/** Makes each call, then throws the first error: an error for one process does not spare the next. */
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
