/** The children of a killed supervisor, and theirs: what they hold of its sockets, and what they print to. */
import { closeSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { ChildState } from '../../machines/state/supervisorState.ts';
import type { SavedNotifySockets } from '../children/notifySockets.ts';
import type { OpenPipe } from '../children/output.ts';
import { moveUp, reopenForReading } from '../os/descriptors.ts';
import { constants } from '../os/libc.ts';
import { takeFrom } from '../os/pidfd.ts';
import { allPids, fdsAmong, fileOf, filesOf, lookUp, ownerOf } from '../os/proc.ts';
import type { User } from '../os/user.ts';
import { addressText, boundAddress } from '../sockets/address.ts';
import { type Listener, takeListener } from '../sockets/listener.ts';
import { isListening, typeOf } from '../sockets/socket.ts';
import type { Header } from './lineSchemas.ts';
import { markIn, socketsIn } from './marks.ts';

/** The number of no child. */
export const nobody = 0;

/** A child of a supervisor, or of such a child. */
export interface SurvivingProcess {
	pid: number;
	/** The number of the child that it is, or comes from. */
	child: number;
}

export interface SurvivorSearch {
	run: string;
	/** The children that live. */
	survivors: SurvivingProcess[];
	/** The numbers of those that have ended, and of the groups that they led. */
	gone: ReadonlySet<number>;
	/** Inodes: of such a group only who holds one is believed to be of it, as the number may be a stranger's by now. */
	listeners: ReadonlySet<number>;
	/** The variables of all processes. */
	environments: ReadonlyMap<number, string[]>;
	/** Whose processes children are; null is ours. */
	user: User | null;
}

/**
 * All of them that we may look at: the survivors and who is in their process groups, and others by their environment,
 * which a server that sets its process title may have written over.
 */
export function survivingProcessesOf({
	run,
	survivors,
	gone,
	listeners,
	environments,
	user,
}: SurvivorSearch): SurvivingProcess[] {
	const leaders = new Map(survivors.map(({ pid, child }) => [pid, child]));
	return allPids().flatMap((pid) => {
		const { group = 0 } = lookUp(pid) ?? {};
		const led = leaders.get(group);
		if (led !== undefined) return [{ pid, child: led }];
		const environment = environments.get(pid) ?? [];
		const mark = markIn(environment);
		if (mark?.run === run && isTrusted(pid, listeners, user)) return [{ pid, child: mark.child ?? nobody }];
		return gone.has(group) && (fdsAmong(pid, listeners) ?? []).length > 0 ? [{ pid, child: nobody }] : [];
	});
}

/**
 * Whether the marks of a process are believed: anybody may read a run's name, and bear it. It is one of our user's, or of the
 * children's, or holds a listener, which it was given.
 */
export function isTrusted(pid: number, listeners: ReadonlySet<number>, user: User | null): boolean {
	const owner = ownerOf(pid);
	return owner === process.geteuid?.() || owner === user?.uid || (fdsAmong(pid, listeners) ?? []).length > 0;
}

/** A duplicate of an fd of another process, if it is still what it was when it was looked at. @throws {SyscallError} */
function takeFile(pid: number, fd: number, file: string): number | null {
	const taken = takeFrom(pid, fd);
	if (taken === null || fileOf('self', taken) === file) return taken;
	closeSync(taken);
	return null;
}

/**
 * The pipes that they print to, each once, under whatever number: of a child that is known the one of its record, and of
 * those whose child is gone the one on fd 1 or 2 of which they hold both ends (hardly any other is like that).
 * @throws {SyscallError} without the right to
 */
export function takePipes(surviving: SurvivingProcess[], children: ChildState[]): OpenPipe[] {
	const found = new Map<string, OpenPipe>();
	try {
		for (const relative of surviving) takeOf(relative);
	} catch (error) {
		for (const { fd } of found.values()) closeSync(fd);
		throw error;
	}
	return [...found.values()];

	function takeOf({ pid, child }: SurvivingProcess) {
		const leader = children.find((each) => each.child === child);
		for (const { fd, file } of filesOf(pid)) {
			const isIts = leader ? file === `pipe:[${leader.pipe}]` : isOutput(pid, fd, file);
			if (!isIts || found.has(file)) continue;
			const taken = takeFile(pid, fd, file);
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

/** The listening socket of that inode, from whoever holds it under whatever number. @throws {SyscallError} */
export function takeListening(wanted: Header['listeners'][number], surviving: SurvivingProcess[]): Listener | null {
	for (const { pid } of surviving) {
		for (const { fd: number, file } of filesOf(pid)) {
			if (file !== `socket:[${wanted.inode}]`) continue;
			const taken = takeFile(pid, number, file);
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
 * The sockets that children say through that they are up: they hold them, so that nothing is lost that they say while
 * there is no supervisor. What a child holds is believed to be its own alone; of another user none that it could have us
 * wait on (accept(2)).
 * @throws {SyscallError} without the right to
 */
export function takeNotifySockets(
	folder: string | null,
	surviving: SurvivingProcess[],
	user: User | null,
): Omit<SavedNotifySockets, 'folder'> {
	const sockets = new Map<number, number>();
	let ack: number | null = null;
	const names = folder === null ? new Map<string, string>() : socketsIn([folder]);
	for (const { pid, child } of names.size === 0 ? [] : surviving) {
		for (const { fd: number, file } of filesOf(pid)) {
			const path = names.get(file) ?? '';
			const name = basename(path);
			const isOwn = name.startsWith(`${child}-`) && !sockets.has(child);
			const isAck = name.startsWith('einhorn-') && ack === null && user === null;
			if (!isOwn && !isAck) continue;
			const fd = takeFile(pid, number, file);
			if (fd === null) continue;
			// What /proc/net/unix tells may be part of another socket's name. Nobody else can bind one in our folder.
			const isBoundThere = addressText(boundAddress(fd)) === path;
			if (isBoundThere && isOwn && typeOf(fd) === constants.SOCK_DGRAM) sockets.set(child, fd);
			else if (isBoundThere && isAck && isListening(fd)) ack = fd;
			else closeSync(fd);
		}
	}
	return { ack, sockets: [...sockets].map(([child, fd]) => ({ child, fd })) };
}

/** The pipe that a process prints to, by its inode; null where it has none that a child is given. */
export function outputOf({ pid }: Pick<SurvivingProcess, 'pid'>): { pid: number; pipe: number | null } {
	const file = [1, 2]
		.map((fd) => ({ fd, file: fileOf(pid, fd) ?? '' }))
		.find(({ fd, file }) => isOutput(pid, fd, file));
	return { pid, pipe: file ? Number(/\d+/.exec(file.file)?.[0]) : null };
}

/** Whether an fd is what a child was given to print to: a pipe of which it holds both ends. */
function isOutput(pid: number, fd: number, file: string): boolean {
	const O_RDWR = 2;
	if ((fd !== 1 && fd !== 2) || !file.startsWith('pipe:')) return false;
	try {
		const flags = readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1').match(/flags:\s*(\d+)/)?.[1] ?? '0';
		return (Number.parseInt(flags, 8) & 3) === O_RDWR;
	} catch {
		return false;
	}
}
