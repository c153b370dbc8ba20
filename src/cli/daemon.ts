/** The composition root: gives the statecharts a world and starts them. */
import { share } from 'rxjs';
import { createActor, type EventObject, fromCallback } from 'xstate';
import { childrenOf } from '../effects/children/children.ts';
import { outputsOf } from '../effects/children/output.ts';
import { openDoor } from '../effects/door.ts';
import { jsonLog, type Log, textLog } from '../effects/log/log.ts';
import { sentenceOf } from '../effects/log/sentences.ts';
import { openSink, type Sink } from '../effects/log/sink.ts';
import { syslogWriter } from '../effects/log/syslog.ts';
import { fdWriter } from '../effects/log/writer.ts';
import { managerVariables, tellManager } from '../effects/manager.ts';
import { findCommand } from '../effects/os/command.ts';
import { sealDescriptors } from '../effects/os/descriptors.ts';
import { libc } from '../effects/os/libc.ts';
import { signals } from '../effects/os/signals.ts';
import { logicalDirectory } from '../effects/os/spawn.ts';
import { timerActor } from '../effects/os/timer.ts';
import { findUser, type User } from '../effects/os/user.ts';
import { exits } from '../effects/os/wait.ts';
import { StartError } from '../effects/startError.ts';
import { becomeProgram, commandLine, takeHandover } from '../effects/upgrade/handover.ts';
import { type Inheritance, inheritanceOf } from '../effects/upgrade/inheritance.ts';
import { preflightActor } from '../effects/upgrade/preflight.ts';
import type { Fact, Plan } from '../machines/facts.ts';
import { deliver, supervisorIn } from '../machines/world.ts';
import type { Options } from './flags.ts';
import { journalPath, type Origin, originOf } from './origin.ts';

/** How long a log that nobody reads may hold up the end or an upgrade, in milliseconds. */
const patience = 5000;

/** Runs the supervisor to its end, and with it the process. */
export async function runDaemon(options: Options): Promise<never> {
	sealDescriptors();
	const { sink, log } = openLog(options);
	process.on('uncaughtException', (error) => log.say('error', `Internal error: ${error.message}`));
	let status: number;
	try {
		const { path, user } = checkOptions(options);
		const { start, kill, signal: drain } = options;
		const plan = { start, kill, drain, size: 1 };
		const inheritance = inheritanceOf(takeHandover());
		const origin = originOf({ options, plan, inheritance, log });
		status = await supervise({ options, plan, origin, inheritance, path, user, log, sink });
		origin.listeners.close();
	} catch (error) {
		const { message } = error as Error;
		const sentence = error instanceof StartError ? message : `Internal error: ${message}`;
		log.say('error', sentence);
		if (options.syslog) process.stderr.write(`${sentence}\n`);
		status = 1;
	}
	return end(sink, status);
}

/** What can be wrong with the flags, before anything is opened. @throws {StartError} */
export function checkOptions({ command, user }: Options): { path: string; user: User | null } {
	if (!command) throw new StartError('Command path is mandatory');
	return {
		path: StartError.unless('Could not find executable', () => findCommand(command, process.env.PATH ?? '')),
		user: user ? StartError.unless('Unable to find user user:', () => findUser(user)) : null,
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

interface Supervision {
	options: Options;
	plan: Plan;
	origin: Origin;
	inheritance: Inheritance;
	path: string;
	user: User | null;
	log: Log;
	sink: Sink;
}

/** @returns the exit status, when the last child is gone */
function supervise({ options, plan, origin, inheritance, path, user, log, sink }: Supervision): Promise<number> {
	const { journal, listeners, run } = origin;
	const directory = logicalDirectory();
	const command = [path, ...options.args].join(' ');
	const outputs = outputsOf({ sink, log, inheritance });
	const reaped = exits().pipe(share());

	/** The way of a fact out of the door: recorded, then told. */
	function record(fact: Fact) {
		const before = journal.roster();
		journal.record(fact);
		const sentence = sentenceOf(fact, before, command);
		if (sentence) log.say(sentence.level, sentence.text);
		tellManager(fact, process.env);
	}

	const door = openDoor({ record, deliver: (happening) => deliver(supervisor, happening), after: origin.seq });
	inheritance.leave('supervisor', () => ({ state: { run, seq: door.last(), roster: journal.roster() }, fds: [] }));
	const children = childrenOf({
		admit: door.admit,
		log,
		outputs,
		spec: {
			path,
			args: options.args,
			env: childEnv(),
			directory,
			user,
			run,
			listeners: listeners.all.map(({ fd }) => fd),
		},
		isDurable: journal.isDurable,
		inheritance,
		recovered: origin.survivors,
	});
	const nextProgram = () => {
		const [name = '', ...args] = commandLine();
		return { path: findCommand(name, process.env.PATH ?? ''), args, directory };
	};
	const supervisor = createActor(
		supervisorIn({
			decide: door.decide,
			process: children.actor,
			timer: timerActor(door.admit),
			preflight: preflightActor({ admit: door.admit, exits: reaped, program: nextProgram }),
			handover: fromCallback<EventObject, void>(() => void handOver()),
		}),
	);

	/** Stops reading, waits until all that was read is written, and becomes the next program. */
	async function handOver() {
		try {
			do {
				outputs.hold();
				if (!(await sink.flush(patience))) throw new Error('nobody reads the log');
			} while (!sink.isIdle());
			followDirectory(directory);
			becomeProgram(inheritance, nextProgram().path, commandLine());
		} catch (error) {
			outputs.resume();
			door.admit({ type: 'upgrade.failed', reason: (error as Error).message });
		}
	}

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
		for (const pipe of origin.pipes) outputs.open(pipe);
		const { pid } = process;
		const { roster } = origin;
		if (roster) door.admit({ type: 'supervisor.recovered', pid, roster: { ...roster, unanswered: null } });
		else door.admit({ type: 'supervisor.started', pid, plan });
		// It was recorded, and no decision followed any more.
		if (roster?.unanswered) door.admit({ type: roster.unanswered });
		// Only now, so that children which ended in between are known by their names.
		signals().subscribe(door.admit);
		reaped.subscribe(children.ended);
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

/** What the manager told us is not for the children: a STOPPING=1 of one that drains would stop the service. */
function childEnv(): NodeJS.ProcessEnv {
	const none = Object.fromEntries(managerVariables.map((name) => [name, undefined]));
	return { ...process.env, ...none };
}
