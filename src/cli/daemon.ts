/** The composition root: checks the options, opens the resources, and runs a supervisor until it exits. */
import { readEnvironment } from '../effects/children/environmentFile.ts';
import { removeNotifyDir } from '../effects/children/notifyDir.ts';
import { requireDirectory } from '../effects/children/startedFrom.ts';
import { isJournalThere } from '../effects/journal/journalFile.ts';
import { jsonLog, type Log, textLog } from '../effects/log/log.ts';
import { openSink, type Sink } from '../effects/log/sink.ts';
import { syslogWriter } from '../effects/log/syslog.ts';
import { fdWriter, isJournalStream } from '../effects/log/writer.ts';
import { inspectAs } from '../effects/os/asOwner.ts';
import { checkAsUser, keepAsUser } from '../effects/os/asUser.ts';
import { inTime, isLate, lateText, start } from '../effects/os/boundedReads.ts';
import { sealDescriptors } from '../effects/os/descriptors.ts';
import { exitNow } from '../effects/os/exit.ts';
import { findCommand } from '../effects/os/findCommand.ts';
import { hasCapability } from '../effects/os/proc.ts';
import { flagValue, ownVariables } from '../effects/os/rawArgv.ts';
import { ignoreOtherSignals } from '../effects/os/signals.ts';
import { findUser, type User } from '../effects/os/user.ts';
import { removePidFile, writePidFile } from '../effects/pidFile.ts';
import { holdersText } from '../effects/sockets/holders.ts';
import { keepPaths } from '../effects/sockets/socketPathGuard.ts';
import { StartError } from '../effects/startError.ts';
import { hasColours } from '../effects/terminal/colours.ts';
import { takeHandover } from '../effects/upgrade/handover.ts';
import { newHandoverState } from '../effects/upgrade/handoverState.ts';
import type { Options } from './flags.ts';
import { supervise } from './run.ts';
import { journalPath, type Startup, type Supervision, startupOf } from './startup.ts';
import { misplacedText, whatWasMeant } from './suggestion.ts';

/** On exit the supervisor waits at most this long for the log to drain, in milliseconds. */
const flushTimeoutMs = 5000;

/** The numbers of the capabilities in <linux/capability.h>; see capabilities(7). */
const [CAP_KILL, CAP_SYS_PTRACE] = [5, 19];

