/**
 * Checks from outside whether processes accept connections on listeners. The evidence is the contents of their epoll
 * instances, the system calls in which their threads wait, and the pending operations of their io_uring instances. The
 * check only reads /proc; the processes keep running.
 */
import { opendirSync, readdirSync } from 'node:fs';
import { asOwner } from './asOwner.ts';
import { inTime, isLate, type Late, look } from './boundedReads.ts';
import { errorText } from './errorText.ts';
import { type Epoll, epollsIn, polledBy, ringIn, withInner } from './fdinfo.ts';
import { hasEnded, isDenial, isEnding, isMissing, isOwnProc, linkAt, lookAt, socketInode } from './proc.ts';
import { readProc } from './procFile.ts';
import { readAs } from './readAs.ts';
import { waitingOf } from './waiting.ts';
import { giveTurn } from './yielding.ts';

/** Observations about the processes of one child. The inode of its socket identifies a listener. */
export interface Sight {
	/** Listeners of which a process has an fd. */
	held: Set<number>;
	/** Listeners for which a thread waits in accept(2), poll(2), select(2) or epoll_wait(2). */
	accepted: Set<number>;
	/** Listeners that an epoll instance of a process watches. */
	polled: Set<number>;
	/** Listeners in `polled` for which the system calls of the threads are unreadable, with the pid of the process. */
	polledUnseen: Map<number, number>;
	/** Inodes of all other sockets of the processes. */
	others: Set<number>;
	/** The reason why a process cannot be inspected, as the end of a sentence; null if all processes can. */
	hidden: string | null;
	/** A process whose fds are readable but whose waits are uncertain, or a hidden descendant; else null. */
	unclear: Unclear | null;
	/** The reason why the inspection failed (no free fd, no memory), as the end of a sentence; else null. */
	failed: string | null;
	/** A process is stopped by a signal, so its current system calls are not evaluated. */
	isStopped: boolean;
	/** Number of pending accept operations in io_uring instances. */
	pendingAccepts: number;
}

export interface Unclear {
	pid: number;
	/** The end of a sentence. */
	why: string;
}

/** Creates an empty result; `lookAtProcess` fills it. */
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

/** Adds the observations about one process. An exited process adds nothing. @param listeners inodes */
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
		// A stopped process can accept again after SIGCONT, so its current system calls are no evidence.
		if (stat.isStopped) sight.isStopped = true;
		else for (const files of folders) await lookAtFiles(pid, files, listeners, sight);
	} catch (error) {
		// The process has exited since, or is exiting.
		if (hasEnded(pid) || isEnding(pid)) return;
		if (isDenial(error)) sight.hidden = 'its files in /proc are closed to us (it takes CAP_SYS_PTRACE)';
		else sight.failed = errorText(error);
	}
}

interface Files {
	/** `/proc/PID` or `/proc/PID/task/TID`. */
	folder: string;
	/** Inodes of listeners, by fd. */
	sockets: Map<number, number>;
	others: number[];
	epolls: string[];
	rings: string[];
}

/**
 * Reads the fds of a process, and those of its threads if the main thread holds no listener. A thread can have its
 * own fd table (unshare(2)), and the fds of an exited main thread are gone.
 * @throws {Error} if the fds may not be read
 */
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
			// An exiting thread has no fds. Its files in /proc belong to root for a moment, so the read is denied.
			if (!isThreadOver(folder)) throw error;
		}
	}
	return folders;
}

function isThreadOver(folder: string): boolean {
	try {
		return /^\d+ \(.*\) [ZX] /s.test(readProc(`${folder}/stat`));
	} catch {
		return true;
	}
}

/** Directory entries that are buffered at a time. */
const mostAtOnce = 256;

/** Maximum number of threads to inspect if the main thread holds no listener. */
const mostThreads = 64;

/** Reads in steps: a process may hold 100,000 fds. */
async function filesIn(folder: string, listeners: ReadonlySet<number>): Promise<Files> {
	const files: Files = { folder, sockets: new Map(), others: [], epolls: [], rings: [] };
	const fds = asOwner(() => opendirSync(`${folder}/fd`, { bufferSize: mostAtOnce }));
	try {
		for (let entry = fds.readSync(); entry; entry = fds.readSync()) {
			await giveTurn();
			const fd = entry.name;
			const file = asOwner(() => linkAt(`${folder}/fd/${fd}`));
			if (file === 'anon_inode:[eventpoll]') files.epolls.push(fd);
			else if (file === 'anon_inode:[io_uring]') files.rings.push(fd);
			else {
				const inode = socketInode(file);
				if (inode === null) continue;
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
		// An epoll entry can outlive its fd (epoll(7), question 6). Without the fd the process cannot accept.
		const polled = polledBy(text, listeners).filter((inode) => held.has(inode));
		epolls.set(Number(fd), { polled, inner: epollsIn(text, names) });
	}
	for (const fd of files.rings) {
		const ring = ringIn(await textOf(pid, `${files.folder}/fdinfo/${fd}`, sight));
		// If the process holds no listener, only a ring with registered files can accept.
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

/**
 * Finds what the threads wait for. An epoll entry alone is weak evidence: a busy event loop has the entry and does
 * not accept.
 */
async function waitedFor(pid: number, { sockets, epolls }: Files, sight: Sight) {
	const found = {
		accepting: new Set<number>(),
		polled: new Set<number>(),
		/** Fds of epoll instances. */
		epolls: new Set<number>(),
		/** The system call of a thread is unreadable, so an epoll entry is the only evidence. */
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

/** `PollList:` omits operations that wait in kernel worker threads (`iou-wrk-*`). */
function hasRingWorkers(pid: number): boolean {
	return readdirSync(`/proc/${pid}/task`).some((thread) => {
		try {
			return readProc(`/proc/${pid}/task/${thread}/comm`).startsWith('iou-wrk-');
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

/**
 * Reads a file with a thread of the pool, because the kernel or the process may delay the read. Returns an empty text
 * if the file is gone.
 * @throws {Error} if the file may not be read
 */
async function textOf(pid: number, path: string, sight: Sight): Promise<string> {
	try {
		const text = await inTime(String(pid), look, () => readAs(path));
		if (!isLate(text)) return text;
		sight.unclear ??= { pid, why: lateLook('its files in /proc', text) };
		return '';
	} catch (error) {
		// The process has exited or has closed the fd.
		if (isMissing(error)) return '';
		throw error;
	}
}
