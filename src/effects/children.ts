/** Child processes as actors: each one spawned or adopted, signalled, read and missed. */
import { constants, fstatSync, openSync } from 'node:fs';
import { fromCallback } from 'xstate';
import type { ProcessCommand, ProcessInput } from '../machines/child.ts';
import type { Happening } from '../machines/facts.ts';
import { SyscallError } from './libc.ts';
import type { Log } from './log.ts';
import type { OpenPipe, Output, outputsOf } from './output.ts';
import { type pidfdWatch, signalPidfd } from './pidfd.ts';
import {
	closeAll,
	type Exit,
	howItEnded,
	lookUp,
	makePipe,
	type SpawnSpec,
	signalProcess,
	spawnProcess,
} from './process.ts';

interface Living {
	child: number;
	pid: number;
	/** Null for a process whose output could not be taken over. */
	output: Output | null;
	signal: (name: string) => void;
}

/** A process that an earlier program started. */
export interface Survivor {
	pid: number;
	pipe: OpenPipe | null;
	/** Null for our own child; a stranger is watched and signalled by it. */
	pidfd: number | null;
}

export interface Nursery {
	admit: (happening: Happening) => void;
	log: Log;
	outputs: ReturnType<typeof outputsOf>;
	/** How to start a child. */
	spec: Omit<SpawnSpec, 'fds'> & { listeners: number[]; run: string };
	/** Children keep both ends of their pipe: without a supervisor they fill it and wait, and are not killed by SIGPIPE. */
	isDurable: boolean;
	/** Who can be adopted, by the child's number. Whoever is missing is gone. */
	survivors: Map<number, Survivor>;
	watch: ReturnType<typeof pidfdWatch>['watch'];
}

/** The children of one supervisor: the actor that makes them, and what becomes of them when they end. */
export function childrenOf({ admit, log, outputs, spec, isDurable, survivors, watch }: Nursery) {
	const living = new Map<number, Living>();

	const actor = fromCallback<ProcessCommand, ProcessInput>(({ input, receive }) => {
		const alive = input.adopted ? adopt(input.child, input.adopted) : spawn(input);
		if (!alive) return;
		living.set(alive.pid, alive);
		receive(({ signal, reason }) => {
			if (living.get(alive.pid) !== alive) return;
			admit({ type: 'child.signalled', child: alive.child, signal, reason });
			try {
				alive.signal(signal);
			} catch (error) {
				log.say('error', `Could not send SIG${signal} to ${alive.pid}: ${(error as Error).message}`);
			}
		});
	});

	function spawn({ child, generation }: ProcessInput): Living | null {
		admit({ type: 'child.spawning', child, generation });
		log.say('info', `Starting ${[spec.path, ...spec.args].join(' ')}`);
		let ends: number[] = [];
		try {
			ends = makePipe();
			const [read = -1, write = -1] = ends;
			const output = isDurable ? openSync(`/proc/self/fd/${write}`, constants.O_RDWR) : write;
			ends.push(output);
			const fds = [0, output, output, ...spec.listeners];
			const pid = spawnProcess({ ...spec, env: childEnvironment(spec, child), fds });
			closeAll([...new Set([write, output])]);
			const startTime = lookUp(pid)?.startTime ?? 0;
			admit({ type: 'child.spawned', child, pid, startTime, pipe: fstatSync(read).ino });
			const opened = outputs.open({ fd: read, pid, generation, unfinished: '' });
			return { child, pid, output: opened, signal: (name) => signalProcess(pid, name) };
		} catch (error) {
			closeAll([...new Set(ends)]);
			const reason = whyNot(spec.path, error);
			log.say('error', `Could not start process ${reason}`);
			admit({ type: 'child.spawnFailed', child, reason });
			return null;
		}
	}

	function adopt(child: number, pid: number): Living | null {
		const survivor = survivors.get(child);
		if (!survivor) {
			const unknown = { pid, code: null, signal: null, status: 1 };
			log.say('info', `${pid} ${howItEnded(unknown)}`);
			admit({ type: 'child.exited', child, ...unknown });
			return null;
		}
		const { pipe, pidfd } = survivor;
		if (pidfd !== null) {
			watch(pidfd, () => {
				for (const happening of ended({ pid, code: null, signal: null, status: 1 })) admit(happening);
			});
		}
		const signal = pidfd === null ? signalProcess.bind(null, pid) : signalPidfd.bind(null, pidfd);
		return { child, pid, output: pipe ? outputs.open(pipe) : null, signal };
	}

	/** Logs a child's last words and its end. Orphans that were given to us as PID 1 are none of the operator's business. */
	function ended(exit: Exit): Happening[] {
		const gone = living.get(exit.pid);
		if (!gone) return [];
		living.delete(exit.pid);
		gone.output?.finish();
		log.say('info', `${exit.pid} ${howItEnded(exit)}`);
		return [{ type: 'child.exited', child: gone.child, ...exit }];
	}

	return { actor, ended };
}

/** The supervisor's own environment and what tells a child of its sockets and of itself. */
function childEnvironment({ env, listeners, run }: Nursery['spec'], child: number) {
	const fds = listeners.map((_, index) => 3 + index).join(' ');
	return { ...env, EINHORN_FDS: fds, SOCKETMASTER_CHILD: String(child), SOCKETMASTER_RUN: run };
}

function whyNot(path: string, error: unknown): string {
	if (!(error instanceof SyscallError)) return (error as Error).message;
	const what = error.syscall === 'posix_spawn' || error.syscall.startsWith('sys') ? `fork/exec ${path}` : error.syscall;
	return `${what}: ${error.message}`;
}
