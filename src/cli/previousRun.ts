/** Finds what a killed supervisor left: its journal and its children. */
import type { Survivor } from '../effects/children/children.ts';
import { removeNotifyDir } from '../effects/children/notifyDir.ts';
import type { SavedNotifySockets } from '../effects/children/notifySockets.ts';
import type { OpenPipe } from '../effects/children/output.ts';
import { findByMarks } from '../effects/journal/byMarks.ts';
import { isOfAJournal, keptBeside, Locked, openJournal, readSound, setAside } from '../effects/journal/journalFile.ts';
import type { Header } from '../effects/journal/lineSchemas.ts';
import { nothingRead, UnreadableJournal } from '../effects/journal/lines.ts';
import {
	type Denied,
	foldJournal,
	type Orphaned,
	type Recovered,
	recover,
	unknownText,
} from '../effects/journal/recovery.ts';
import type { Log } from '../effects/log/log.ts';
import { closeAll } from '../effects/os/descriptors.ts';
import { errorText } from '../effects/os/errorText.ts';
import type { User } from '../effects/os/user.ts';
import type { Listener } from '../effects/sockets/listener.ts';
import { StartError } from '../effects/startError.ts';
import type { Plan } from '../machines/facts/facts.ts';
import { noProjections, type Projections } from '../machines/state/projections.ts';
import type { SupervisorState } from '../machines/state/supervisorState.ts';

/** What was found of a killed supervisor. */
export interface Found {
	/** The open journal; null if the facts of this supervisor cannot be recorded in a file. */
	fd: number | null;
	/** The run id; null if no child was taken over. */
	run: string | null;
	/** The projections of all facts in the journal. */
	past: Projections;
	state: SupervisorState | null;
	seq: number;
	survivors: Survivor[];
	pipes: OpenPipe[];
	listeners: Listener[];
	/** The pids of surviving processes of exited children. They hold the listeners. */
	orphans: number[];
	notifySockets: SavedNotifySockets;
	/** The children were found by the marks in their environment, as the journal does not record them. */
	isMarked: boolean;
	/** The pids of live processes that can't be taken over, and whether they are certainly children. */
	denied: number[];
	isDenialCertain: boolean;
}

export const nothingFound: Found = {
	fd: null,
	run: null,
	past: noProjections,
	state: null,
	seq: 0,
	survivors: [],
	pipes: [],
	listeners: [],
	orphans: [],
	notifySockets: { folder: null, ack: null, sockets: [] },
	isMarked: false,
	denied: [],
	isDenialCertain: false,
};

export interface Previous {
	path: string;
	uris: string[];
	plan: Plan;
	user: User | null;
	log: Log;
}

/** Opens the journal, and takes over the children of the supervisor that wrote it. @throws {StartError} */
export async function findPrevious(previous: Previous): Promise<Found> {
	const { path, log } = previous;
	const opened = await openJournal(path).catch((error: Error) => error);
	if (opened instanceof Error) return withoutJournal(opened, previous);
	const { fd, bytes } = opened;
	try {
		const { content, unreadable } = readOrNot(fd, path, bytes);
		const { past, seq } = foldJournal(content);
		const recorded = await recoverRecorded(content.header, past.state, previous, false);
		const marked = recorded === null || recorded === 'less' ? await recoverMarked(bytes, previous) : null;
		// If no children are found by their marks, take over those that the incomplete journal records.
		const taken =
			marked ?? (recorded === 'less' ? await recoverRecorded(content.header, past.state, previous, true) : recorded);
		const { header } = content;
		if (taken === null && header?.notifyDir) removeNotifyDir(header.notifyDir, header.run);
		for (const problem of content.problems) log.say('warn', `Journal ${path}: ${problem}`);
		const found = {
			...nothingFound,
			past,
			...(taken === 'less' ? null : taken),
			fd,
			seq: Math.max(seq, marked?.seq ?? 0),
		};
		if (unreadable === null) return found;
		// If the file is no journal and no children were found, fail and leave the file unchanged.
		if (marked === null && !isOfAJournal(bytes)) throw unreadable;
		log.say('warn', `Journal ${path}: ${unreadable.message}`);
		const why = setAside(fd, path, bytes);
		if (why === null) log.say('warn', `Journal ${path}: it is kept in ${path}.bad, and a new one begins`);
		else
			log.say(
				'error',
				`Journal ${path}: it can't be kept in ${path}.bad, and is left as it is: ${why}; nothing is recorded`,
			);
		if (why !== null) closeAll([fd]);
		return { ...found, fd: why === null ? fd : null };
	} catch (error) {
		closeAll([fd]);
		throw new StartError(`Unable to use journal ${path}: ${errorText(error)}`, { cause: error });
	}
}

