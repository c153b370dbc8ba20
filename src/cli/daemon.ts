/** The composition root: gives the statecharts a world and starts them. */
import { share } from 'rxjs';
import { createActor } from 'xstate';
import { isOthersAnnouncement } from '../effects/children/announcement.ts';
import { childrenOf } from '../effects/children/children.ts';
import { generationEnvironments } from '../effects/children/environment.ts';
import { readEnvironment } from '../effects/children/environmentFile.ts';
import { outputsOf } from '../effects/children/output.ts';
import { proofActor } from '../effects/children/proof.ts';
import { removeWordFolder } from '../effects/children/wordFolder.ts';
import { childWords } from '../effects/children/words.ts';
import { type Door, openDoor } from '../effects/door.ts';
import { faultHandler, faultVariable, mayFail } from '../effects/fault.ts';
import { jsonLog, type Log, textLog } from '../effects/log/log.ts';
import { drainReminder } from '../effects/log/reminder.ts';
import { openSink, type Sink } from '../effects/log/sink.ts';
import { syslogWriter } from '../effects/log/syslog.ts';
import { fdWriter, isJournalStream } from '../effects/log/writer.ts';
import { managerVariables, tellManager } from '../effects/manager.ts';
import { checkAsUser } from '../effects/os/asUser.ts';
import { commandLine, flagValue, ownVariables } from '../effects/os/bytes.ts';
import { findCommand } from '../effects/os/command.ts';
import { sealDescriptors } from '../effects/os/descriptors.ts';
import { isDisposing } from '../effects/os/disposal.ts';
import { libc } from '../effects/os/libc.ts';
import { ignoreOtherSignals, signals, wasDebuggerClosed } from '../effects/os/signals.ts';
import { logicalDirectory, type Variables } from '../effects/os/spawn.ts';
import { timerActor } from '../effects/os/timer.ts';
import { findUser, type User } from '../effects/os/user.ts';
import { exits } from '../effects/os/wait.ts';
import { removePidFile, writePidFile } from '../effects/pidFile.ts';
import { keepPaths } from '../effects/sockets/keeper.ts';
import { StartError } from '../effects/startError.ts';
import { takeHandover } from '../effects/upgrade/handover.ts';
import { type Inheritance, inheritanceOf } from '../effects/upgrade/inheritance.ts';
import { preflightActor } from '../effects/upgrade/preflight.ts';
import { handoverActor, nextProgram, replaceProgram } from '../effects/upgrade/replacement.ts';
import type { Fact, Plan, Request } from '../machines/facts.ts';
import { withoutUnfinished } from '../machines/roster.ts';
import { sentenceOf } from '../machines/sentences.ts';
import { deliver, supervisorIn } from '../machines/world.ts';
import type { Options } from './flags.ts';
import { journalPath, type Origin, originOf, supervisorPart } from './origin.ts';

/** How long a log that nobody reads may hold up the end or an upgrade, in milliseconds. */
const patience = 5000;

/** Runs the supervisor to its end, and with it the process. */
export async function runDaemon(options: Options): Promise<never> {
	sealDescriptors();
	ignoreOtherSignals();
	const { sink, log } = openLog(options);
	let status: number;
	try {
		const { path, user } = checkOptions(options);
		const { start, ready, kill, signal: drain, stop, workers: size, respawn } = options;
		const plan = { start, ready, kill, drain, stop, size, respawn };
		const handover = takeHandover();
		const inheritance = inheritanceOf(handover?.states ?? null);
		const origin = originOf({ options, plan, user, inheritance, signals: handover?.signals ?? [], log });
		if (options.pidfile) claimPidFile(options.pidfile, origin, log);
		const stopKeeping = keepPaths(origin.listeners.all, log);
		status = await supervise({ options, plan, origin, inheritance, path, user, log, sink });
		stopKeeping();
		origin.listeners.close();
		if (options.pidfile) removePidFile(options.pidfile);
	} catch (error) {
		const { message } = error as Error;
		const sentence = error instanceof StartError ? message : `Internal error: ${message}`;
		log.say('error', sentence);
		if (options.syslog) process.stderr.write(`${sentence}\n`);
		status = 1;
	}
	return end(sink, status);
}

