/** Spawns a child with its output pipe, listeners and variables, as the supervisor's user or as another user. */
import { constants, fchownSync, fstatSync, openSync } from 'node:fs';
import type { ProcessInput } from '../../machines/charts/protocol.ts';
import type { ExternalEvent } from '../../machines/facts/facts.ts';
import { failpoint } from '../crashHandler.ts';
import type { Log } from '../log/log.ts';
import { spawnAsUser } from '../os/asUser.ts';
import { closeAll, makePipe } from '../os/descriptors.ts';
import type { ExecOutcome } from '../os/execOutcome.ts';
import { signalGroup, signalProcess } from '../os/kill.ts';
import type { Variables } from '../os/spawn.ts';
import { startProcess } from '../os/starter.ts';
import type { User } from '../os/user.ts';
import { oneAtATime } from '../os/yielding.ts';
import type { Listener } from '../sockets/listener.ts';
import { isTerminal } from '../terminal/isTerminal.ts';
import { childSpec, type SharedSpec } from './childSpec.ts';
import type { NotifySockets } from './notifySockets.ts';
import type { Output, Outputs } from './output.ts';
import { EnvironmentError, spawnFailure } from './spawnFailure.ts';
import { type StartedFrom, startedFrom } from './startedFrom.ts';

/**
 * A process must execute its program within this time, in milliseconds. It usually takes 1 ms, and 22 ms as another
 * user.
 */
const longestExec = 5000;

/** A child whose process has not executed its program yet. */
interface PendingChild {
	child: number;
	generation: number;
	/** Its output pipe; null if it has none. */
	pipe: OutputPipe | null;
	/** The real paths of the program and of its working directory. */
	program: string | null;
	directory: string | null;
}

/** The read end of an output pipe, and the inode of the pipe. */
interface OutputPipe {
	read: number;
	inode: number;
}

/** A process whose output pipe can't be read. */
interface UnreadableProcess {
	pid: number;
	child: number;
	pipe: OutputPipe | null;
	error: unknown;
	/** The process is already reaped: its exit is not reported again. */
	isReaped: boolean;
}

/** A process that has executed the child's program. */
export interface Born {
	child: number;
	pid: number;
	/** The output and the inode of its pipe; null with -output=inherit. */
	output: Output | null;
	inode: number | null;
	program: string | null;
	directory: string | null;
}

export interface BirthsOptions {
	admit: (external: ExternalEvent) => void;
	log: Pick<Log, 'say'>;
	outputs: Outputs;
	spec: SharedSpec;
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
	/** -output=inherit: children write to the supervisor's own stdout and stderr. */
	isInherited: boolean;
	/** Calls listen(2) on listeners that a child has shut down. @throws {SyscallError} */
	relistenAll: () => void;
	/** Called for each process that has executed its program. */
	born: (child: Born) => void;
}

/** Spawns the children of one supervisor. */
export function birthsOf(options: BirthsOptions): Births {
	return new Births(options);
}

export class Births {
	readonly #options: BirthsOptions;
	/**
	 * By pid: processes that have not executed their program yet, or whose output can't be read. The callback handles
	 * the outcome, or the exit.
	 */
	readonly #pending = new Map<number, (isReaped: boolean) => void>();
	readonly #stdin: number;
	/** Children are started one after another: a file system that hangs blocks at most one thread of the pool. */
	readonly #inLine = oneAtATime();

	constructor(options: BirthsOptions) {
		this.#options = options;
		// A process that has a terminal can insert input into it (TIOCSTI, ioctl_tty(2)). A child of another user leads
		// its own session and does not get the supervisor's terminal.
		this.#stdin = options.user && isTerminal(0) ? openSync('/dev/null', constants.O_RDONLY) : 0;
	}

	readonly spawn = (input: ProcessInput): void => {
		void this.#inLine(() => this.#begin(input));
	};

	/** Call for each reaped process: it may not have executed its program yet. */
	readonly ended = (pid: number): void => this.#pending.get(pid)?.(true);

