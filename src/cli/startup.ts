/** How a supervisor starts: fresh, as the recovery of a killed supervisor, or as the next program of an upgrade. */
import { array, number, object, string } from 'valibot';
import type { Survivor } from '../effects/children/children.ts';
import { type NotifyDirOptions, notifyDirFor } from '../effects/children/notifyDir.ts';
import { notifySocketsSection, type SavedNotifySockets } from '../effects/children/notifySockets.ts';
import type { OpenPipe } from '../effects/children/output.ts';
import { fileJournal, type Journal, journalSection, memoryJournal } from '../effects/journal/journal.ts';
import type { Header } from '../effects/journal/lineSchemas.ts';
import { countersSchema, requestSchema, rotationsSchema, stateSchema } from '../effects/journal/stateSchemas.ts';
import type { Log } from '../effects/log/log.ts';
import type { Sink } from '../effects/log/sink.ts';
import { bootId, newRun } from '../effects/os/ids.ts';
import { lookUpSelf } from '../effects/os/proc.ts';
import type { User } from '../effects/os/user.ts';
import type { Listener } from '../effects/sockets/listener.ts';
import { type Listeners, openListeners } from '../effects/sockets/listeners.ts';
import { StartError } from '../effects/startError.ts';
import { type HandoverState, section } from '../effects/upgrade/handoverState.ts';
import type { Request } from '../machines/facts/facts.ts';
import { journalFormat } from '../machines/facts/feed.ts';
import type { SupervisorState } from '../machines/state/supervisorState.ts';
import type { Options } from './flags.ts';
import { type Found, findPrevious, nothingFound } from './previousRun.ts';
import { version } from './version.ts';

export interface Startup {
	/** The run id. Children have it as the variable SOCKETMASTER_RUN. */
	run: string;
	/** The number of the last fact of the previous supervisor process or program; 0 for the first one. */
	seq: number;
	/** `start`: a new process, also after a crash. `upgrade`: the next program in the same process. */
	by: 'start' | 'upgrade';
	/** The state to continue from; null for a fresh start. */
	state: SupervisorState | null;
	/** Requests and signals that the previous program did not process. */
	signals: Request[];
	listeners: Listeners;
	/** A sentence if the children that were taken over must be replaced at once; else null. */
	replacedFor: string | null;
	/** The children taken over from a killed supervisor. `pipes` are the output pipes of their processes. */
	survivors: Survivor[];
	pipes: OpenPipe[];
	/** The pids of surviving processes of exited children. They serve until a generation is up. */
	orphans: number[];
	notifySockets: SavedNotifySockets;
	journal: Journal;
}

/** All that a supervisor is run with. */
export interface Supervision {
	options: Options;
	startup: Startup;
	handoverState: HandoverState;
	/** Returns the path of the program; the unchanged -command while the program is not found. */
	path: () => string | Buffer;
	/** Writes the pid file. @throws {StartError} */
	claimPidFile: () => void;
	user: User | null;
	log: Log;
	sink: Sink;
}

export interface StartupOptions {
	options: Options;
	user: User | null;
	handoverState: HandoverState;
	signals: Request[];
	log: Log;
}

export const supervisorSection = section('supervisor', () =>
	object({
		run: string(),
		seq: number(),
		state: stateSchema(),
		rotations: rotationsSchema(),
		counters: countersSchema(),
		late: array(requestSchema()),
	}),
);

