/** Child processes as actors: each one spawned or adopted, signalled, read and missed. */
import { accessSync, constants, fchownSync, fstatSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';
import { array, nullable, number, object } from 'valibot';
import { fromCallback } from 'xstate';
import type { ProcessCommand, ProcessInput } from '../../machines/childSetup.ts';
import type { Happening } from '../../machines/facts.ts';
import { mayFail } from '../fault.ts';
import type { Log } from '../log/log.ts';
import { type Birth, spawnAsUser } from '../os/asUser.ts';
import { closeAll, makePipe } from '../os/descriptors.ts';
import { isGroup, signalGroup, signalProcess } from '../os/kill.ts';
import { SyscallError } from '../os/libc.ts';
import { onEnd, openPidfd } from '../os/pidfd.ts';
import { environmentOf, lookUp, othersInGroup } from '../os/proc.ts';
import { type SpawnSpec, spawnProcess, type Variables } from '../os/spawn.ts';
import type { User } from '../os/user.ts';
import type { Exit } from '../os/wait.ts';
import { wordsOf } from '../os/words.ts';
import type { Listener } from '../sockets/listener.ts';
import { revivalOf } from '../sockets/revival.ts';
import { type Inheritance, part } from '../upgrade/inheritance.ts';
import { socketVariables } from './announcement.ts';
import type { Output, Outputs } from './output.ts';
import { send } from './send.ts';
import type { Words } from './words.ts';

/** How long a process may take to become another user's program, in milliseconds; 22 are usual. */
const longestBirth = 5000;

/** A child whose process is not its program yet. */
interface Expected {
	child: number;
	generation: number;
	/** The end of its pipe that we read, and the inode. */
	read: number;
	inode: number;
}

interface Living {
	child: number;
	pid: number;
	/** Null for our own child; a stranger is watched and signalled by it. */
	pidfd: number | null;
	/** Null for a process whose output could not be taken over. */
	output: Output | null;
	/** Others of its process group that outlive it, held by pidfd; null while it lives itself. */
	group: Map<number, number> | null;
	/** So was its group: who is in it still is just ending. */
	wasKilled: boolean;
}

/** A process that an earlier program started. */
export type Survivor = Omit<Living, 'output' | 'group' | 'wasKilled'>;

const childrenPart = part('children', () =>
	array(object({ child: number(), pid: number(), pidfd: nullable(number()) })),
);

export interface ChildrenOptions {
	admit: (happening: Happening) => void;
	log: Pick<Log, 'say'>;
	outputs: Outputs;
	/** How to start a child. */
	spec: Omit<SpawnSpec, 'fds' | 'env'> & {
		run: string;
		/** The variables of a generation's children. @throws {Error} where they can't be read */
		env: (generation: number) => Variables;
		/** They get LISTEN_PID, too. */
		isSystemd: boolean;
	};
	words: Words;
	/** What they get as fd 3 and up. */
	listeners: Listener[];
	/** Whose processes they are to be; null is ours. */
	user: User | null;
	/** Children keep both ends of their pipe: without a supervisor they fill it and wait, and are not killed by SIGPIPE. */
	isDurable: boolean;
	inheritance: Inheritance;
	/** Children of a supervisor that was killed. Whoever is neither among them nor inherited is gone. */
	recovered: Survivor[];
}

/** The children of one supervisor: the actor that makes them, and what becomes of them when they end. */
export function childrenOf({
	admit,
	log,
	outputs,
	spec,
	words,
	listeners,
	user,
	isDurable,
	inheritance,
	recovered,
}: ChildrenOptions) {
	const survivors = inheritance.take(childrenPart) ?? recovered;
	const living = new Map<number, Living>();
	/** Processes that are about to become another user's, and what is to be done when they have, or can't. */
	const births = new Map<number, () => void>();
	const revival = revivalOf(listeners, log);
	inheritance.leave(childrenPart, () => {
		const present = [...living.values()].filter(({ group }) => group === null);
		const state = present.map(({ child, pid, pidfd }) => ({ child, pid, pidfd }));
		return { state, fds: state.flatMap(({ pidfd }) => pidfd ?? []) };
	});

	// Who has a terminal can type into it (TIOCSTI, ioctl_tty(2)): another user's child, which leads a session of its own,
	// does not get ours.
	const stdin = user && isatty(0) ? openSync('/dev/null', constants.O_RDONLY) : 0;

	const actor = fromCallback<ProcessCommand, ProcessInput>(({ input, receive }) => {
		if (input.adopted) adopt(input, input.adopted);
		else spawn(input);
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

	function spawn(input: ProcessInput) {
		const { child, generation } = input;
		let pipe: ReturnType<typeof childPipe> | undefined;
		let birth: Birth | null = null;
		let pid: number;
		const mark = { SOCKETMASTER_CHILD: String(child), SOCKETMASTER_RUN: spec.run };
		try {
			pipe = childPipe(isDurable, user);
			revival.revive();
			const word = words.prepare(child);
			const fds = [stdin, pipe.output, pipe.output, ...listeners.map(({ fd }) => fd), ...word.fds];
			const env = { ...spec.env(generation), ...socketVariables(listeners, input), ...word.variables, ...mark };
			const program = spec.isSystemd ? withListenPid(spec.path, spec.args) : {};
			const whole = { ...spec, ...program, env, fds };
			birth = user ? spawnAsUser(whole, user, mark) : null;
			pid = birth?.pid ?? spawnProcess(whole);
		} catch (error) {
			if (pipe) closeAll([pipe.read, pipe.output]);
			return failed(child, error);
		}
		closeAll([pipe.output]);
		const expected = { child, generation, read: pipe.read, inode: pipe.inode };
		if (birth) awaitBirth(birth, expected);
		else spawned(pid, expected);
	}

	function failed(child: number, error: unknown) {
		words.forget(child);
		admit({ type: 'child.spawnFailed', child, reason: whyNot(spec.path, error) });
	}

	/** The process is the child's program. */
	function spawned(pid: number, { child, generation, read, inode }: Expected) {
		let output: Output;
		try {
			mayFail('outputs.open');
			output = outputs.open({ fd: read, child, pid, generation, unfinished: '' });
		} catch (error) {
			return undo(pid, child, read, error);
		}
		// Known before it is told: what follows may be a signal to it.
		keep({ child, pid, pidfd: null, output, group: null, wasKilled: false });
		admit({ type: 'child.spawned', child, pid, startTime: lookUp(pid)?.startTime ?? 0, pipe: inode });
		words.hear(child, pid);
	}

	/** A process that can't be read from is none: it is told of as failed when it is gone. */
	function undo(pid: number, child: number, read: number, error: unknown) {
		closeAll([read]);
		births.set(pid, () => {
			births.delete(pid);
			failed(child, error);
		});
		signalGroup(pid, 'KILL');
	}

	/** Another user's process is the child's program only when it has changed its credentials and become it. */
	function awaitBirth(birth: Birth, expected: Expected) {
		const { pid } = birth;
		// Another process of that user may stop it meanwhile.
		const limit = setTimeout(() => {
			log.say('error', `${pid} has not become ${spec.path} within ${longestBirth / 1000} s; killing it`);
			signalProcess(pid, 'KILL');
		}, longestBirth);
		births.set(pid, () => {
			births.delete(pid);
			clearTimeout(limit);
			const error = birth.outcome();
			if (error === null) return spawned(pid, expected);
			closeAll([expected.read]);
			failed(expected.child, error);
		});
		birth.onKnown(() => births.get(pid)?.());
	}

	function adopt({ child, isLingering }: ProcessInput, pid: number): Living {
		const output = outputs.of(child);
		const survivor = survivors.find((each) => each.child === child);
		const alive = keep({ child, pid, pidfd: survivor?.pidfd ?? null, output, group: null, wasKilled: false });
		words.hear(child, pid);
		if (isLingering) watchGroup(alive, isRelative);
		else if (!survivor || isReaped(survivor)) ended(unknownEnd(pid));
		else if (survivor.pidfd !== null) onEnd(survivor.pidfd, () => ended(unknownEnd(pid)));
		return alive;
	}

	function keep(alive: Living): Living {
		living.set(alive.pid, alive);
		return alive;
	}

	/** Logs a child's last words and tells its end. Orphans that were given to us as PID 1 are nobody's business. */
	function ended(exit: Exit) {
		births.get(exit.pid)?.();
		const gone = living.get(exit.pid);
		if (!gone) return;
		revival.tryToRevive();
		const left = !gone.wasKilled && isGroup(exit.pid) ? othersInGroup(exit.pid) : [];
		gone.output?.finish(left.length > 0);
		words.forget(gone.child);
		if (left.length === 0) living.delete(exit.pid);
		admit({ type: 'child.exited', child: gone.child, ...exit, left });
		if (left.length > 0) watchGroup(gone);
	}

	/** Waits until nobody is left of a group whose leader has left. */
	function watchGroup(gone: Living, belongs: (pid: number) => boolean = () => true) {
		const group = new Map<number, number>();
		gone.group = group;
		for (const pid of othersInGroup(gone.pid).filter(belongs)) {
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

	/** After a crash the number of a group that is gone may be another one's: its members have to say whose they are. */
	function isRelative(pid: number): boolean {
		return environmentOf(pid).includes(`SOCKETMASTER_RUN=${spec.run}`);
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

	return { actor, ended, pidOf, stoppedPid, isSettled: () => births.size === 0 };
}

/** A pipe for what a child prints: the end we read, its inode, and what the child gets. @throws {SyscallError} */
function childPipe(isDurable: boolean, user: User | null) {
	const [read, write] = makePipe();
	try {
		const inode = fstatSync(read).ino;
		// So that it can open /dev/stderr.
		if (user && process.geteuid?.() === 0) fchownSync(write, user.uid, user.gid);
		if (!isDurable) return { read, inode, output: write };
		const output = openSync(`/proc/self/fd/${write}`, constants.O_RDWR);
		closeAll([write]);
		return { read, inode, output };
	} catch (error) {
		closeAll([read, write]);
		throw error;
	}
}

/** A child of ours that an earlier program has reaped, and not told of. */
function isReaped({ pid, pidfd }: Survivor): boolean {
	return pidfd === null && lookUp(pid)?.parent !== process.pid;
}

/** Only a parent learns how a process ended. */
function unknownEnd(pid: number): Exit {
	return { pid, code: null, signal: null, status: 1 };
}

/** A shell that puts its pid into LISTEN_PID and becomes the program: the pid is known only after the fork. */
function withListenPid(path: string | Buffer, args: (string | Buffer)[]): Pick<SpawnSpec, 'path' | 'args'> {
	accessSync(path, constants.X_OK);
	return { path: '/bin/sh', args: ['-c', 'LISTEN_PID=$$ exec "$0" "$@"', path, ...args] };
}

function whyNot(path: string | Buffer, error: unknown): string {
	if (!(error instanceof SyscallError)) return wordsOf(error);
	const what = ['posix_spawn', 'execve'].includes(error.syscall) ? `fork/exec ${path}` : error.syscall;
	const hint = error.code === 'EPERM' && process.geteuid?.() !== 0 ? ' (-user takes root)' : '';
	return `${what}: ${error.message}${hint}`;
}