	readonly pids = (): number[] => [...this.#pending.keys()];

	/**
	 * Whether every child that has a process has executed its program. The next supervisor program spawns the rest.
	 */
	readonly isSettled = (): boolean => this.#pending.size === 0;

	async #begin(input: ProcessInput): Promise<void> {
		const { log, spec, notifySockets, listeners, user, isDurable, isInherited, relistenAll } = this.#options;
		const { child, generation } = input;
		let pipe: (OutputPipe & { output: number }) | null = null;
		let execOutcome: ExecOutcome | number;
		let from: StartedFrom | undefined;
		const mark = { SOCKETMASTER_CHILD: String(child), SOCKETMASTER_RUN: spec.run };
		try {
			from = await startedFrom({ ...spec, isByShell: spec.isSystemd });
			const variables = await this.#environmentOf(generation);
			if (from.isGone && input.index === 0) log.say('warn', goneText(generation, spec.directory));
			pipe = isInherited ? null : childPipe(isDurable, user);
			relistenAll();
			const notify = notifySockets.prepare(child);
			const streams = [this.#stdin, ...(pipe ? [pipe.output, pipe.output] : [1, 2])];
			const fullSpec = childSpec({ spec, variables, input, from, listeners, streams, notify, mark });
			execOutcome = user ? spawnAsUser(fullSpec, user, mark) : startProcess(fullSpec);
		} catch (error) {
			if (pipe) closeAll([pipe.read, pipe.output]);
			this.#failed(child, error);
			return;
		} finally {
			from?.close();
		}
		if (pipe) closeAll([pipe.output]);
		const { program, directory } = from;
		const expected = { child, generation, pipe, program, directory };
		if (typeof execOutcome === 'number') this.#spawned(execOutcome, expected, false);
		else this.#awaitExec(execOutcome, expected);
	}

	#failed(child: number, error: unknown): void {
		failpoint('spawn.failed');
		const { notifySockets, admit, spec } = this.#options;
		notifySockets.forget(child);
		admit({ type: 'child.spawnFailed', child, ...spawnFailure(spec.path, error) });
	}

	async #environmentOf(generation: number): Promise<Variables> {
		try {
			return await this.#options.spec.env(generation);
		} catch (error) {
			throw new EnvironmentError((error as Error).message, { cause: error });
		}
	}

	/** The process has executed the child's program. */
	#spawned(pid: number, { child, generation, pipe, ...rest }: PendingChild, isReaped: boolean): void {
		let output: Output | null;
		try {
			failpoint('outputs.open');
			output = pipe && this.#options.outputs.open({ fd: pipe.read, child, pid, generation, unfinished: '' });
		} catch (error) {
			this.#undo({ pid, child, pipe, error, isReaped });
			return;
		}
		this.#options.born({ child, pid, output, inode: pipe?.inode ?? null, ...rest });
	}

	/** Kills a process whose output can't be read. The spawn is reported as failed after the process has exited. */
	#undo({ pid, child, pipe, error, isReaped }: UnreadableProcess): void {
		if (pipe) closeAll([pipe.read]);
		if (isReaped) {
			this.#failed(child, error);
			return;
		}
		this.#pending.set(pid, () => {
			this.#pending.delete(pid);
			this.#failed(child, error);
		});
		signalGroup(pid, 'KILL');
	}

	/**
	 * A child is spawned only when its process has executed the program. A slow file system may delay that, and a
	 * process for another user changes its credentials first.
	 */
	#awaitExec(execOutcome: ExecOutcome, expected: PendingChild): void {
		const { log, spec } = this.#options;
		const { pid } = execOutcome;
		// Another process of the same user may stop this process meanwhile (SIGSTOP).
		const limit = setTimeout(() => {
			log.say('error', `${pid} has not become ${spec.path} within ${longestExec / 1000} s; killing it`);
			signalProcess(pid, 'KILL');
		}, longestExec);
		this.#pending.set(pid, (isReaped) => {
			this.#pending.delete(pid);
			clearTimeout(limit);
			const error = execOutcome.outcome();
			if (error === null) return this.#spawned(pid, expected, isReaped);
			if (expected.pipe) closeAll([expected.pipe.read]);
			this.#failed(expected.child, error);
		});
		execOutcome.onKnown(() => this.#pending.get(pid)?.(false));
	}
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

/** The log line for a start directory that has been removed. */
function goneText(generation: number, directory: string): string {
	return `The directory ${directory}, where socketmaster was started, is gone: generation ${generation} starts in / (-chdir=PATH names another)`;
}
