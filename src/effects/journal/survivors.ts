/** The surviving processes of a killed supervisor: the listeners they hold, and the pipes they print to. */
import { closeSync } from 'node:fs';
import { basename } from 'node:path';
import type { ChildState } from '../../machines/state/supervisorState.ts';
import type { SavedNotifySockets } from '../children/notifySockets.ts';
import type { OpenPipe } from '../children/output.ts';
import { moveUp, reopenForReading } from '../os/descriptors.ts';
import { constants } from '../os/libc.ts';
import { takeFdIfOpen, takeFrom } from '../os/pidfd.ts';
import { allPids, type Files, fdsAmong, fileOf, filesOf, lookUp, ownerOf } from '../os/proc.ts';
import { readProc } from '../os/procFile.ts';
import type { User } from '../os/user.ts';
import { addressText, boundAddress } from '../sockets/address.ts';
import { type Listener, takeListener } from '../sockets/listener.ts';
import { isListening, typeOf } from '../sockets/socket.ts';
import type { Header } from './lineSchemas.ts';
import { markIn, socketsIn } from './marks.ts';

/** The child number of a process whose child is unknown. Children are numbered from 1. */
export const nobody = 0;

/** A child of a supervisor, or a descendant of such a child. */
export interface SurvivingProcess {
	pid: number;
	/** The number of the child that this process is or descends from. */
	child: number;
	/** The pidfd of a live child. The caller of the search keeps it. */
	pidfd?: number;
	/** Its fds. */
	files: Files;
}

export interface SurvivorSearch {
	run: string;
	/** The children that are alive. */
	survivors: Omit<SurvivingProcess, 'files'>[];
	/** The pids of the children that have exited. Each was also the id of a process group. */
	gone: ReadonlySet<number>;
	/**
	 * Inodes. A process in the group of an exited child counts only if it holds one of them, because the group id may
	 * be reused.
	 */
	listeners: ReadonlySet<number>;
	/** The environment of every process. */
	environments: ReadonlyMap<number, string[]>;
	/** The user that the children run as; null is the supervisor's own user. */
	user: User | null;
}

/**
 * Finds all surviving processes that /proc shows: the live children, the members of their process groups, and
 * processes with the run's mark in their environment. A server that sets its process title may have overwritten its
 * mark.
 */
export function survivingProcessesOf({
	run,
	survivors,
	gone,
	listeners,
	environments,
	user,
}: SurvivorSearch): SurvivingProcess[] {
	const leaders = new Map(survivors.map((each) => [each.pid, each]));
	const found = allPids().flatMap((pid): Omit<SurvivingProcess, 'files'>[] => {
		const { group = 0 } = lookUp(pid) ?? {};
		const led = leaders.get(group);
		if (led !== undefined) return led.pid === pid ? [led] : [{ pid, child: led.child }];
		const environment = environments.get(pid) ?? [];
		const mark = markIn(environment);
		if (mark?.run === run && isTrusted(pid, listeners, user)) return [{ pid, child: mark.child ?? nobody }];
		return gone.has(group) && (fdsAmong(pid, listeners) ?? []).length > 0 ? [{ pid, child: nobody }] : [];
	});
	return found.map((each) => ({ ...each, files: filesOf(each.pid) }));
}

/**
 * Whether the marks of a process are trusted. Any process can read a run's name and set the variables. The process
 * must belong to the supervisor's user or to the children's user, or hold a listener.
 */
export function isTrusted(pid: number, listeners: ReadonlySet<number>, user: User | null): boolean {
	const owner = ownerOf(pid);
	return owner === process.geteuid?.() || owner === user?.uid || (fdsAmong(pid, listeners) ?? []).length > 0;
}

/**
 * Duplicates an fd of another process. Returns null if the fd refers to another file by now.
 * @throws {SyscallError}
 */
function takeFile({ pid, pidfd }: Omit<SurvivingProcess, 'files'>, fd: number, file: string): number | null {
	const taken = pidfd === undefined ? takeFrom(pid, fd) : takeFdIfOpen(pidfd, fd);
	if (taken === null || fileOf('self', taken) === file) return taken;
	closeSync(taken);
	return null;
}

/**
 * Takes the output pipes of the surviving processes, each once. For a known child, the pipe is the one in the child's
 * record, under any fd number. For a child that has exited, the pipe is on fd 1 or 2 and the process holds both ends;
 * few other pipes are like that.
 * @throws {SyscallError} without permission to duplicate the fds
 */