/** Runs the supervisor until it exits, and ends the process. */
export async function runDaemon(options: Options): Promise<never> {
	sealDescriptors();
	ignoreOtherSignals();
	const { sink, log } = openLog(options);
	let status: number;
	try {
		if (!options.command && options.args.length > 0)
			log.say('error', whatWasMeant(options.args, process.env.PATH ?? ''));
		const user = checkOptions(options);
		const handover = takeHandover();
		if (options.command && options.misplaced && !handover) log.say('warn', misplacedText(options.misplaced));
		const problem = await problemWithFiles(options);
		// If children of an earlier supervisor may be alive, take them over first. The problem then fails the next
		// rotation.
		if (problem && handover === null && !mayBeRecovered(options)) throw problem;
		if (user) StartError.unless('Unable to keep what starts processes of another user:', keepAsUser);
		if (user && user.uid !== process.geteuid?.() && hasCapability(CAP_KILL) === false)
			log.say('error', `Without CAP_KILL no signal reaches the processes of ${user.name}: they do not leave`);
		if (user && process.geteuid?.() === 0 && hasCapability(CAP_SYS_PTRACE) === false) inspectAs(user);
		const handoverState = newHandoverState(handover?.states ?? null);
		const signals = handover?.signals ?? [];
		const startup = await startupOf({ options, user, handoverState, signals, log }).catch(async (error: Error) => {
			const holders = await holdersText(error, journalPath(options) !== null);
			if (holders !== null) log.say('error', holders);
			throw error;
		});
		if (problem && startup.state === null) {
			withdraw(startup);
			throw problem;
		}
		if (problem) log.say('error', `${problem.message}; the children of the earlier program are taken over`);
		const path = commandPath(options);
		const claim = () => claimPidFile(options.pidfile, startup, log);
		const parts = { options, startup, handoverState, path, claimPidFile: claim, user, log, sink };
		status = await superviseOrWithdraw(parts);
		startup.listeners.close();
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
 * Writes the pid file. Call after the listeners and the control sockets are open: a second supervisor that is started
 * by mistake fails before this point, and does not overwrite the file of the first. If children already serve, an error
 * is only logged.
 * @throws {StartError}
 */
function claimPidFile(path: string, { state }: Startup, log: Log) {
	if (path === '') return;
	try {
		StartError.unless(`Unable to write pid file ${path}:`, () => writePidFile(path));
	} catch (error) {
		if (state === null) throw error;
		log.say('error', (error as Error).message);
	}
}

/** Runs the supervisor. @throws {StartError} after all files and sockets of this start are removed */
async function superviseOrWithdraw(supervision: Supervision): Promise<number> {
	const stopKeeping = keepPaths(supervision.startup.listeners.all, supervision.log);
	try {
		const status = await supervise(supervision);
		stopKeeping();
		return status;
	} catch (error) {
		stopKeeping();
		if (error instanceof StartError) {
			withdraw(supervision.startup);
			if (supervision.options.pidfile) removePidFile(supervision.options.pidfile);
		}
		throw error;
	}
}

/** Removes the files and sockets of a start that has spawned no child. */
function withdraw({ listeners, notifySockets, run }: Startup) {
	listeners.close();
	if (notifySockets.folder) removeNotifyDir(notifySockets.folder, run);
}

/** Checks the flags before anything is opened. @returns the user of -user. @throws {StartError} */
function checkOptions({ command, user, journal, control, share, pidfile }: Options): User | null {
	if (!command) throw new StartError('Command path is mandatory');
	refuseShared({ journal, control, share, pidfile });
	return user ? StartError.unless('Unable to find user user:', () => findUser(user)) : null;
}

/** Checks the files that a spawn of children needs. @returns the error; null if all files are usable */
async function problemWithFiles(options: Options): Promise<StartError | null> {
	try {
		await checkFiles(options);
		return null;
	} catch (error) {
		if (error instanceof StartError) return error;
		throw error;
	}
}

/** @throws {StartError} */
async function checkFiles(options: Options): Promise<void> {
	const { env, chdir } = options;
	if (env) {
		const read = await inTime(env, start, () => readEnvironment(env)).catch((error: Error) => {
			throw new StartError(`Unable to read ${error.message}`);
		});
		if (isLate(read)) throw new StartError(`Unable to read ${lateText(`-env ${env}`, read)}`);
	}
	if (chdir) StartError.unless(`Unable to use -chdir ${chdir}:`, () => requireDirectory(chdir));
	StartError.unless('Could not find executable', () => findExecutable(options));
}

/** @throws {Error} with a message for the operator */
function findExecutable({ command, args, chdir }: Options): string | Buffer {
	return findCommand(flagValue('command', command, args.length), ownVariables().PATH ?? '', chdir);
}

/**
 * Returns a function that looks up the path of the program, until the program is found once. While the program is not
 * found, the function returns -command unchanged, and each spawn fails.
 */
function commandPath(options: Options): () => string | Buffer {
	let found: string | Buffer | null = null;
	return () => {
		try {
			found ??= findExecutable(options);
		} catch {
			return flagValue('command', options.command, options.args.length);
		}
		return found;
	};
}

/** Whether a journal exists, which may record children that are alive. */
function mayBeRecovered(options: Options): boolean {
	const path = journalPath(options);
	return path !== null && isJournalThere(path);
}

/** Refuses two flags with the same path: each would replace the file of the other. @throws {StartError} */
function refuseShared(paths: Record<string, string>) {
	const known = new Map<string, string>();
	for (const [flag, named] of Object.entries(paths)) {
		const path = named.replace(/\/+/g, '/');
		const other = known.get(path);
		if (path && other) throw new StartError(`-${other} and -${flag} are the same path ${path}`);
		if (path) known.set(path, flag);
	}
}

/** Runs in a new program, as a part of its preflight check: checks its options, files and modules. @throws {Error} */
export async function checkInstallation(options: Options): Promise<void> {
	const user = checkOptions(options);
	await checkFiles(options);
	if (options.json) jsonLog({ write: () => {} });
	if (user) checkAsUser();
}

/** Flushes the log, within `flushTimeoutMs`, and ends the process. */
async function end(sink: Sink, status: number): Promise<never> {
	await sink.flush(flushTimeoutMs);
	return exitNow(status);
}

function openLog(options: Options): { sink: Sink; log: Log } {
	const { syslog, json } = options;
	// A supervisor with a journal recovers from SIGKILL, and loses the output of children that it has read but not
	// written. A threshold of 0 limits the loss to one chunk.
	const stallAt = journalPath(options) === null ? 256 * 1024 : 0;
	try {
		const sink = openSink(syslog ? syslogWriter() : fdWriter(2), stallAt);
		const isJournal = !syslog && isJournalStream(2, process.env);
		const form = options.output === 'raw' ? 'raw' : 'prefix';
		const log = json
			? jsonLog(sink, form)
			: textLog(sink, syslog ? 'none' : isJournal ? 'level' : 'stamp', form, !syslog && hasColours(2));
		sink.onDropped((lines) => log.say('warn', `${lines} log lines were dropped: nobody took them`));
		return { sink, log };
	} catch (error) {
		const [words] = (error as Error).message.split('\n');
		process.stderr.write(`Unable to open ${syslog ? 'syslog /dev/log' : 'the log'}: ${words}\n`);
		exitNow(1);
	}
}
