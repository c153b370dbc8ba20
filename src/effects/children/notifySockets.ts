/** What children say of themselves: each through a datagram socket of its own (sd_notify(3)), or by einhorn's ack. */
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
import { makeFolder, removeNotifyDir } from './notifyDir.ts';
import { childStatuses, statusesSchema } from './notifyStatus.ts';

/** So many are read at a time, and so many in a second: who sends more waits in sendmsg(2), and nobody else does. */
const [mostAtOnce, mostInASecond] = [16, 100];

/** What moves a deadline by less than a part of what was asked for is not worth a fact; all in milliseconds. */
const [leastMove, mostMove, moveFraction] = [25, 250, 4];

export const notifySocketsSection = section('notifySockets', () =>
	object({
		folder: nullable(string()),
		ack: nullable(number()),
		sockets: array(object({ child: number(), fd: number() })),
		notes: statusesSchema(),
	}),
);

/** Sockets of an earlier program. */
export interface SavedNotifySockets {
	/** Null where none could be made. */
	folder: string | null;
	ack: number | null;
	sockets: { child: number; fd: number }[];
	notes?: ReturnType<ReturnType<typeof childStatuses>['all']>;
}

interface NotifySocket {
	fd: number;
	path: string;
	/** Takes what has come already. */
	receiveNow: () => void;
	close: () => void;
}

export interface NotifySocketsOptions {
	admit: (external: ExternalEvent) => void;
	log: Pick<Log, 'say'>;
	run: string;
	user: User | null;
	/** Children hold the sockets too: what they say while there is no supervisor is kept in them. */
	isDurable: boolean;
	handoverState: HandoverState;
	/** A child is up by its own word alone. */
	isNeeded: boolean;
	/** The folder for them, and what an earlier program has left. */
	kept: SavedNotifySockets;
	/** How a child stands; null when it is gone. */
	phaseOf: (child: number) => Phase | null;
	/** The child of that pid. */
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
	const notes = childStatuses(kept.notes ?? []);
	const open = new Map<number, NotifySocket>();
	const extended = new Map<number, number>();
	const untrusted = new Map<number, string>();
	const { folder } = kept;
	/** The user that children run as, where we can give a file to him. */
	const owner = process.geteuid?.() === 0 ? user : null;
	let ack = folder === null ? null : openAck(kept.ack);
	for (const { child, fd } of kept.sockets) {
		open.set(child, newSocket(fd, addressText(boundAddress(fd))));
		// Kept by somebody who has outlived it.
		if (phaseOf(child) === null) forget(child);
	}
	if (folder !== null) sweep(folder);
	handoverState.leave(notifySocketsSection, () => {
		const sockets = [...open].map(([child, { fd }]) => ({ child, fd }));
		const fds = [...sockets.map(({ fd }) => fd), ...(ack ? [ack.fd()] : [])];
		return { state: { folder, ack: ack?.fd() ?? null, sockets, notes: notes.all() }, fds };
	});

