/** Messages from children: each child sends on a datagram socket of its own (sd_notify(3)), or an einhorn ack. */
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { array, nullable, number, object, string } from 'valibot';
import type { ExternalEvent } from '../../machines/facts/facts.ts';
import type { Phase } from '../../machines/state/supervisorState.ts';
import type { Log } from '../log/log.ts';
import { bootClock } from '../os/clock.ts';
import { drain, receiveFrom } from '../os/datagram.ts';
import { dispose, isDisposing } from '../os/deferredClose.ts';
import { closeAll } from '../os/descriptors.ts';
import { errorText } from '../os/errorText.ts';
import { newSecret } from '../os/ids.ts';
import { constants, errno, poll, SyscallError } from '../os/libc.ts';
import { ancestorsOf } from '../os/processTree.ts';
import type { User } from '../os/user.ts';
import { addressText, boundAddress } from '../sockets/address.ts';
import { openPlain } from '../sockets/bindUnix.ts';
import { type HandoverState, section } from '../upgrade/handoverState.ts';
import { type AckSocket, openAckSocket } from './ack.ts';
import { makeFolder, removeNotifyDir, removeSocketFile } from './notifyDir.ts';
import { childStatuses, statusesSchema } from './notifyStatus.ts';

/**
 * At most this many messages are read at a time, and per second from each child. A child that sends more blocks in
 * sendmsg(2); the other children do not.
 */
const [mostAtOnce, mostInASecond] = [16, 100];

/**
 * A request for more time counts only if it moves the deadline by 1/`moveFraction` of the requested time, or by
 * `mostMove` milliseconds. A request is ignored if that fraction is less than `leastMove` milliseconds.
 */
const [leastMove, mostMove, moveFraction] = [25, 250, 4];

export const notifySocketsSection = section('notifySockets', () =>
	object({
		folder: nullable(string()),
		ack: nullable(number()),
		sockets: array(object({ child: number(), fd: number() })),
		notes: statusesSchema(),
	}),
);

/** Sockets that an earlier supervisor program opened. */
export interface SavedNotifySockets {
	/** Null if no directory could be made. */
	folder: string | null;
	ack: number | null;
	sockets: { child: number; fd: number }[];
	notes?: ReturnType<ReturnType<typeof childStatuses>['all']>;
}

interface NotifySocket {
	fd: number;
	path: string;
	/** Receives the messages that have already arrived. */
	receiveNow: () => void;
	close: () => void;
}

export interface NotifySocketsOptions {
	admit: (external: ExternalEvent) => void;
	log: Pick<Log, 'say'>;
	run: string;
	user: User | null;
	/** Children hold the sockets too: messages that children send while no supervisor runs stay in the sockets. */
	isDurable: boolean;
	handoverState: HandoverState;
	/** -ready=notify: a child becomes ready only through its own message. */
	isNeeded: boolean;
	/** The directory of the sockets, and the sockets of an earlier supervisor program. */
	kept: SavedNotifySockets;
	/** The phase of a child; null after the child is gone. */
	phaseOf: (child: number) => Phase | null;
	/** The child with this pid; null if there is none. */
	childOf: (pid: number) => number | null;
}

export type NotifySockets = ReturnType<typeof openNotifySockets>;

