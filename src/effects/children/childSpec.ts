/** The program, variables and fds of one child, from the options that all children share. */
import type { ProcessInput } from '../../machines/charts/protocol.ts';
import type { SpawnSpec, Variables } from '../os/spawn.ts';
import type { Listener } from '../sockets/listener.ts';
import { socketVariables } from './activationEnv.ts';
import type { StartedFrom } from './startedFrom.ts';

/** What all children share. */
export interface SharedSpec extends Omit<SpawnSpec, 'fds' | 'env' | 'directory'> {
	/** The working directory by its logical path, and whether -chdir names it. */
	directory: string;
	isDirectoryAsked: boolean;
	run: string;
	/** The variables of a generation's children. @throws {Error} if the variables can't be read */
	env: (generation: number) => Promise<Variables>;
	/** -systemd: children get LISTEN_PID too. */
	isSystemd: boolean;
	/** -watchdog, in milliseconds; 0 means none. */
	watchdogMs: number;
	/** The signals that stop a replaced child, and every child at a stop, without the SIG prefix. */
	drain: string;
	stop: string;
	/** -adopt: the file that children in Node load first; null means none. */
	adopt: string | null;
}

export interface ChildSpecOptions {
	spec: SharedSpec;
	/** The variables of the child's generation. */
	variables: Variables;
	input: ProcessInput;
	from: Pick<StartedFrom, 'fd' | 'directory'>;
	listeners: Listener[];
	/** The source fds of stdin, stdout and stderr. */
	streams: number[];
	notify: { fds: number[]; variables: Variables };
	/** Variables that name the child. */
	mark: Variables;
}

export function childSpec(options: ChildSpecOptions): SpawnSpec {
	const { spec, variables, input, from, listeners, streams, notify, mark } = options;
	// PWD is the real path. If PWD contained a symlink, a program that uses PWD (gunicorn) would load the next
	// version after the symlink has moved.
	const workingDirectory = spec.isDirectoryAsked && from.directory !== null ? { PWD: from.directory } : {};
	return {
		...spec,
		...(spec.isSystemd ? withListenPid(spec) : {}),
		env: {
			...variables,
			...workingDirectory,
			...socketVariables(listeners, input),
			...watchdogVariables(spec),
			...nodeVariables(spec, variables),
			...notify.variables,
			...mark,
		},
		fds: [...streams, ...listeners.map(({ fd }) => fd), ...notify.fds],
		directory: from.fd,
	};
}

/** A shell sets LISTEN_PID, and WATCHDOG_PID with -watchdog, to its own pid and executes the program: the pid is known only after the fork. */
function withListenPid({ path, args, watchdogMs }: SharedSpec): Pick<SpawnSpec, 'path' | 'args'> {
	const watchdog = watchdogMs > 0 ? 'WATCHDOG_PID=$$ ' : '';
	return { path: '/bin/sh', args: ['-c', `LISTEN_PID=$$ ${watchdog}exec "$0" "$@"`, path, ...args] };
}

/** Without WATCHDOG_PID, the interval holds for every process of the child (sd_watchdog_enabled(3)). */
function watchdogVariables({ watchdogMs }: SharedSpec): Variables {
	return watchdogMs > 0 ? { WATCHDOG_USEC: String(watchdogMs * 1000) } : {};
}

/** A child in Node learns its signals, and loads the file of -adopt. */
function nodeVariables({ drain, stop, adopt }: SharedSpec, { NODE_OPTIONS: given }: Variables): Variables {
	const signals = { SOCKETMASTER_SIGNAL: drain, SOCKETMASTER_STOP: stop };
	if (adopt === null) return signals;
	const ours = `--require "${adopt.replace(/["\\]/g, '\\$&')}"`;
	return { ...signals, NODE_OPTIONS: given === undefined ? ours : `${given} ${ours}` };
}