	/** What a supervisor that was killed has left of children that are gone. */
	function sweep(folder: string) {
		const own = new Set([ack?.path, ...[...open.values()].map(({ path }) => path)]);
		try {
			for (const name of readdirSync(folder)) {
				const path = join(folder, name);
				if (!own.has(path) && lstatSync(path, { throwIfNoEntry: false })?.isSocket()) rmSync(path, { force: true });
			}
		} catch {
			// They go with the folder.
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
	 * A socket for a child that is about to be spawned.
	 * @returns its variables, and the fds that it gets besides its sockets
	 * @throws {SyscallError} where it has to be heard
	 */
	function prepare(child: number): { variables: Record<string, string>; fds: number[] } {
		if (folder === null) return { variables: {}, fds: [] };
		const path = `${folder}/${child}-${newSecret()}`;
		try {
			const fd = openIn(folder, path);
			open.set(child, newSocket(fd, path));
			const variables = { NOTIFY_SOCKET: path, ...(ack ? { EINHORN_SOCK_PATH: ack.path } : {}) };
			// accept(2) waits where a child has made it wait: only to those whom we trust as ourselves.
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
			// Whoever cleans up temporary files has taken it away, and all that was in it.
			makeFolder(folder);
			ack?.close();
			ack = openAck(null);
			return openPlain(path, constants.SOCK_DGRAM, owner);
		}
	}

	/** Hears the child from now on: its pid is known, and what it has said already is there. */
	function receive(child: number, pid: number) {
		const socket = open.get(child);
		if (socket) startReceiving(socket, child, pid);
	}

	function startReceiving(socket: NotifySocket, child: number, pid: number) {
		let second = 0;
		let read = 0;
		let handle: ReturnType<typeof poll> | null = poll(socket.fd, readable);
		let rest: NodeJS.Timeout | null = null;
		let hasSentFiles = false;
		socket.receiveNow = readable;
		socket.close = () => {
			handle?.close();
			if (rest) clearTimeout(rest);
		};

		function pause() {
			handle?.close();
			handle = null;
			rest ??= setTimeout(resumeReceiving, 1000);
		}

		/** Who has sent what nobody can close yet sends no more of it. */
		function resumeReceiving() {
			rest = null;
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

	/** Only what changes something becomes a fact: so nothing grows with what a child says. */
	function take(child: number, pid: number, text: string, sender: number | null) {
		// One NUL may end it, as C's sizeof counts it (sd_notify(3) takes it too); with another one it is no text.
		const lines = text.replace(/\0$/, '').split('\n');
		if (lines.some((line) => line.includes('\0'))) return;
		const note = notes.changeBy(child, lines);
		const isBooting = phaseOf(child) === 'booting';
		const asked = lines.find((line) => line.startsWith('EXTEND_TIMEOUT_USEC='))?.split('=')[1] ?? '';
		const isReady = isBooting && lines.includes('READY=1');
		const isDelayed = isBooting && /^\d+$/.test(asked);
		if (!isReady && !isDelayed && note === null) return;
		if (sender === null || !isFrom(sender, pid)) {
			if (isReady || isDelayed) warnUntrusted(child, pid, sender, 'READY=1');
			return;
		}
		if (note) notes.take(child, note);
		if (isReady) return admit({ type: 'child.announced', child, by: 'notify' });
		if (!isDelayed) return;
		const millis = Math.min(Math.floor(Number(asked) / 1000), Number.MAX_SAFE_INTEGER);
		const until = bootClock() + millis;
		const step = Math.min(mostMove, Math.floor(millis / moveFraction));
		if (step < leastMove || until < (extended.get(child) ?? 0) + step) return;
		extended.set(child, until);
		admit({ type: 'child.delayed', child, millis });
	}

	/** Where /proc hides the sender, the name of the socket, which the child alone knows, has to do. */
	function isFrom(sender: number, pid: number): boolean {
		return ancestorsOf(sender)?.has(pid) ?? true;
	}

	/** Takes what was said in time, before it is decided that it came too late. */
	function receiveNow(child: number) {
		open.get(child)?.receiveNow();
		ack?.takeNow();
	}

	/** Said once of a child: it may be somebody else's doing. */
	function warnUntrusted(child: number, pid: number, sender: number | null, what: string) {
		if (untrusted.has(child)) return;
		const from = `came from ${sender ?? 'somebody'}, which is no living process of its own`;
		untrusted.set(child, `its ${what} ${from}`);
		log.say('warn', `${what === 'ack' ? 'An ack' : what} for ${pid} ${from}: ignored`);
	}

	/** Its socket is shared: a sender that /proc hides is not believed, unless it is the child itself. */
	function acknowledged(pid: number, sender: number, ancestors: Set<number>) {
		const child = childOf(pid);
		if (child === null || phaseOf(child) !== 'booting') return;
		if (!ancestors.has(pid)) return warnUntrusted(child, pid, sender, 'ack');
		admit({ type: 'child.announced', child, by: 'ack' });
	}

	/** The child is gone, or never was. */
	function forget(child: number) {
		notes.forget(child);
		const socket = open.get(child);
		if (!socket) return;
		open.delete(child);
		extended.delete(child);
		untrusted.delete(child);
		socket.close();
		// It may hold unread what lingers.
		drain(socket.fd);
		closeAll([socket.fd]);
		rmSync(socket.path, { force: true });
	}

	/** The supervisor ends. */
	function close() {
		for (const child of [...open.keys()]) forget(child);
		ack?.close();
		if (folder !== null) removeNotifyDir(folder, run);
	}

	/** What it has said, and was not believed: a sentence's end, for why it is late. */
	function ignoredOf(child: number): { ignored?: string } {
		const ignored = untrusted.get(child);
		return ignored === undefined ? {} : { ignored };
	}

	return { prepare, receive, receiveNow, forget, close, ignoredOf, statusTextOf: notes.of };
}

/** One that does not hear yet: its child has no pid. */
function newSocket(fd: number, path: string): NotifySocket {
	return { fd, path, receiveNow: () => {}, close: () => {} };
}