export function openNotifySockets({
	admit,
	log,
	run,
	user,
	isDurable,
	handoverState,
	isNeeded,
	kept,
	phaseOf,
	childOf,
}: NotifySocketsOptions) {
	const statuses = childStatuses(kept.notes ?? []);
	const open = new Map<number, NotifySocket>();
	const extended = new Map<number, number>();
	const untrusted = new Map<number, string>();
	const { folder } = kept;
	/** The user that children run as, if the supervisor is root and can give files to that user; else null. */
	const owner = process.geteuid?.() === 0 ? user : null;
	let ack = folder === null ? null : openAck(kept.ack);
	for (const { child, fd } of kept.sockets) {
		open.set(child, newSocket(fd, addressText(boundAddress(fd))));
		// A surviving process kept this socket open after its child had exited.
		if (phaseOf(child) === null) forget(child);
	}
	if (folder !== null) sweep(folder);
	handoverState.save(notifySocketsSection, () => {
		const sockets = [...open].map(([child, { fd }]) => ({ child, fd }));
		const fds = [...sockets.map(({ fd }) => fd), ...(ack ? [ack.fd()] : [])];
		return { state: { folder, ack: ack?.fd() ?? null, sockets, notes: statuses.all() }, fds };
	});

	/** Removes socket files of exited children that a killed supervisor left. */
	function sweep(folder: string) {
		const own = new Set([ack?.path, ...[...open.values()].map(({ path }) => path)]);
		try {
			for (const name of readdirSync(folder)) {
				const path = join(folder, name);
				if (!own.has(path) && lstatSync(path, { throwIfNoEntry: false })?.isSocket()) rmSync(path, { force: true });
			}
		} catch {
			// The files are removed with the directory.
		}
	}

	function openAck(known: number | null): AckSocket | null {
		try {
			return openAckSocket({ folder: folder ?? '', user: owner, known, said: acknowledged });
		} catch (error) {
			log.say('warn', `Children can't say that they are up by an ack: ${errorText(error)}`);
			return null;
		}
	}

	/**
	 * Opens a socket for a child that is about to be spawned.
	 * @returns the variables of the child, and the fds that the child gets in addition to the listeners
	 * @throws {SyscallError} if the socket can't be opened and -ready=notify needs it
	 */
	function prepare(child: number): { variables: Record<string, string>; fds: number[] } {
		if (folder === null) return { variables: {}, fds: [] };
		const path = `${folder}/${child}-${newSecret()}`;
		try {
			const fd = openIn(folder, path);
			open.set(child, newSocket(fd, path));
			const variables = { NOTIFY_SOCKET: path, ...(ack ? { EINHORN_SOCK_PATH: ack.path } : {}) };
			// A child that holds the ack socket can make it blocking, so that accept(2) blocks the supervisor. Only
			// children of the supervisor's own user get it.
			const shared = ack && user === null ? [ack.fd()] : [];
			return { variables, fds: isDurable ? [fd, ...shared] : [] };
		} catch (error) {
			if (isNeeded) throw error;
			log.say('warn', `A child can't say that it is up: ${errorText(error)}`);
			return { variables: {}, fds: [] };
		}
	}

	function openIn(folder: string, path: string): number {
		try {
			return openPlain(path, constants.SOCK_DGRAM, owner);
		} catch (error) {
			if (!(error instanceof SyscallError) || error.errno !== errno('ENOENT')) throw error;
			// A cleaner of temporary files has removed the directory and everything in it.
			makeFolder(folder);
			ack?.close();
			ack = openAck(null);
			return openPlain(path, constants.SOCK_DGRAM, owner);
		}
	}

	/** Receives the messages of the child from now on: its pid is known. Earlier messages wait in the socket. */
	function receive(child: number, pid: number) {
		const socket = open.get(child);
		if (socket) startReceiving(socket, child, pid);
	}

	function startReceiving(socket: NotifySocket, child: number, pid: number) {
		let second = 0;
		let read = 0;
		let handle: ReturnType<typeof poll> | null = poll(socket.fd, readable);
		let pauseTimer: NodeJS.Timeout | null = null;
		let hasSentFiles = false;
		socket.receiveNow = readable;
		socket.close = () => {
			handle?.close();
			if (pauseTimer) clearTimeout(pauseTimer);
		};

		function pause() {
			handle?.close();
			handle = null;
			pauseTimer ??= setTimeout(resumeReceiving, 1000);
		}

		/**
		 * After a child has sent fds, its messages are not read while fds are still being closed: the child can't send
		 * more fds meanwhile.
		 */
		function resumeReceiving() {
			pauseTimer = null;
			if (open.get(child) !== socket) return;
			if (hasSentFiles && isDisposing()) return pause();
			handle ??= poll(socket.fd, readable);
		}

		function readable() {
			const now = Math.floor(bootClock() / 1000);
			if (now !== second) [second, read] = [now, 0];
			for (let count = 0; count < mostAtOnce; count += 1) {
				const message = receiveFrom(socket.fd);
				if (message === 'empty') return;
				if (message === 'over') return forget(child);
				read += 1;
				const isDone = dispose(message.fds);
				hasSentFiles ||= !isDone;
				take(child, pid, message.text, message.pid);
				if (open.get(child) !== socket) return;
				if (!isDone || read >= mostInASecond) return pause();
			}
		}
	}

	/** Only a message that changes something becomes an event: repeated messages do not make the journal grow. */
	function take(child: number, pid: number, text: string, sender: number | null) {
		// One trailing NUL is allowed: C's sizeof counts it, and sd_notify(3) accepts it. A message with another NUL is
		// not text.
		const lines = text.replace(/\0$/, '').split('\n');
		if (lines.some((line) => line.includes('\0'))) return;
		const statusChange = statuses.changeBy(child, lines);
		const isBooting = phaseOf(child) === 'booting';
		const extension = lines.find((line) => line.startsWith('EXTEND_TIMEOUT_USEC='))?.split('=')[1] ?? '';
		const isReady = isBooting && lines.includes('READY=1');
		const isDelayed = isBooting && /^\d+$/.test(extension);
		if (!isReady && !isDelayed && statusChange === null) return;
		if (sender === null || !isFrom(sender, pid)) {
			if (isReady || isDelayed) warnUntrusted(child, pid, sender, 'READY=1');
			return;
		}
		if (statusChange) statuses.take(child, statusChange);
		if (isReady) return admit({ type: 'child.announced', child, by: 'notify' });
		if (!isDelayed) return;
		const millis = Math.min(Math.floor(Number(extension) / 1000), Number.MAX_SAFE_INTEGER);
		const until = bootClock() + millis;
		const step = Math.min(mostMove, Math.floor(millis / moveFraction));
		if (step < leastMove || until < (extended.get(child) ?? 0) + step) return;
		extended.set(child, until);
		admit({ type: 'child.delayed', child, millis });
	}

	/** If /proc hides the sender, the message is accepted: only the child knows the path of the socket. */
	function isFrom(sender: number, pid: number): boolean {
		return ancestorsOf(sender)?.has(pid) ?? true;
	}

	/** Receives messages that arrived in time, before the child is found to be late. */
	function receiveNow(child: number) {
		open.get(child)?.receiveNow();
		ack?.takeNow();
	}

	/** Logs at most one line per child: a non-child process may have sent the messages. */
	function warnUntrusted(child: number, pid: number, sender: number | null, what: string) {
		if (untrusted.has(child)) return;
		const from = `came from ${sender ?? 'somebody'}, which is no living process of its own`;
		untrusted.set(child, `its ${what} ${from}`);
		log.say('warn', `${what === 'ack' ? 'An ack' : what} for ${pid} ${from}: ignored`);
	}

	/**
	 * All children share the ack socket. If /proc hides the sender, its ack counts only if the sender is the child
	 * itself.
	 */
	function acknowledged(pid: number, sender: number, ancestors: Set<number>) {
		const child = childOf(pid);
		if (child === null || phaseOf(child) !== 'booting') return;
		if (!ancestors.has(pid)) return warnUntrusted(child, pid, sender, 'ack');
		admit({ type: 'child.announced', child, by: 'ack' });
	}

	/** Call when the child is gone, or could not be spawned. */
	function forget(child: number) {
		statuses.forget(child);
		const socket = open.get(child);
		if (!socket) return;
		open.delete(child);
		extended.delete(child);
		untrusted.delete(child);
		socket.close();
		// Unread messages may hold fds whose close(2) blocks (SO_LINGER): `drain` disposes of these fds first.
		drain(socket.fd);
		closeAll([socket.fd]);
		removeSocketFile(socket.path);
	}

	/** Call when the supervisor exits. */
	function close() {
		for (const child of [...open.keys()]) forget(child);
		ack?.close();
		if (folder !== null) removeNotifyDir(folder, run);
	}

	/**
	 * A message of the child that was ignored as untrusted, as a sentence's end: this may explain why the child is
	 * late.
	 */
	function ignoredOf(child: number): { ignored?: string } {
		const ignored = untrusted.get(child);
		return ignored === undefined ? {} : { ignored };
	}

	return { prepare, receive, receiveNow, forget, close, ignoredOf, statusTextOf: statuses.of };
}

/** A socket that does not receive yet: the child has no pid. */
function newSocket(fd: number, path: string): NotifySocket {
	return { fd, path, receiveNow: () => {}, close: () => {} };
}