/** Restores or recovers the previous state, and opens the listeners and the journal. @throws {StartError} */
export async function startupOf({ options, user, handoverState, signals, log }: StartupOptions): Promise<Startup> {
	const { plan } = options;
	const path = journalPath(options);
	const inherited = handoverState.restore(supervisorSection);
	if (inherited) log.say('info', `Upgraded to version ${version}`);
	const found =
		inherited || path === null ? nothingFound : await findPrevious({ path, uris: options.listen, plan, user, log });
	const listeners = openListeners({
		uris: options.listen,
		handoverState,
		recovered: found.state ? found.listeners : null,
		orphaned: found.state ? [] : found.listeners,
		deniedPids: found.denied,
		say: (text) => log.say('info', text),
	});
	// All listeners are open, so no hidden process holds a wanted address. Unless the hidden processes are certainly
	// children, their pids are reused by other processes, and the start continues.
	if (found.denied.length > 0 && found.isDenialCertain) {
		listeners.close();
		const pids = found.denied.join(', ');
		throw new StartError(`Unable to start: children ${pids} of an earlier supervisor live on and can't be taken over`);
	}
	const { run, seq } = inherited ?? { run: found.run ?? newRun(), seq: found.seq };
	const left = inherited?.state ?? (found.state && { ...found.state, plan });
	const { rotations, counters } = inherited ?? found.past;
	// If no child and no respawn is left, this is a fresh start.
	const state = left && left.children.length + left.respawns.length > 0 ? left : null;
	const fd = inherited ? handoverState.restore(journalSection) : found.fd;
	const kept = handoverState.restore(notifySocketsSection) ?? found.notifySockets;
	// If children already serve, a missing notify directory does not end the supervisor.
	const isNeeded = plan.ready === 'notify' && state === null;
	const notifySockets = { ...kept, folder: notifyDirOr(listeners, { run, user, known: kept.folder, isNeeded, log }) };
	const journal =
		fd === null || path === null
			? memoryJournal({ state, rotations, counters }, handoverState)
			: fileJournal({
					path,
					fd,
					header: headerOf(run, listeners.all, notifySockets.folder),
					start: { state, rotations, counters },
					report: (text) => log.say('error', text),
					handoverState,
				});
	return {
		run,
		seq,
		by: inherited ? 'upgrade' : 'start',
		state,
		signals: [...(inherited?.late ?? []), ...signals],
		listeners,
		replacedFor: replacedFor(state, listeners, found),
		survivors: found.survivors,
		pipes: found.pipes,
		orphans: found.orphans,
		notifySockets,
		journal,
	};
}

function replacedFor(state: SupervisorState | null, { haveChanged }: Listeners, { isMarked }: Found): string | null {
	if (state === null || state.stopSignal !== null) return null;
	// The running children hold other sockets, so no child would accept on the new ones.
	if (haveChanged) return 'The listeners have changed';
	return isMarked ? 'What the children are is not known' : null;
}

/** Makes the notify directory. @throws {StartError} after the listeners are closed */
function notifyDirOr(listeners: Listeners, options: NotifyDirOptions): string | null {
	try {
		return notifyDirFor(options);
	} catch (error) {
		listeners.close();
		throw error;
	}
}

/** The path of the journal: -journal, else a file in $RUNTIME_DIRECTORY. Null if neither is set. */
export function journalPath({ journal }: Options): string | null {
	return journal || runtimeFile('journal');
}

/** The path of a file in $RUNTIME_DIRECTORY, which a service manager sets; null if it is not set. */
export function runtimeFile(name: string): string | null {
	const { RUNTIME_DIRECTORY = '', SOCKETMASTER_RUN } = process.env;
	// A supervisor that is a child of another supervisor inherits that supervisor's $RUNTIME_DIRECTORY. The files there
	// belong to the other supervisor.
	const [directory] = SOCKETMASTER_RUN ? [] : RUNTIME_DIRECTORY.split(':');
	return directory ? `${directory}/${name}` : null;
}

function headerOf(run: string, listeners: Listener[], notifyDir: string | null): Header {
	return {
		journal: journalFormat,
		program: version,
		boot: bootId(),
		run,
		pid: process.pid,
		startTime: lookUpSelf()?.startTime ?? 0,
		args: process.argv.slice(2),
		listeners: listeners.map(({ uri, address, inode, file }) => ({ uri, address, inode, file })),
		notifyDir,
	};
}
