/** A child's process begins: with its pipe, its sockets and its variables, as our own program or as another user's. */
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

/** How long a process may take to become its program, in milliseconds; one is usual, and 22 where it is another user's. */
const longestExec = 5000;

/** The variables of -env can't be read. */
class EnvironmentError extends Error {}

/** A child whose process is not its program yet. */
interface Expected {
	child: number;
	generation: number;
	/** The end of its pipe that we read, and the inode. */
	read: number;
	inode: number;
	/** The real paths of what is started, and where. */
	program: string | null;
	directory: string | null;
}

/** A process whose output can't be read. */
interface Undone {
	pid: number;
	child: number;
	read: number;
	error: unknown;
	/** It has ended, and nobody will tell of it again. */
	isReaped: boolean;
}

/** A process that is the child's program. */
export interface Born {
	child: number;
	pid: number;
	output: Output;
	/** Of its pipe. */
	inode: number;
	program: string | null;
	directory: string | null;
}

export interface BirthsOptions {
	admit: (external: ExternalEvent) => void;
	log: Pick<Log, 'say'>;
	outputs: Outputs;
	/** How to start a child. */
	spec: Omit<SpawnSpec, 'fds' | 'env' | 'directory'> & {
		/** The directory to start in, by its logical path, and whether it was asked for (-chdir). */
		directory: string;
		isDirectoryAsked: boolean;
		run: string;
		/** The variables of a generation's children. @throws {Error} where they can't be read */
		env: (generation: number) => Promise<Variables>;
		/** They get LISTEN_PID, too. */
		isSystemd: boolean;
	};
	notifySockets: NotifySockets;
	/** What they get as fd 3 and up. */
	listeners: Listener[];
	/** Whose processes they are to be; null is ours. */
	user: User | null;
	/** Children keep both ends of their pipe: without a supervisor they fill it and wait, and are not killed by SIGPIPE. */
	isDurable: boolean;
	/** Has sockets listen again that a child has shut down. @throws {SyscallError} */
	relistenAll: () => void;
	/** Told of each process that has become its program. */
	born: (child: Born) => void;
}