/**
 * After the listeners: a second supervisor by mistake must not take the file of the first. Where children serve already it
 * is no reason to end.
 * @throws {StartError}
 */
function claimPidFile(path: string, { listeners, words, run, roster }: Origin, log: Log) {
	try {
		StartError.unless(`Unable to write pid file ${path}:`, () => writePidFile(path));
	} catch (error) {
		if (roster) return log.say('error', (error as Error).message);
		listeners.close();
		if (words.folder) removeWordFolder(words.folder, run);
		throw error;
	}
}

/** What can be wrong with the flags, before anything is opened. @throws {StartError} */
export function checkOptions({ command, user, args, env }: Options): { path: string | Buffer; user: User | null } {
	if (!command) throw new StartError('Command path is mandatory');
	if (env) StartError.unless('Unable to read', () => readEnvironment(env));
	return {
		path: StartError.unless('Could not find executable', () =>
			findCommand(flagValue('command', command, args.length), ownVariables().PATH ?? ''),
		),
		user: user ? StartError.unless('Unable to find user user:', () => findUser(user)) : null,
	};
}

/** What else can be wrong with a program that is to take over. @throws {Error} */
export function checkInstallation(options: Options): void {
	const { user } = checkOptions(options);
	if (options.json) jsonLog({ write: () => {} });
	if (user) checkAsUser();
}

/** A thread that still writes to a log nobody reads, or closes what lingers, would hold up exit(3), so _exit(2) it is then. */
async function end(sink: Sink, status: number): Promise<never> {
	if (!(await sink.flush(patience)) || isDisposing()) libc('_exit')(status);
	process.exit(status);
}

function openLog(options: Options): { sink: Sink; log: Log } {
	const { syslog, json } = options;
	// With a journal, what was read and not yet written is lost with a supervisor that is killed: one chunk, no more.
	const stallAt = journalPath(options) === null ? 256 * 1024 : 0;
	try {
		const sink = openSink(syslog ? syslogWriter() : fdWriter(2), stallAt);
		const isJournal = !syslog && isJournalStream(2, process.env);
		const log = json ? jsonLog(sink) : textLog(sink, syslog ? 'none' : isJournal ? 'level' : 'stamp');
		sink.onDropped((lines) => log.say('warn', `${lines} log lines were dropped: nobody took them`));
		return { sink, log };
	} catch (error) {
		const [words] = (error as Error).message.split('\n');
		process.stderr.write(`Unable to open ${syslog ? 'syslog /dev/log' : 'the log'}: ${words}\n`);
		process.exit(1);
	}
}

interface Supervision {
	options: Options;
	plan: Plan;
	origin: Origin;
	inheritance: Inheritance;
	path: string | Buffer;
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

	/** What was asked for when the statecharts had failed: that is not what they failed on. */
	const late: Request[] = [];
	const reminder = drainReminder(log, () => journal.past().roster);

	/** The way of a fact out of the door: recorded, then told. */
	function record(fact: Fact) {
		const before = journal.past().roster;
		journal.record(fact);
		if (fault.wasMet() && isRequest(fact)) late.push(requestOf(fact));
		const sentence = sentenceOf(fact, before, command);
		if (sentence) log.say(sentence.level, sentence.text);
		tellManager(fact, process.env);
		reminder.note(fact);
	}

