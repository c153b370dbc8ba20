/** Spawns a child with its output pipe, listeners and variables, as the supervisor's user or as another user. */
import { constants, fchownSync, fstatSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';
import type { ProcessInput } from '../../machines/charts/protocol.ts';
import type { ExternalEvent } from '../../machines/facts/facts.ts';
import { failpoint } from '../crashHandler.ts';
import type { Log } from '../log/log.ts';
import { spawnAsUser } from '../os/asUser.ts';
import { closeAll, makePipe } from '../os/descriptors.ts';
import { errorText } from '../os/errorText.ts';
import type { ExecOutcome } from '../os/execOutcome.ts';
import { signalGroup, signalProcess } from '../os/kill.ts';
import { SyscallError } from '../os/libc.ts';
import type { SpawnSpec, Variables } from '../os/spawn.ts';
import { startProcess } from '../os/starter.ts';
import type { User } from '../os/user.ts';
import { oneAtATime } from '../os/yielding.ts';
import type { Listener } from '../sockets/listener.ts';
import { socketVariables } from './activationEnv.ts';
import type { NotifySockets } from './notifySockets.ts';
import type { Output, Outputs } from './output.ts';
import { type StartedFrom, startedFrom } from './startedFrom.ts';

/**
 * A process must execute its program within this time, in milliseconds. It usually takes 1 ms, and 22 ms as another
 * user.
 */
const longestExec = 5000;

/** The variables of -env can't be read. */
class EnvironmentError extends Error {}

/** A child whose process has not executed its program yet. */
interface PendingChild {
	child: number;
	generation: number;
	/** The read end of its output pipe, and the inode of the pipe. */
	read: number;
	inode: number;
	/** The real paths of the program and of its working directory. */
	program: string | null;
	directory: string | null;
}

/** A process whose output pipe can't be read. */
interface UnreadableProcess {
	pid: number;
	child: number;
	read: number;
	error: unknown;
	/** The process is already reaped: its exit is not reported again. */
	isReaped: boolean;
}

/** A process that has executed the child's program. */
export interface Born {
	child: number;
	pid: number;
	output: Output;
	/** The inode of its output pipe. */
	inode: number;
	program: string | null;
	directory: string | null;
}

export interface BirthsOptions {
	admit: (external: ExternalEvent) => void;
	log: Pick<Log, 'say'>;
	outputs: Outputs;
	spec: Omit<SpawnSpec, 'fds' | 'env' | 'directory'> & {
		/** The working directory by its logical path, and whether -chdir names it. */
		directory: string;
		isDirectoryAsked: boolean;
		run: string;
		/** The variables of a generation's children. @throws {Error} if the variables can't be read */
		env: (generation: number) => Promise<Variables>;
		/** -systemd: children get LISTEN_PID too. */
		isSystemd: boolean;
	};
	notifySockets: NotifySockets;
	/** Children get these as fd 3 and up. */
	listeners: Listener[];
	/** The user that children run as; null stands for the supervisor's user. */
	user: User | null;
	/**
	 * Children hold both ends of their output pipe. Without a supervisor a child that fills the pipe blocks; it is not
	 * killed by SIGPIPE.
	 */
	isDurable: boolean;
	/** Calls listen(2) on listeners that a child has shut down. @throws {SyscallError} */
	relistenAll: () => void;
	/** Called for each process that has executed its program. */
	born: (child: Born) => void;
}

/** Spawns the children of one supervisor. */
export function birthsOf({
	admit,
	log,
	outputs,
	spec,
	notifySockets,
	listeners,
	user,
	isDurable,
	relistenAll,
	born,
}: BirthsOptions) {
	/**
	 * By pid: processes that have not executed their program yet, or whose output can't be read. The callback handles
	 * the outcome, or the exit.
	 */
	const pending = new Map<number, (isReaped: boolean) => void>();

	// A process that has a terminal can insert input into it (TIOCSTI, ioctl_tty(2)). A child of another user leads its
	// own session and does not get the supervisor's terminal.
	const stdin = user && isatty(0) ? openSync('/dev/null', constants.O_RDONLY) : 0;

	/** Children are started one after another: a file system that hangs blocks at most one thread of the pool. */
	const inLine = oneAtATime();

	function spawn(input: ProcessInput) {
		void inLine(() => begin(input));
	}

	async function begin(input: ProcessInput) {
		const { child, generation } = input;
		let pipe: ReturnType<typeof childPipe> | undefined;
		let execOutcome: ExecOutcome | number;
		let from: StartedFrom | undefined;
		const mark = { SOCKETMASTER_CHILD: String(child), SOCKETMASTER_RUN: spec.run };
		try {
			from = await startedFrom({ ...spec, isByShell: spec.isSystemd });
			const variables = await environmentOf(generation);
			if (from.isGone && input.index === 0) log.say('warn', goneText(generation, spec.directory));
			pipe = childPipe(isDurable, user);
			relistenAll();
			const notify = notifySockets.prepare(child);
			const fds = [stdin, pipe.output, pipe.output, ...listeners.map(({ fd }) => fd), ...notify.fds];
			// PWD is the real path. If PWD contained a symlink, a program that uses PWD (gunicorn) would load the next
			// version after the symlink has moved.
			const workingDirectory = spec.isDirectoryAsked && from.directory !== null ? { PWD: from.directory } : {};
			const env = {
				...variables,
				...workingDirectory,
				...socketVariables(listeners, input),
				...notify.variables,
				...mark,
			};
			const program = spec.isSystemd ? withListenPid(spec.path, spec.args) : {};
			const fullSpec = { ...spec, ...program, env, fds, directory: from.fd };
			execOutcome = user ? spawnAsUser(fullSpec, user, mark) : startProcess(fullSpec);
		} catch (error) {
			if (pipe) closeAll([pipe.read, pipe.output]);
			return failed(child, error);
		} finally {
			from?.close();
		}
		closeAll([pipe.output]);
		const { program, directory } = from;
		const expected = { child, generation, read: pipe.read, inode: pipe.inode, program, directory };
		if (typeof execOutcome === 'number') spawned(execOutcome, expected, false);
		else awaitExec(execOutcome, expected);
	}

	function failed(child: number, error: unknown) {
		notifySockets.forget(child);
		const code = error instanceof EnvironmentError ? ({ code: 'environment' } as const) : {};
		admit({ type: 'child.spawnFailed', child, reason: whyNot(spec.path, error), ...code });
	}

	async function environmentOf(generation: number): Promise<Variables> {
		try {
			return await spec.env(generation);
		} catch (error) {
			throw new EnvironmentError((error as Error).message, { cause: error });
		}
	}

	/** The process has executed the child's program. */
	function spawned(pid: number, { child, generation, read, ...rest }: PendingChild, isReaped: boolean) {
		let output: Output;
		try {
			failpoint('outputs.open');
			output = outputs.open({ fd: read, child, pid, generation, unfinished: '' });
		} catch (error) {
			return undo({ pid, child, read, error, isReaped });
		}
		born({ child, pid, output, ...rest });
	}

	/** Kills a process whose output can't be read. The spawn is reported as failed after the process has exited. */
	function undo({ pid, child, read, error, isReaped }: UnreadableProcess) {
		closeAll([read]);
		if (isReaped) return failed(child, error);
		pending.set(pid, () => {
			pending.delete(pid);
			failed(child, error);
		});
		signalGroup(pid, 'KILL');
	}

	/**
	 * A child is spawned only when its process has executed the program. A slow file system may delay that, and a
	 * process for another user changes its credentials first.
	 */
	function awaitExec(execOutcome: ExecOutcome, expected: PendingChild) {
		const { pid } = execOutcome;
		// Another process of the same user may stop this process meanwhile (SIGSTOP).
		const limit = setTimeout(() => {
			log.say('error', `${pid} has not become ${spec.path} within ${longestExec / 1000} s; killing it`);
			signalProcess(pid, 'KILL');
		}, longestExec);
		pending.set(pid, (isReaped) => {
			pending.delete(pid);
			clearTimeout(limit);
			const error = execOutcome.outcome();
			if (error === null) return spawned(pid, expected, isReaped);
			closeAll([expected.read]);
			failed(expected.child, error);
		});
		execOutcome.onKnown(() => pending.get(pid)?.(false));
	}

	return {
		spawn,
		/** Call for each reaped process: it may not have executed its program yet. */
		ended: (pid: number) => pending.get(pid)?.(true),
		pids: () => [...pending.keys()],
		/**
		 * Whether every child that has a process has executed its program. The next supervisor program spawns the rest.
		 */
		isSettled: () => pending.size === 0,
	};
}

/** Makes the output pipe of a child: the read end, its inode, and the fd for the child. @throws {SyscallError} */
function childPipe(isDurable: boolean, user: User | null) {
	const [read, write] = makePipe();
	const opened = new Set([read, write]);
	try {
		const inode = fstatSync(read).ino;
		// Opened before the pipe belongs to another user: root may lack CAP_DAC_OVERRIDE.
		const output = isDurable ? openSync(`/proc/self/fd/${write}`, constants.O_RDWR) : write;
		opened.add(output);
		// As the owner of the pipe, the child can open /dev/stderr.
		if (user && process.geteuid?.() === 0) fchownSync(output, user.uid, user.gid);
		if (isDurable) closeAll([write]);
		return { read, inode, output };
	} catch (error) {
		closeAll([...opened]);
		throw error;
	}
}

/** A shell sets LISTEN_PID to its own pid and executes the program: the pid is known only after the fork. */
function withListenPid(path: string | Buffer, args: (string | Buffer)[]): Pick<SpawnSpec, 'path' | 'args'> {
	return { path: '/bin/sh', args: ['-c', 'LISTEN_PID=$$ exec "$0" "$@"', path, ...args] };
}

/** The log line for a start directory that has been removed. */
function goneText(generation: number, directory: string): string {
	return `The directory ${directory}, where socketmaster was started, is gone: generation ${generation} starts in / (-chdir=PATH names another)`;
}

function whyNot(path: string | Buffer, error: unknown): string {
	if (!(error instanceof SyscallError)) return errorText(error);
	const what = ['posix_spawn', 'execve'].includes(error.syscall) ? `fork/exec ${path}` : error.syscall;
	const hint = error.code === 'EPERM' && process.geteuid?.() !== 0 ? ' (-user takes root)' : '';
	return `${what}: ${error.message}${hint}`;
}
