/** How a supervisor's life begins: anew, in the place of one that was killed, or of one that made room. */
import { closeSync, ftruncateSync, writeFileSync } from 'node:fs';
import type { Survivor } from '../effects/children.ts';
import { type Handover, takeHandover } from '../effects/handover.ts';
import { bootId, newRun } from '../effects/identity.ts';
import { fileJournal, type Journal, lockJournal, memoryJournal } from '../effects/journal.ts';
import { format, type Header, type JournalContent, readJournal } from '../effects/journalFormat.ts';
import { closeListener, type Listener, openListener, takeListener } from '../effects/listener.ts';
import type { Log } from '../effects/log.ts';
import { storeListeners, takeStored } from '../effects/notify.ts';
import type { OpenPipe } from '../effects/output.ts';
import { openPidfd } from '../effects/pidfd.ts';
import { lookUp } from '../effects/process.ts';
import { foldJournal, recover } from '../effects/recovery.ts';
import type { Plan } from '../machines/facts.ts';
import { type Roster, stateOf } from '../machines/roster.ts';
import type { Options } from './flags.ts';
import { prepare } from './startError.ts';
import { version } from './version.ts';

export interface Beginning {
	/** What children carry as SOCKETMASTER_RUN. */
	run: string;
	/** The number of the last fact of an earlier life. */
	seq: number;
	/** What goes on; null for a fresh start. */
	roster: Roster | null;
	listeners: Listener[];
	survivors: Map<number, Survivor>;
	/** Pipes of children that are gone, which their own children still write to. */
	pipes: OpenPipe[];
	journal: Journal;
}

/** @throws {StartError} */
export function begin(options: Options, plan: Plan, log: Log): Beginning {
	const handover = takeHandover();
	if (handover) return takeOver(handover, options, log);
	const path = journalPath(options);
	if (path === null) {
		const listeners = openListeners(options, [], log);
		return {
			run: newRun(),
			seq: 0,
			roster: null,
			listeners,
			survivors: new Map(),
			pipes: [],
			journal: memoryJournal(null),
		};
	}
	return beginFromJournal(path, options, plan, log);
}

/** Where the facts go: the flag's path, else the directory that a service manager gave us, else nowhere. */
export function journalPath({ journal }: Options): string | null {
	const [directory] = (process.env.RUNTIME_DIRECTORY ?? '').split(':');
	return journal || (directory ? `${directory}/journal` : null);
}

function beginFromJournal(path: string, options: Options, plan: Plan, log: Log): Beginning {
	const { fd, text } = prepare(`Unable to open journal ${path}:`, () => lockJournal(path));
	try {
		const content = prepare(`Unable to use journal ${path}:`, () => readJournal(text));
		for (const problem of content.problems) log.say('warn', `Journal ${path}: ${problem}`);
		keepSound(fd, path, text, content);
		const { roster, seq } = foldJournal(content);
		const found = findPrevious(content.header, roster, path, log);
		const listeners = openListeners(options, found?.listeners ?? [], log, found?.denied ?? []);
		const run = found?.roster ? (content.header?.run ?? newRun()) : newRun();
		const start = found?.roster ? { ...found.roster, plan } : null;
		const survivors = found?.survivors ?? new Map();
		const header = headerOf(run, listeners);
		const journal = fileJournal({ path, fd, header, start: roster, report: (words) => log.say('error', words) });
		return { run, seq, roster: start, listeners, survivors, pipes: [], journal };
	} catch (error) {
		closeSync(fd);
		throw error;
	}
}

/** Cuts the file to what was understood; what was not is kept beside it unless it is just a torn line. */
function keepSound(fd: number, path: string, text: string, { soundLength }: JournalContent) {
	const bytes = Buffer.from(text);
	if (bytes.length === soundLength) return;
	if (bytes.includes(10, soundLength)) writeFileSync(`${path}.bad`, bytes.subarray(soundLength), { mode: 0o600 });
	ftruncateSync(fd, soundLength);
}

interface Previous {
	roster: Roster | null;
	survivors: Map<number, Survivor>;
	listeners: (Listener | null)[];
	/** Who lives and can't be taken over. */
	denied: number[];
}