/** The births of one supervisor's children. */
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
	/** Processes that are about to become their programs, and what is to be done when they have, or can't. */
	const births = new Map<number, (isReaped: boolean) => void>();

	// Who has a terminal can type into it (TIOCSTI, ioctl_tty(2)): another user's child, which leads a session of its own,
	// does not get ours.
	const stdin = user && isatty(0) ? openSync('/dev/null', constants.O_RDONLY) : 0;

	/** One after the other: what a file system holds up holds up no more than one thread of the pool. */
	const inLine = oneAtATime();

	function spawn(input: ProcessInput) {
		void inLine(() => begin(input));
	}

	async function begin(input: ProcessInput) {
		const { child, generation } = input;
		let pipe: ReturnType<typeof childPipe> | undefined;
		let birth: ExecOutcome | number;
		let from: StartedFrom | undefined;
		const mark = { SOCKETMASTER_CHILD: String(child), SOCKETMASTER_RUN: spec.run };
		try {
			const variables = await environmentOf(generation);
			from = await startedFrom({ ...spec, isByShell: spec.isSystemd });
			if (from.isGone && input.index === 0) log.say('warn', goneText(generation, spec.directory));
			pipe = childPipe(isDurable, user);
			relistenAll();
			const word = notifySockets.prepare(child);
			const fds = [stdin, pipe.output, pipe.output, ...listeners.map(({ fd }) => fd), ...word.fds];
			// Where it is now: a program that goes by its name (gunicorn) would load the next version when the link has moved.
			const place = spec.isDirectoryAsked && from.directory !== null ? { PWD: from.directory } : {};
			const env = { ...variables, ...place, ...socketVariables(listeners, input), ...word.variables, ...mark };
			const program = spec.isSystemd ? withListenPid(spec.path, spec.args) : {};
			const whole = { ...spec, ...program, env, fds, directory: from.fd };
			birth = user ? spawnAsUser(whole, user, mark) : startProcess(whole);
		} catch (error) {
			if (pipe) closeAll([pipe.read, pipe.output]);
			return failed(child, error);
		} finally {
			from?.close();
		}
		closeAll([pipe.output]);
		const { program, directory } = from;
		const expected = { child, generation, read: pipe.read, inode: pipe.inode, program, directory };
		if (typeof birth === 'number') spawned(birth, expected, false);
		else awaitExec(birth, expected);
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

	/** The process is the child's program. */
	function spawned(pid: number, { child, generation, read, ...rest }: Expected, isReaped: boolean) {
		let output: Output;
		try {
			failpoint('outputs.open');
			output = outputs.open({ fd: read, child, pid, generation, unfinished: '' });
		} catch (error) {
			return undo({ pid, child, read, error, isReaped });
		}
		born({ child, pid, output, ...rest });
	}

	/** A process that can't be read from is none: it is told of as failed when it is gone. */
	function undo({ pid, child, read, error, isReaped }: Undone) {
		closeAll([read]);
		if (isReaped) return failed(child, error);
		births.set(pid, () => {
			births.delete(pid);
			failed(child, error);
		});
		signalGroup(pid, 'KILL');
	}

	/** A process is the child's program only when it has become it: its file system may take long, and another user's has to become that. */
	function awaitExec(birth: ExecOutcome, expected: Expected) {
		const { pid } = birth;
		// Another process of that user may stop it meanwhile.
		const limit = setTimeout(() => {
			log.say('error', `${pid} has not become ${spec.path} within ${longestExec / 1000} s; killing it`);
			signalProcess(pid, 'KILL');
		}, longestExec);
		births.set(pid, (isReaped) => {
			births.delete(pid);
			clearTimeout(limit);
			const error = birth.outcome();
			if (error === null) return spawned(pid, expected, isReaped);
			closeAll([expected.read]);
			failed(expected.child, error);
		});
		birth.onKnown(() => births.get(pid)?.(false));
	}

	return {
		spawn,
		/** A process was reaped, which may have been one that is not its program yet. */
		ended: (pid: number) => births.get(pid)?.(true),
		pids: () => [...births.keys()],
		/** What has no process yet is begun anew by the next program. */
		isSettled: () => births.size === 0,
	};
}

/** A pipe for what a child prints: the end we read, its inode, and what the child gets. @throws {SyscallError} */
function childPipe(isDurable: boolean, user: User | null) {
	const [read, write] = makePipe();
	const opened = new Set([read, write]);
	try {
		const inode = fstatSync(read).ino;
		// Opened before it is another user's: root may be without CAP_DAC_OVERRIDE.
		const output = isDurable ? openSync(`/proc/self/fd/${write}`, constants.O_RDWR) : write;
		opened.add(output);
		// So that it can open /dev/stderr.
		if (user && process.geteuid?.() === 0) fchownSync(output, user.uid, user.gid);
		if (isDurable) closeAll([write]);
		return { read, inode, output };
	} catch (error) {
		closeAll([...opened]);
		throw error;
	}
}

/** A shell that puts its pid into LISTEN_PID and becomes the program: the pid is known only after the fork. */
function withListenPid(path: string | Buffer, args: (string | Buffer)[]): Pick<SpawnSpec, 'path' | 'args'> {
	return { path: '/bin/sh', args: ['-c', 'LISTEN_PID=$$ exec "$0" "$@"', path, ...args] };
}

/** The directory that the supervisor was started in has been removed. */
function goneText(generation: number, directory: string): string {
	return `The directory ${directory}, where socketmaster was started, is gone: generation ${generation} starts in / (-chdir=PATH names another)`;
}

function whyNot(path: string | Buffer, error: unknown): string {
	if (!(error instanceof SyscallError)) return errorText(error);
	const what = ['posix_spawn', 'execve'].includes(error.syscall) ? `fork/exec ${path}` : error.syscall;
	const hint = error.code === 'EPERM' && process.geteuid?.() !== 0 ? ' (-user takes root)' : '';
	return `${what}: ${error.message}${hint}`;
}
