/** Finds the fds for which a thread waits in its current system call (/proc/PID/task/TID/syscall, proc(5)). */
import { asOwner } from './asOwner.ts';
import { isLate, type Late } from './boundedReads.ts';
import { isDenial, isEnding } from './proc.ts';
import { readMemory } from './processMemory.ts';
import { readProc } from './procFile.ts';

/** System call numbers of the two architectures; -1 if the architecture lacks the call. */
const numbers =
	process.arch === 'x64'
		? {
				accept: 43,
				accept4: 288,
				poll: 7,
				ppoll: 271,
				select: 23,
				pselect6: 270,
				epollWait: 232,
				epollPwait: 281,
				epollPwait2: 441,
			}
		: {
				accept: 202,
				accept4: 242,
				poll: -1,
				ppoll: 73,
				select: -1,
				pselect6: 72,
				epollWait: -1,
				epollPwait: 22,
				epollPwait2: 441,
			};

/** POLLIN and POLLRDNORM. */
const readable = 0x1 | 0x40;

/** Limit for the evaluation: a server waits for fewer fds with poll(2) or select(2). */
const mostFds = 65_536;

export interface Waiting {
	/** The fd for which the thread waits in accept(2). */
	accepting: number | null;
	/** The fd of the epoll instance for which the thread waits. */
	epoll: number | null;
	/** The fds, among those requested, for which the thread waits in poll(2) or select(2). */
	polled: number[];
}

const nothing: Waiting = { accepting: null, epoll: null, polled: [] };

/**
 * @param fds the requested fds, for poll(2) and select(2)
 * @returns `closed` without the right to trace the process. The result is empty for a thread that runs or is exiting;
 * a later call may find its wait
 */
export async function waitingOf(pid: number, thread: string, fds: number[]): Promise<Waiting | 'closed' | Late> {
	const call = syscallOf(pid, thread);
	if (call === 'closed') return isEnding(pid) ? nothing : 'closed';
	if (call === null) return nothing;
	const [number, first = 0, second = 0] = call;
	switch (number) {
		case numbers.accept:
		case numbers.accept4:
			return { ...nothing, accepting: first };
		case numbers.epollWait:
		case numbers.epollPwait:
		case numbers.epollPwait2:
			return { ...nothing, epoll: first };
		case numbers.poll:
		case numbers.ppoll:
			return polling(await polledIn(pid, first, second, fds));
		case numbers.select:
		case numbers.pselect6:
			return polling(await selectedIn(pid, second, first, fds));
		default:
			return nothing;
	}
}

function polling(polled: number[] | 'denied' | Late): Waiting | 'closed' | Late {
	if (polled === 'denied') return 'closed';
	return isLate(polled) ? polled : { ...nothing, polled };
}

/** The number and arguments of the system call in which a thread waits; null if the thread runs or is gone. */
function syscallOf(pid: number, thread: string): number[] | 'closed' | null {
	try {
		const text = asOwner(() => readProc(`/proc/${pid}/task/${thread}/syscall`));
		return /^\d+ 0x/.test(text) ? text.split(' ').map(Number) : null;
	} catch (error) {
		// The file is missing without CONFIG_HAVE_ARCH_TRACEHOOK, and in gVisor: all threads are unreadable there.
		return isDenial(error) || (error as NodeJS.ErrnoException).code === 'ENOENT' ? closedOrGone(pid, thread) : null;
	}
}

function closedOrGone(pid: number, thread: string): 'closed' | null {
	try {
		const stat = readProc(`/proc/${pid}/task/${thread}/stat`);
		return /^\d+ \(.*\) [ZX] /s.test(stat) ? null : 'closed';
	} catch {
		return null;
	}
}

/** Reads an array of struct pollfd: fd, events, revents. */
async function polledIn(
	pid: number,
	address: number,
	count: number,
	fds: number[],
): Promise<number[] | 'denied' | Late> {
	if (count === 0 || count > mostFds) return [];
	const bytes = await readMemory(pid, address, count * 8);
	if (bytes === null) return [];
	if (typeof bytes === 'string') return bytes;
	const wanted = new Set(fds);
	const found: number[] = [];
	for (let at = 0; at < bytes.length; at += 8) {
		const fd = bytes.readInt32LE(at);
		if (wanted.has(fd) && (bytes.readInt16LE(at + 4) & readable) !== 0) found.push(fd);
	}
	return found;
}

/** Reads an fd_set: one bit per fd, in 64-bit words. */
async function selectedIn(
	pid: number,
	address: number,
	count: number,
	fds: number[],
): Promise<number[] | 'denied' | Late> {
	if (address === 0 || count === 0 || count > mostFds) return [];
	const bytes = await readMemory(pid, address, Math.ceil(count / 64) * 8);
	if (bytes === null) return [];
	if (typeof bytes === 'string') return bytes;
	return fds.filter((fd) => fd < count && ((bytes[fd >> 3] ?? 0) & (1 << (fd & 7))) !== 0);
}
