/** The composition root: gives the statecharts a world and starts them. */
import { merge, mergeMap, Subject } from 'rxjs';
import { createActor, type EventObject, fromCallback } from 'xstate';
import { childrenOf } from '../effects/children.ts';
import { openDoor } from '../effects/door.ts';
import { becomeProgram, commandLine, handoverFormat } from '../effects/handover.ts';
import { libc } from '../effects/libc.ts';
import { closeListener } from '../effects/listener.ts';
import { jsonLog, type Log, textLog } from '../effects/log.ts';
import { managerVariables, notifyReady } from '../effects/notify.ts';
import { outputsOf } from '../effects/output.ts';
import { pidfdWatch } from '../effects/pidfd.ts';
import { preflightActor } from '../effects/preflight.ts';
import { type Exit, logicalDirectory, sealDescriptors } from '../effects/process.ts';
import { exits } from '../effects/reaper.ts';
import { signals } from '../effects/signals.ts';
import { openSink, type Sink } from '../effects/sink.ts';
import { fdWriter } from '../effects/stderr.ts';
import { syslogWriter } from '../effects/syslog.ts';
import { timerActor } from '../effects/timer.ts';
import { findUser, type User } from '../effects/user.ts';
import type { Plan } from '../machines/facts.ts';
import { describeState, supervisorIn } from '../machines/world.ts';
import { type Beginning, begin, journalPath } from './beginning.ts';
import { findCommand } from './command.ts';
import type { Options } from './flags.ts';
import { prepare, StartError } from './startError.ts';

/** How long a log that nobody reads may hold up the end or an upgrade, in milliseconds. */
const patience = 5000;

/** Runs the supervisor to its end, and with it the process. */
export async function runDaemon(options: Options): Promise<never> {
	sealDescriptors();
	const { sink, log } = openLog(options);
	const watch = pidfdWatch();
	process.on('uncaughtException', (error) => log.say('error', `Internal error: ${error.message}`));
	let status: number;
	try {
		const { path, user } = checkOptions(options);
		const { start, kill, signal: drain } = options;
		const plan = { start, kill, drain, size: 1 };
		const beginning = begin(options, plan, log);
		status = await supervise({ options, plan, beginning, path, user, log, sink, watch });
		for (const listener of beginning.listeners) closeListener(listener);
	} catch (error) {
		const { message } = error as Error;
		const sentence = error instanceof StartError ? message : `Internal error: ${message}`;
		log.say('error', sentence);
		if (options.syslog) process.stderr.write(`${sentence}\n`);
		status = 1;
	}
	watch.close();
	return end(sink, status);
}

/** What can be wrong with the flags, before anything is opened. @throws {StartError} */
export function checkOptions({ command, user }: Options): { path: string; user: User | null } {
	if (!command) throw new StartError('Command path is mandatory');
	return {
		path: prepare('Could not find executable', () => findCommand(command, process.env.PATH ?? '')),
		user: user ? prepare('Unable to find user user:', () => findUser(user)) : null,
	};
}

/** A thread that still writes to a log nobody reads would hold up exit(3), so _exit(2) it is then. */
async function end(sink: Sink, status: number): Promise<never> {
	if (!(await sink.flush(patience))) libc('_exit')(status);
	process.exit(status);
}

function openLog(options: Options): { sink: Sink; log: Log } {
	const { syslog, json } = options;
	// With a journal, what was read and not yet written is lost with a supervisor that is killed: one chunk, no more.
	const stallAt = journalPath(options) === null ? 256 * 1024 : 0;
	try {
		const sink = openSink(syslog ? syslogWriter() : fdWriter(2), stallAt);
		const log = json ? jsonLog(sink) : textLog(sink, { isStamped: !syslog });
		sink.onDropped((lines) => log.say('warn', `${lines} log lines were dropped: nobody took them`));
		return { sink, log };
	} catch (error) {
		process.stderr.write(`Unable to open syslog /dev/log: ${(error as Error).message}\n`);
		process.exit(1);
	}
}

