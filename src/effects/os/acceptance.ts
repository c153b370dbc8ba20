/**
 * Whether processes accept connections on listeners, seen from outside: by what their epoll instances hold, what their
 * threads wait for, and what their io_uring instances have pending. No process is stopped or touched by it.
 */
import { opendirSync, readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { inTime, isLate, type Late, look } from './boundedReads.ts';
import { errorText } from './errorText.ts';
import { hasEnded, isDenial, isEnding, isMissing, isOwnProc, linkAt, lookAt } from './proc.ts';
import { waitingOf } from './waiting.ts';
import { giveTurn } from './yielding.ts';

/** What was seen of the processes of a child. Listeners are named by the inodes of their sockets. */
export interface Sight {
	/** An fd of a process is it. */
	held: Set<number>;
	/** A process waits for its clients, or polls it. */
	accepted: Set<number>;
	/** An epoll instance of a process holds it. */
	polled: Set<number>;
	/** The same, of a process (its pid) whose threads may not be looked at: whether it waits can't be seen. */
	polledUnseen: Map<number, number>;
	/** Sockets that are none of the listeners. */
	others: Set<number>;
	/** Why nothing can be seen of a process, as a sentence's end; null where all can be looked at. */
	hidden: string | null;
	/** The same where its fds can be seen, and not all that it may do with them; or one of its descendants can't be seen. */
	unclear: Unclear | null;
	/** The same where there was nothing to look with: no fd, no memory. */
	failed: string | null;
	/** A process was stopped by a signal: what it waits for does not count. */
	isStopped: boolean;
	/** accept operations that io_uring instances have pending. */
	pendingAccepts: number;
}

export interface Unclear {
	pid: number;
	/** A sentence's end. */
	why: string;
}

/** Begins a look: `lookAtProcess` adds to it. */
export function newSight(): Sight {
	return {
		held: new Set(),
		accepted: new Set(),
		polled: new Set(),
		polledUnseen: new Map(),
		others: new Set(),
		hidden: null,
		unclear: null,
		failed: null,
		isStopped: false,
		pendingAccepts: 0,
	};
}

/** Adds what is seen of one process; nothing of one that is gone. @param listeners inodes */
export async function lookAtProcess(pid: number, listeners: ReadonlySet<number>, sight: Sight): Promise<void> {
	if (!isOwnProc()) {
		sight.hidden = '/proc is not that of our pid namespace';
		return;
	}
	const stat = lookAt(pid);
	if (stat === 'hidden') sight.hidden = '/proc hides its processes (hidepid=)';
	if (stat === 'unknown') sight.failed = 'there was no fd to look with';
	if (typeof stat === 'string' || !stat.isAlive) return;
	try {
		const folders = await foldersOf(pid, listeners);
		for (const files of folders) {
			for (const inode of files.sockets.values()) sight.held.add(inode);
			for (const inode of files.others) sight.others.add(inode);
		}
		// It does not run: it accepts when it goes on.
		if (stat.isStopped) sight.isStopped = true;
		else for (const files of folders) await lookAtFiles(pid, files, listeners, sight);
	} catch (error) {
		// It has ended in between, or is about to.
		if (hasEnded(pid) || isEnding(pid)) return;
		if (isDenial(error)) sight.hidden = 'its files in /proc are closed to us (it takes CAP_SYS_PTRACE)';
		else sight.failed = errorText(error);
	}
}

interface Files {
	/** `/proc/PID` or `/proc/PID/task/TID`. */
	folder: string;
	/** The listeners among them, by fd. */
	sockets: Map<number, number>;
	others: number[];
	epolls: string[];
	rings: string[];
}

/** A thread may have fds of its own (unshare(2)), and those of a main thread that has ended are gone. @throws {Error} where they may not be looked at */
async function foldersOf(pid: number, listeners: ReadonlySet<number>): Promise<Files[]> {
	const own = await filesIn(`/proc/${pid}`, listeners);
	if (own.sockets.size > 0) return [own];
	const threads = readdirSync(`/proc/${pid}/task`).filter((thread) => thread !== String(pid));
	const folders = [own];
	for (const thread of threads.slice(0, mostThreads)) {
		const folder = `/proc/${pid}/task/${thread}`;
		try {
			folders.push(await filesIn(folder, listeners));
		} catch (error) {
			// A thread that is about to end has no fds, and its files are root's for that moment.
			if (!isThreadOver(folder)) throw error;
		}
	}
	return folders;
}

function isThreadOver(folder: string): boolean {
	try {
		return /^\d+ \(.*\) [ZX] /s.test(readFileSync(`${folder}/stat`, 'latin1'));
	} catch {
		return true;
	}
}

/** So many fds are read at a time. */
const mostAtOnce = 256;

/** A process that holds no listener is looked at no further than that. */
const mostThreads = 64;

/** It may hold a hundred thousand. */
async function filesIn(folder: string, listeners: ReadonlySet<number>): Promise<Files> {
	const files: Files = { folder, sockets: new Map(), others: [], epolls: [], rings: [] };
	const fds = opendirSync(`${folder}/fd`, { bufferSize: mostAtOnce });
	try {
		for (let entry = fds.readSync(); entry; entry = fds.readSync()) {
			await giveTurn();
			const fd = entry.name;
			const file = linkAt(`${folder}/fd/${fd}`);
			if (file === 'anon_inode:[eventpoll]') files.epolls.push(fd);
			else if (file === 'anon_inode:[io_uring]') files.rings.push(fd);
			else if (file.startsWith('socket:[')) {
				const inode = Number(file.slice('socket:['.length, -1));
				if (listeners.has(inode)) files.sockets.set(Number(fd), inode);
				else files.others.push(inode);
			}
		}
		return files;
	} finally {
		fds.closeSync();
	}
}

async function lookAtFiles(pid: number, files: Files, listeners: ReadonlySet<number>, sight: Sight) {
	const held = new Set(files.sockets.values());
	const epolls = new Map<number, Epoll>();
	const names = new Set(files.epolls);
	for (const fd of files.epolls) {
		await giveTurn();
		const text = await textOf(pid, `${files.folder}/fdinfo/${fd}`, sight);
		// An entry may outlive its fd (epoll(7), question 6): without the fd nothing can be accepted.
		const polled = polledBy(text, listeners).filter((inode) => held.has(inode));
		epolls.set(Number(fd), { polled, inner: epollsIn(text, names) });
	}
	for (const fd of files.rings) {
		const ring = ringIn(await textOf(pid, `${files.folder}/fdinfo/${fd}`, sight));
		// One that waits for no socket, in a process that holds no listener, accepts nothing.
		if (held.size === 0 && !ring.hasFiles) continue;
		sight.pendingAccepts += ring.accepts;
		if (!ring.isShown || ring.accepts + ring.polls > 0 || ring.hasFiles || hasRingWorkers(pid)) {
			sight.unclear ??= { pid, why: 'it uses io_uring' };
		}
	}
	if (held.size === 0) return;
	const threads = await waitedFor(pid, files, sight);
	for (const { polled } of epolls.values()) {
		for (const inode of polled) {
			sight.polled.add(inode);
			if (threads.isClosed) sight.polledUnseen.set(inode, pid);
		}
	}
	for (const fd of withInner(threads.epolls, epolls)) {
		for (const inode of epolls.get(fd)?.polled ?? []) sight.accepted.add(inode);
	}
	for (const inode of [...threads.accepting, ...threads.polled]) sight.accepted.add(inode);
}

interface Epoll {
	/** The listeners that it holds for reading, by inode. */
	polled: number[];
	/** Other epoll instances that it holds, by fd. */
	inner: number[];
}

/** The instances that are waited for, with those within them. */
function withInner(waited: ReadonlySet<number>, epolls: ReadonlyMap<number, Epoll>): Set<number> {
	const found = new Set(waited);
	for (const fd of found) for (const inner of epolls.get(fd)?.inner ?? []) found.add(inner);
	return found;
}

/** What the threads of a process wait for: an event loop that is busy elsewhere polls, and does not answer. */
async function waitedFor(pid: number, { sockets, epolls }: Files, sight: Sight) {
	const found = {
		accepting: new Set<number>(),
		polled: new Set<number>(),
		/** By fd. */
		epolls: new Set<number>(),
		/** That may not be read: being polled has to do. */
		isClosed: false,
	};
	const wanted = [...sockets.keys(), ...epolls.map(Number)];
	for (const thread of readdirSync(`/proc/${pid}/task`)) {
		await giveTurn();
		const waiting = await waitingOf(pid, thread, wanted);
		if (waiting === 'closed') {
			sight.unclear ??= { pid, why: 'what its threads wait for is closed to us (it takes the right to trace it)' };
			found.isClosed = true;
			continue;
		}
		if (isLate(waiting)) {
			sight.unclear ??= { pid, why: lateLook('its pages in memory', waiting) };
			continue;
		}
		const accepting = sockets.get(waiting.accepting ?? -1);
		if (accepting !== undefined) found.accepting.add(accepting);
		if (waiting.epoll !== null) found.epolls.add(waiting.epoll);
		for (const fd of waiting.polled) {
			const inode = sockets.get(fd);
			if (inode === undefined) found.epolls.add(fd);
			else found.polled.add(inode);
		}
	}
	return found;
}

/** The fds of epoll instances that an epoll instance holds. */
function epollsIn(text: string, epolls: ReadonlySet<string>): number[] {
	if (epolls.size < 2) return [];
	const found: number[] = [];
	for (const [, fd = ''] of text.matchAll(/^tfd:\s*(\d+) /gm)) if (epolls.has(fd)) found.push(Number(fd));
	return found;
}

/**
 * The listeners that an epoll instance holds for reading, by its fdinfo: `tfd: 3 events: 2019 data: ... ino:1f40 ...` (proc(5)).
 * It may hold thousands of others, so that it is searched and not taken apart.
 */
function polledBy(text: string, listeners: ReadonlySet<number>): number[] {
	const [EPOLLIN, EPOLLRDNORM] = [0x1, 0x40];
	return [...listeners].filter((inode) => {
		const wanted = ` ino:${inode.toString(16)} `;
		for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
			const line = text.slice(text.lastIndexOf('\n', at) + 1, at);
			const events = Number.parseInt(/events:\s*([0-9a-f]+)/.exec(line)?.[1] ?? '0', 16);
			if ((events & (EPOLLIN | EPOLLRDNORM)) !== 0) return true;
		}
		return false;
	});
}