/**
 * The journal can't be opened: its directory is gone, say, or its file system is read-only. The children are taken over
 * if they are found by their marks.
 * @throws {StartError} if none are found, or if another supervisor writes to the journal
 */
async function withoutJournal(error: Error, previous: Previous): Promise<Found> {
	const { path, log } = previous;
	const failure = new StartError(`Unable to open journal ${path}: ${errorText(error)}`, { cause: error });
	if (error instanceof Locked) throw failure;
	const marked = await recoverMarked(Buffer.alloc(0), previous).catch(() => null);
	if (marked === null) throw failure;
	log.say('error', `${failure.message}; nothing is recorded`);
	return { ...nothingFound, ...marked };
}

/** Reads the journal. If no line can be read, returns empty content with the error. */
function readOrNot(fd: number, path: string, bytes: Buffer) {
	try {
		return { content: readSound(fd, path, bytes), unreadable: null };
	} catch (error) {
		if (!(error instanceof UnreadableJournal)) throw error;
		return { content: nothingRead(), unreadable: error };
	}
}

/**
 * Takes over the recorded children that are alive.
 * @param isAll takes over the recorded children even if the journal does not record all
 * @returns null if there is nothing to take over; `less` if children are alive that the journal does not record
 */
async function recoverRecorded(
	header: Header | null,
	state: SupervisorState | null,
	{ path, user, log }: Previous,
	isAll: boolean,
): Promise<Partial<Found> | 'less' | null> {
	if (!header || !state) return null;
	const found = await recover(header, state, { user, isAll, say: (text) => log.say('warn', text) });
	if (found === null) return null;
	if ('unrecorded' in found) {
		log.say('warn', unknownText(found.unrecorded));
		return 'less';
	}
	const taken = takenFrom(header, found, log);
	if (taken.survivors) log.say('info', `Recovered from ${path}: took over ${pidsOf(taken.survivors)}`);
	return taken;
}

/** Takes over the children that are found by their marks. @throws {Error} if their supervisor is alive */
async function recoverMarked(bytes: Buffer, { path, uris, plan, user, log }: Previous): Promise<Partial<Found> | null> {
	const marked = await findByMarks({ files: [bytes, keptBeside(path)], uris, plan, user });
	if (marked === null) return null;
	const { header, state, seq } = marked;
	const found = await recover(header, state, { user, isAll: true, say: (text) => log.say('warn', text) });
	if (found === null || 'unrecorded' in found) return null;
	const taken = takenFrom(header, found, log);
	if (taken.survivors) {
		const pids = pidsOf(taken.survivors);
		log.say('warn', `Recovered without the records of ${path}: took over ${pids}, found by their environment`);
	}
	return { ...taken, seq, isMarked: true };
}

function takenFrom(header: Header, found: Recovered | Denied | Orphaned, log: Log): Partial<Found> {
	if ('orphaned' in found) {
		if (header.notifyDir) removeNotifyDir(header.notifyDir, header.run);
		log.say('warn', unknownText(found.pids));
		return found.orphaned;
	}
	if ('denied' in found) {
		log.say('error', `Children ${found.denied.join(', ')} of an earlier supervisor can't be taken over: ${found.why}`);
		return { denied: found.denied, isDenialCertain: found.isCertain };
	}
	const { remarks, ...rest } = found;
	for (const remark of remarks) log.say('warn', remark);
	return { run: header.run, ...rest };
}

function pidsOf(survivors: Survivor[]): string {
	return survivors
		.filter(({ group }) => group === null)
		.map(({ pid }) => pid)
		.join(', ');
}