function findPrevious(header: Header | null, roster: Roster | null, path: string, log: Log): Previous | null {
	if (!header || !roster || stateOf(roster) === 'stopped') return null;
	const found = prepare(`Unable to use journal ${path}:`, () => recover(header, roster));
	if (found === null) return null;
	if ('denied' in found) {
		log.say('error', `Children ${found.denied.join(', ')} of an earlier supervisor can't be taken over: ${found.why}`);
		return { roster: null, survivors: new Map(), listeners: [], denied: found.denied };
	}
	const pids = [...found.survivors.values()].map(({ pid }) => pid).join(', ');
	log.say('info', `Recovered from ${path}: took over ${pids}`);
	for (const remark of found.remarks) log.say('warn', remark);
	return { ...found, denied: [] };
}

function openListeners(options: Options, recovered: (Listener | null)[], log: Log, denied: number[] = []): Listener[] {
	const listeners: Listener[] = [];
	const opened: Listener[] = [];
	const spare = new Set(recovered.filter((listener) => listener !== null));
	try {
		for (const [index, uri] of options.listen.entries()) {
			log.say('info', `Listening on ${uri}`);
			const kept = [...spare].find((listener) => listener.uri === uri) ?? takeStored(process.env, uri, index);
			if (kept) spare.delete(kept);
			const listener = kept ?? prepare('Unable to open socket', () => openOrInherit(uri, index), heldBy(denied));
			if (/:0*$/.test(uri)) log.say('info', `Bound to ${listener.address}`);
			listeners.push(listener);
			if (!kept) opened.push(listener);
		}
	} catch (error) {
		// What was taken over is still served: its path has to stay.
		for (const listener of opened) closeListener(listener);
		throw error;
	}
	for (const { fd } of spare) closeSync(fd);
	storeListeners(process.env, listeners);
	return listeners;
}

function heldBy(pids: number[]): string {
	return pids.length > 0 ? `; children of an earlier supervisor hold it: ${pids.join(', ')}` : '';
}

/** The original's last release hands its socket to its successor by this variable. */
function openOrInherit(uri: string, index: number): Listener {
	const { SOCKETMASTER_FD } = process.env;
	if (index > 0 || !SOCKETMASTER_FD) return openListener(uri);
	delete process.env.SOCKETMASTER_FD;
	return { ...openListener(`fd://${SOCKETMASTER_FD}`), uri };
}

function headerOf(run: string, listeners: Listener[]): Header {
	return {
		journal: format,
		program: version,
		boot: bootId(),
		run,
		pid: process.pid,
		startTime: lookUp(process.pid)?.startTime ?? 0,
		args: process.argv.slice(2),
		listeners: listeners.map(({ uri, address, inode, file }) => ({ uri, address, inode, file })),
	};
}

/** Goes on as the program that was here before: what was its own is ours. */
function takeOver(handover: Handover, options: Options, log: Log): Beginning {
	const { run, seq, roster, pipes, strangers } = handover;
	const listeners = handover.listeners.map(({ uri, fd, file }) => takeListener(uri, fd, file));
	const left = new Map(pipes.map((pipe) => [pipe.pid, pipe]));
	const survivors = new Map<number, Survivor>();
	for (const { child, pid, startTime } of roster.children) {
		if (pid === null) continue;
		const pidfd = strangers.includes(child) ? openPidfd(pid, startTime ?? 0) : null;
		if (strangers.includes(child) && pidfd === null) continue;
		survivors.set(child, { pid, pidfd, pipe: left.get(pid) ?? null });
		left.delete(pid);
	}
	log.say('info', `Upgraded to version ${version}`);
	const path = journalPath(options);
	const journal =
		handover.journal === null || path === null
			? memoryJournal(roster)
			: fileJournal({
					path,
					fd: handover.journal,
					header: headerOf(run, listeners),
					start: roster,
					report: (words) => log.say('error', words),
				});
	return { run, seq, roster, listeners, survivors, pipes: [...left.values()], journal };
}