/**
 * What an io_uring instance waits for, by its fdinfo: `PollList:` and `  op=13, task_works=0` for each operation that waits
 * for a file (13 is accept, 6 is poll); `UserFiles:` are files that it knows without an fd. The kernel leaves the list out
 * while the ring is in use.
 */
function ringIn(text: string) {
	const count = (pattern: RegExp) => text.match(pattern)?.length ?? 0;
	return {
		isShown: text.includes('PollList:'),
		accepts: count(/^\s*op=13,/gm),
		polls: count(/^\s*op=6,/gm),
		hasFiles: /^UserFiles:\s*[1-9]/m.test(text),
	};
}

/** Operations that may wait in threads of the kernel's own are in no list. */
function hasRingWorkers(pid: number): boolean {
	return readdirSync(`/proc/${pid}/task`).some((thread) => {
		try {
			return readFileSync(`/proc/${pid}/task/${thread}/comm`, 'latin1').startsWith('iou-wrk-');
		} catch {
			return false;
		}
	});
}

function lateLook(what: string, late: Late): string {
	return late === 'stuck'
		? `${what} do not answer`
		: `it was not looked at, as process ${look.stuck.join(', ')} does not answer`;
}

/** By a thread of the pool: the kernel, or the process, may take long for it. Empty where it is gone. @throws {Error} where it may not be read */
async function textOf(pid: number, path: string, sight: Sight): Promise<string> {
	try {
		const text = await inTime(String(pid), look, () => readFile(path, 'latin1'));
		if (!isLate(text)) return text;
		sight.unclear ??= { pid, why: lateLook('its files in /proc', text) };
		return '';
	} catch (error) {
		// Its end, or that fd's, is no failure of the look.
		if (isMissing(error)) return '';
		throw error;
	}
}