export function takePipes(surviving: SurvivingProcess[], children: ChildState[]): OpenPipe[] {
	const found = new Map<string, OpenPipe>();
	try {
		for (const survivor of surviving) takeOf(survivor);
	} catch (error) {
		for (const { fd } of found.values()) closeSync(fd);
		throw error;
	}
	return [...found.values()];

	function takeOf(survivor: SurvivingProcess) {
		const { pid, child } = survivor;
		const leader = children.find((each) => each.child === child);
		for (const { fd, file } of survivor.files) {
			const isIts = leader ? file === `pipe:[${leader.pipe}]` : isOutput(pid, fd, file);
			if (!isIts || found.has(file)) continue;
			const taken = takeFile(survivor, fd, file);
			if (taken === null) continue;
			try {
				const generation = leader?.generation ?? 0;
				const read = reopenForReading(taken);
				found.set(file, { fd: read, child, pid: leader?.pid ?? pid, generation, unfinished: '' });
			} finally {
				closeSync(taken);
			}
		}
	}
}

/**
 * Takes the listening socket with the recorded inode from any surviving process, under any fd number.
 * @throws {SyscallError}
 */
export function takeListening(wanted: Header['listeners'][number], surviving: SurvivingProcess[]): Listener | null {
	for (const survivor of surviving) {
		for (const { fd: number, file } of survivor.files) {
			if (file !== `socket:[${wanted.inode}]`) continue;
			const taken = takeFile(survivor, number, file);
			if (taken === null) continue;
			const fd = moveUp(taken);
			const listener = takeListener(wanted.uri, fd, wanted.file);
			if (isListening(fd) && listener.inode === wanted.inode && listener.address === wanted.address) return listener;
			closeSync(fd);
		}
	}
	return null;
}

/**
 * Takes the notify sockets. The children hold them too, so messages sent while no supervisor runs are kept. A notify
 * socket counts only for the child it is named after. If the children run as another user, the einhorn socket is not
 * taken: such a child could make accept(2) block.
 * @throws {SyscallError} without permission to duplicate the fds
 */
export function takeNotifySockets(
	folder: string | null,
	surviving: SurvivingProcess[],
	user: User | null,
): Omit<SavedNotifySockets, 'folder'> {
	const sockets = new Map<number, number>();
	let ack: number | null = null;
	const names = folder === null ? new Map<string, string>() : socketsIn([folder]);
	for (const survivor of names.size === 0 ? [] : surviving) {
		const { child } = survivor;
		for (const { fd: number, file } of survivor.files) {
			const path = names.get(file) ?? '';
			const name = basename(path);
			const isOwn = name.startsWith(`${child}-`) && !sockets.has(child);
			const isAck = name.startsWith('einhorn-') && ack === null && user === null;
			if (!isOwn && !isAck) continue;
			const fd = takeFile(survivor, number, file);
			if (fd === null) continue;
			// A line of /proc/net/unix may show a socket whose name contains this path. Only the supervisor can bind
			// a socket in its directory.
			const isBoundThere = addressText(boundAddress(fd)) === path;
			if (isBoundThere && isOwn && typeOf(fd) === constants.SOCK_DGRAM) sockets.set(child, fd);
			else if (isBoundThere && isAck && isListening(fd)) ack = fd;
			else closeSync(fd);
		}
	}
	return { ack, sockets: [...sockets].map(([child, fd]) => ({ child, fd })) };
}

/** Returns the inode of the pipe that a process prints to; null if its output is not a pipe made by a supervisor. */
export function outputOf({ pid }: Pick<SurvivingProcess, 'pid'>): { pid: number; pipe: number | null } {
	const file = [1, 2]
		.map((fd) => ({ fd, file: fileOf(pid, fd) ?? '' }))
		.find(({ fd, file }) => isOutput(pid, fd, file));
	return { pid, pipe: file ? Number(/\d+/.exec(file.file)?.[0]) : null };
}

/** Whether an fd is an output pipe made by a supervisor: the process can both read and write it. */
function isOutput(pid: number, fd: number, file: string): boolean {
	const O_RDWR = 2;
	if ((fd !== 1 && fd !== 2) || !file.startsWith('pipe:')) return false;
	try {
		const flags = readProc(`/proc/${pid}/fdinfo/${fd}`).match(/flags:\s*(\d+)/)?.[1] ?? '0';
		return (Number.parseInt(flags, 8) & 3) === O_RDWR;
	} catch {
		return false;
	}
}