	const door = openDoor({
		record,
		deliver: (happening) => deliver(supervisor, happening),
		rest: journal.rest,
		after: origin.seq,
	});
	const words = childWords({
		admit: door.admit,
		log,
		run,
		user,
		isDurable: journal.isDurable,
		isNeeded: plan.ready === 'notify',
		inheritance,
		kept: origin.words,
		phaseOf: (child) => journal.past().roster?.children.find((each) => each.child === child)?.phase ?? null,
		childOf: (pid) => journal.past().roster?.children.find((each) => each.pid === pid)?.child ?? null,
	});
	const environment = generationEnvironments({
		path: options.env,
		inheritance,
		isThere: (generation) => {
			const { children = [], respawns = [] } = journal.past().roster ?? {};
			return [...children, ...respawns].some((each) => each.generation === generation);
		},
	});
	const inherited = inheritedVariables();
	const children = childrenOf({
		admit: door.admit,
		log,
		outputs,
		spec: {
			path,
			args: options.args.length > 0 ? commandLine().slice(-options.args.length) : [],
			env: (generation) => ({ ...inherited, ...environment(generation) }),
			directory,
			run,
			isSystemd: options.systemd,
		},
		words,
		listeners: listeners.all,
		user,
		isDurable: journal.isDurable,
		inheritance,
		recovered: origin.survivors,
	});
	const replacement = { inheritance, outputs, sink, directory, isSettled: children.isSettled };
	const fault = faultHandler({ log, sink, replace: () => replaceProgram(replacement) });
	for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, fault.meet);
	inheritance.leave(supervisorPart, () => {
		const { roster, ...rest } = journal.past();
		const left = roster && fault.wasMet() ? withoutUnfinished(roster) : roster;
		return {
			state: { run, seq: door.last(), roster: left, ...rest, late },
			fds: [],
		};
	});
	const supervisor = createActor(
		supervisorIn({
			decide: (decision) => {
				mayFail(decision.type);
				door.decide(decision);
			},
			process: children.actor,
			timer: timerActor({ admit: door.admit, stoppedPid: children.stoppedPid, hearNow: words.hearNow }),
			proof: proofActor({ admit: door.admit, listeners: listeners.all, run, pidOf: children.pidOf }),
			preflight: preflightActor({
				admit: door.admit,
				exits: reaped,
				inheritance,
				program: () => nextProgram(directory),
			}),
			handover: handoverActor(door.admit, replacement),
		}),
	);

	return new Promise((resolve) => {
		// Signal handlers do not keep Node's event loop alive, and a child may close its output long before it ends.
		const presence = setInterval(() => {}, 2 ** 31 - 1);
		supervisor.subscribe({
			complete: () => {
				clearInterval(presence);
				words.close();
				if (journal.isDurable) outputs.abandon();
				resolve(supervisor.getSnapshot().output?.status ?? 1);
			},
			error: fault.meet,
		});
		supervisor.start();
		for (const pipe of origin.pipes) outputs.open(pipe);
		begin(origin, plan, log, door);
		// Only now, so that children which ended in between are known by their names.
		signals().subscribe(door.admit);
		if (wasDebuggerClosed()) log.say('warn', 'A SIGUSR1 came too early and opened the debugger of Node; it was closed');
		reaped.subscribe(children.ended);
	});
}

/** The first facts of a life: it starts, or goes on with what an earlier one had not answered yet. */
function begin({ by, roster, signals, listeners }: Origin, plan: Plan, log: Log, { admit }: Door) {
	const { pid } = process;
	if (roster === null) admit({ type: 'supervisor.started', pid, plan });
	else admit({ type: 'supervisor.recovered', pid, by, roster: { ...roster, unanswered: null } });
	if (roster?.unanswered && !isStop(roster.unanswered, by)) admit({ type: roster.unanswered });
	// Whoever runs already has other sockets: nobody would accept on the new ones.
	if (roster?.stopSignal === null && listeners.haveChanged) {
		log.say('info', 'The listeners have changed: the children are replaced at once');
		admit({ type: 'rotate.requested' });
	}
	for (const signal of signals) admit(signal);
}

/** A request that the statecharts answer, and the roster keeps until they have. */
function isRequest(fact: Fact): fact is Fact & Request {
	return /^(signal\.(HUP|TERM|INT|QUIT)|(rotate|stop)\.requested)$/.test(fact.type);
}

function requestOf(fact: Fact & Request): Request {
	return fact.type === 'stop.requested' && fact.kill !== undefined
		? { type: fact.type, kill: fact.kill }
		: { type: fact.type };
}

/** A start is a wish to serve: a stop that was asked for and not begun is not begun then. */
function isStop(request: Request['type'], by: Origin['by']): boolean {
	return by === 'start' && ['signal.TERM', 'signal.INT', 'stop.requested'].includes(request);
}

/**
 * Ours, but for what the manager told us (a child's STOPPING=1 would stop the service), what others said of their own
 * sockets, and how we fared.
 */
function inheritedVariables(): Variables {
	const variables = ownVariables();
	for (const name of Object.keys(variables)) {
		if (managerVariables.includes(name) || isOthersAnnouncement(name) || name === faultVariable) delete variables[name];
	}
	return variables;
}