interface Means {
	options: Options;
	plan: Plan;
	beginning: Beginning;
	path: string;
	user: User | null;
	log: Log;
	sink: Sink;
	watch: ReturnType<typeof pidfdWatch>;
}

/** @returns the exit status, when the last child is gone */
function supervise({ options, plan, beginning, path, user, log, sink, watch }: Means): Promise<number> {
	const { journal, listeners, survivors, run } = beginning;
	const directory = logicalDirectory();
	const outputs = outputsOf(sink, log);
	const reaped = new Subject<Exit>();
	const door = openDoor(
		(fact, isAtRest) => journal.record(fact, isAtRest ? () => describeState(supervisor) : null),
		Date.now,
		beginning.seq,
	);
	const children = childrenOf({
		admit: door.admit,
		log,
		outputs,
		spec: { path, args: options.args, env: childEnv(), directory, user, run, listeners: listeners.map(({ fd }) => fd) },
		isDurable: journal.fd() !== null,
		survivors,
		watch: watch.watch,
	});
	const nextProgram = () => {
		const [name = '', ...args] = commandLine();
		return { path: findCommand(name, process.env.PATH ?? ''), args, directory };
	};
	const supervisor = createActor(
		supervisorIn({
			facts: door.facts,
			process: children.actor,
			timer: timerActor(door.admit),
			preflight: preflightActor({ admit: door.admit, exits: reaped, program: nextProgram }),
			handover: fromCallback<EventObject, void>(() => void handOver()),
			report: ({ level, text }) => log.say(level, text),
		}),
	);

	/** Stops reading, waits until all that was read is written, and becomes the next program. */
	async function handOver() {
		try {
			do {
				outputs.hold();
				if (!(await sink.flush(patience))) throw new Error('nobody reads the log');
			} while (!sink.isIdle());
			const roster = journal.roster();
			if (!roster) throw new Error('nothing was started yet');
			followDirectory(directory);
			const strangers = [...survivors].flatMap(([child, { pidfd }]) => (pidfd === null ? [] : [child]));
			const handover = {
				format: handoverFormat,
				run,
				seq: door.last(),
				roster,
				listeners: listeners.map(({ uri, fd, file }) => ({ uri, fd, file })),
				pipes: outputs.hold(),
				journal: journal.fd(),
				strangers,
			};
			becomeProgram(handover, nextProgram().path, commandLine());
		} catch (error) {
			outputs.resume();
			door.admit({ type: 'upgrade.refused', reason: (error as Error).message });
		}
	}

	return new Promise((resolve) => {
		// Signal handlers do not keep Node's event loop alive, and a child may close its output long before it ends.
		const presence = setInterval(() => {}, 2 ** 31 - 1);
		supervisor.subscribe({
			next: ({ value }) => tellManager(String(value)),
			complete: () => {
				clearInterval(presence);
				resolve(supervisor.getSnapshot().output?.status ?? 1);
			},
		});
		supervisor.start();
		for (const pipe of beginning.pipes) outputs.open(pipe);
		const { pid } = process;
		if (beginning.roster) door.admit({ type: 'supervisor.recovered', pid, roster: beginning.roster });
		else door.admit({ type: 'supervisor.started', pid, plan });
		// Only now, so that children which ended in between are known by their names.
		merge(signals(), reaped.pipe(mergeMap(children.ended))).subscribe(door.admit);
		exits().subscribe(reaped);
	});
}

/** A relative path of the program is meant in the directory by its logical path; where that is gone we stay. */
function followDirectory(directory: string) {
	try {
		process.chdir(directory);
	} catch {
		// The program is looked for where we are.
	}
}

/** The manager is told once that the service is up. */
function tellManager(state: string) {
	if (!['running', 'draining'].includes(state) || !process.env.NOTIFY_SOCKET) return;
	notifyReady(process.env);
	delete process.env.NOTIFY_SOCKET;
}

/** What the manager told us is not for the children: a STOPPING=1 of one that drains would stop the service. */
function childEnv(): NodeJS.ProcessEnv {
	const none = Object.fromEntries(managerVariables.map((name) => [name, undefined]));
	return { ...process.env, ...none };
}
