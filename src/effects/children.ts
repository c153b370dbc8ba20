/** Child processes as actors: each one spawned or adopted, signalled, read and missed. */
import { fromCallback } from 'xstate';
import { howItEnded, type ProcessCommand, type ProcessInput } from '../machines/child.ts';
import type { Happening } from '../machines/facts.ts';
import { SyscallError } from './libc.ts';
import type { Log } from './log.ts';
import type { Output, outputsOf } from './output.ts';
import { closeAll, type Exit, lookUp, makePipe, type SpawnSpec, signalProcess, spawnProcess } from './process.ts';

interface Living {
	child: number;
	pid: number;
	output: Output;
}

export interface World {
	admit: (happening: Happening) => void;
	log: Log;
	openOutput: ReturnType<typeof outputsOf>;
	/** How to start a child; `fds` are the listeners. */
	spec: Omit<SpawnSpec, 'fds'> & { listeners: number[] };
}

/** The children of one supervisor: the actor that makes them, and what becomes of them when they end. */
export function childrenOf({ admit, log, openOutput, spec }: World) {
	const living = new Map<number, Living>();

	function spawn({ child, generation }: ProcessInput): Living | null {
		admit({ type: 'child.spawning', child, generation });
		log.say('info', `Starting ${[spec.path, ...spec.args].join(' ')}`);
		let pipe: number[] = [];
		try {
			pipe = makePipe();
			const [read = -1, write = -1] = pipe;
			const pid = spawnProcess({
				...spec,
				env: childEnvironment(spec, child),
				fds: [0, write, write, ...spec.listeners],
			});
			closeAll([write]);
			admit({ type: 'child.spawned', child, pid, startTime: lookUp(pid)?.startTime ?? 0 });
			return { child, pid, output: openOutput(read, log.child(pid, generation)) };
		} catch (error) {
			closeAll(pipe);
			const reason = whyNot(spec.path, error);
			log.say('error', `Could not start process ${reason}`);
			admit({ type: 'child.spawnFailed', child, reason });
			return null;
		}
	}

	const actor = fromCallback<ProcessCommand, ProcessInput>(({ input, receive }) => {
		const alive = spawn(input);
		if (!alive) return;
		living.set(alive.pid, alive);
		receive(({ signal, reason }) => {
			if (living.get(alive.pid) !== alive) return;
			admit({ type: 'child.signalled', child: alive.child, signal, reason });
			try {
				signalProcess(alive.pid, signal);
			} catch (error) {
				log.say('error', `Could not send SIG${signal} to ${alive.pid}: ${(error as Error).message}`);
			}
		});
	});

	/** Logs a child's last words and its end. Orphans that were given to us as PID 1 are none of the operator's business. */
	function ended(exit: Exit): Happening[] {
		const gone = living.get(exit.pid);
		if (!gone) return [];
		living.delete(exit.pid);
		gone.output.finish();
		log.say('info', `${exit.pid} ${howItEnded(exit)}`);
		return [{ type: 'child.exited', child: gone.child, ...exit }];
	}

	return { actor, ended };
}

/** The supervisor's own environment and what tells a child of its sockets and of itself. */
function childEnvironment({ env, listeners }: World['spec'], child: number) {
	const fds = listeners.map((_, index) => 3 + index).join(' ');
	return { ...env, EINHORN_FDS: fds, SOCKETMASTER_CHILD: String(child) };
}

function whyNot(path: string, error: unknown): string {
	if (!(error instanceof SyscallError)) return (error as Error).message;
	const what = error.syscall === 'posix_spawn' || error.syscall.startsWith('sys') ? `fork/exec ${path}` : error.syscall;
	return `${what}: ${error.message}`;
}
