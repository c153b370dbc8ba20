/** The composition root: gives the statecharts a world and starts them. */
import { merge, mergeMap } from 'rxjs';
import { createActor } from 'xstate';
import { childrenOf } from '../effects/children.ts';
import { openDoor } from '../effects/door.ts';
import { libc } from '../effects/libc.ts';
import { closeListener, type Listener, openListener } from '../effects/listener.ts';
import { jsonLog, type Log, textLog } from '../effects/log.ts';
import { outputsOf } from '../effects/output.ts';
import { logicalDirectory, sealDescriptors } from '../effects/process.ts';
import { exits } from '../effects/reaper.ts';
import { signals } from '../effects/signals.ts';
import { openSink, type Sink } from '../effects/sink.ts';
import { fdWriter } from '../effects/stderr.ts';
import { syslogWriter } from '../effects/syslog.ts';
import { timerActor } from '../effects/timer.ts';
import { findUser, type User } from '../effects/user.ts';
import { supervisorIn } from '../machines/world.ts';
import { findCommand } from './command.ts';
import type { Options } from './flags.ts';

/** How long a log that nobody reads may hold up the end, in milliseconds. */
const patience = 5000;

/** Runs the supervisor to its end, and with it the process. */
export async function runDaemon(options: Options): Promise<never> {
	sealDescriptors();
	const { sink, log } = openLog(options);
	process.on('uncaughtException', (error) => log.say('error', `Internal error: ${error.message}`));
	const listeners: Listener[] = [];
	let status: number;
	try {
		if (!options.command) throw new StartError('Command path is mandatory');
		const path = prepare('Could not find executable', () => findCommand(options.command, process.env.PATH ?? ''));
		for (const uri of options.listen) listeners.push(announce(uri, log));
		const user = options.user ? prepare('Unable to find user user:', () => findUser(options.user)) : null;
		status = await supervise(options, { path, listeners, user, log, sink });
	} catch (error) {
		if (!(error instanceof StartError)) throw error;
		log.say('error', error.message);
		if (options.syslog) process.stderr.write(`${error.message}\n`);
		status = 1;
	}
	for (const listener of listeners) closeListener(listener);
	return end(sink, status);
}

/** A thread that still writes to a log nobody reads would hold up exit(3), so _exit(2) it is then. */
async function end(sink: Sink, status: number): Promise<never> {
	if (!(await sink.flush(patience))) libc('_exit')(status);
	process.exit(status);
}

/** What went wrong before anything was started: one sentence. */
class StartError extends Error {}

/** @throws {StartError} with what was wanted and why it could not be had */
function prepare<T>(what: string, work: () => T): T {
	try {
		return work();
	} catch (error) {
		throw new StartError(`${what} ${(error as Error).message}`, { cause: error });
	}
}

function openLog({ syslog, json }: Options): { sink: Sink; log: Log } {
	try {
		const sink = openSink(syslog ? syslogWriter() : fdWriter(2));
		const log = json ? jsonLog(sink) : textLog(sink, { isStamped: !syslog });
		sink.onDropped((lines) => log.say('warn', `${lines} log lines were dropped: nobody took them`));
		return { sink, log };
	} catch (error) {
		process.stderr.write(`Unable to open syslog /dev/log: ${(error as Error).message}\n`);
		process.exit(1);
	}
}

function announce(uri: string, log: Log): Listener {
	log.say('info', `Listening on ${uri}`);
	const listener = prepare('Unable to open socket', () => openListener(uri));
	if (/:0*$/.test(uri)) log.say('info', `Bound to ${listener.address}`);
	return listener;
}

interface Means {
	path: string;
	listeners: Listener[];
	user: User | null;
	log: Log;
	sink: Sink;
}

/** @returns the exit status, when the last child is gone */
function supervise(options: Options, { path, listeners, user, log, sink }: Means): Promise<number> {
	const door = openDoor(() => {});
	const children = childrenOf({
		admit: door.admit,
		log,
		openOutput: outputsOf(sink),
		spec: {
			path,
			args: options.args,
			env: process.env,
			directory: logicalDirectory(),
			user,
			listeners: listeners.map(({ fd }) => fd),
		},
	});
	const supervisor = createActor(
		supervisorIn({
			facts: door.facts,
			process: children.actor,
			timer: timerActor(door.admit),
			report: ({ level, text }) => log.say(level, text),
		}),
	);
	merge(signals(), exits().pipe(mergeMap(children.ended))).subscribe(door.admit);
	return new Promise((resolve) => {
		// Signal handlers do not keep Node's event loop alive, and a child may close its output long before it ends.
		const presence = setInterval(() => {}, 2 ** 31 - 1);
		supervisor.subscribe({
			complete: () => {
				clearInterval(presence);
				resolve(supervisor.getSnapshot().output?.status ?? 1);
			},
		});
		supervisor.start();
		const { start, kill, signal: drain } = options;
		door.admit({ type: 'supervisor.started', pid: process.pid, plan: { start, kill, drain, size: 1 } });
	});
}
