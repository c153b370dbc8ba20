/** Messages from children: each child sends on a datagram socket of its own (sd_notify(3)), or an einhorn ack. */
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { array, nullable, number, object, string } from 'valibot';
import type { ExternalEvent } from '../../machines/facts/facts.ts';
import type { Phase } from '../../machines/state/supervisorState.ts';
import type { Log } from '../log/log.ts';
import { bootClock } from '../os/clock.ts';
import { errorText } from '../os/errorText.ts';
import { newSecret } from '../os/ids.ts';
import { constants, errno, SyscallError } from '../os/libc.ts';
import { ancestorsOf } from '../os/processTree.ts';
import type { User } from '../os/user.ts';
import { addressText, boundAddress } from '../sockets/address.ts';
import { openPlain } from '../sockets/bindUnix.ts';
import { type HandoverState, section } from '../upgrade/handoverState.ts';
import type { AckLine } from './ack.ts';
import { type AckSocket, openAckSocket } from './ackSocket.ts';
import { makeFolder, removeNotifyDir } from './notifyDir.ts';
import { movedDeadline, readNotifyMessage } from './notifyMessage.ts';
import { NotifySocket } from './notifySocket.ts';
import { type ChildStatusText, childStatuses, statusesSchema } from './notifyStatus.ts';

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
	/** -watchdog: takes the lines of a trusted message about the watchdog of a child; null without the flag. */
	takeWatchdog: ((child: number, lines: string[]) => void) | null;
	/** The pid of a child that has a process; else null. */
	pidOf: (child: number) => number | null;
	/** The child with this pid; null if there is none. */
	childOf: (pid: number) => number | null;
}

/** Who has sent a message; null if the kernel does not report it. */
interface Origin {
	sender: number | null;
	/** Whether the sender is a process of the child. */
	isTrusted: () => boolean;
}

export class NotifySockets {
	/** What a child reports besides that it is ready. */
	readonly statusTextOf: (child: number) => ChildStatusText;
	readonly #options: NotifySocketsOptions;
	readonly #statuses: ReturnType<typeof childStatuses>;
	readonly #open = new Map<number, NotifySocket>();
	/** The last deadline that a child has set by a request for more time, by child. */
	readonly #extended = new Map<number, number>();
	/** The first message of a child that was ignored as untrusted, by child. */
	readonly #untrusted = new Map<number, string>();
	readonly #folder: string | null;
	/** The user that children run as, if the supervisor is root and can give files to that user; else null. */
	readonly #owner: User | null;
	#ack: AckSocket | null;

	constructor(options: NotifySocketsOptions) {
		const { kept, user, handoverState, phaseOf } = options;
		this.#options = options;
		this.#statuses = childStatuses(kept.notes ?? []);
		this.statusTextOf = this.#statuses.of;
		this.#folder = kept.folder;
		this.#owner = process.geteuid?.() === 0 ? user : null;
		this.#ack = this.#folder === null ? null : this.#openAck(this.#folder, kept.ack);
		for (const { child, fd } of kept.sockets) {
			this.#open.set(child, new NotifySocket(fd, addressText(boundAddress(fd))));
			// A surviving process kept this socket open after its child had exited.
			if (phaseOf(child) === null) this.forget(child);
		}
		if (this.#folder !== null) this.#sweep(this.#folder);
		handoverState.save(notifySocketsSection, () => {
			const sockets = [...this.#open].map(([child, { fd }]) => ({ child, fd }));
			const ack = this.#ack?.fd() ?? null;
			const fds = [...sockets.map(({ fd }) => fd), ...(ack === null ? [] : [ack])];
			return { state: { folder: this.#folder, ack, sockets, notes: this.#statuses.all() }, fds };
		});
	}

	/**
	 * Opens a socket for a child that is about to be spawned.
	 * @returns the variables of the child, and the fds that the child gets in addition to the listeners
	 * @throws {SyscallError} if the socket can't be opened and -ready=notify needs it
	 */
	prepare(child: number): { variables: Record<string, string>; fds: number[] } {
		const { user, isDurable, isNeeded, log } = this.#options;
		const folder = this.#folder;
		if (folder === null) return { variables: {}, fds: [] };
		const path = `${folder}/${child}-${newSecret()}`;
		try {
			const fd = this.#openIn(folder, path);
			this.#open.set(child, new NotifySocket(fd, path));
			const ack = this.#ack;
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

	/** Receives the messages of the child from now on: its pid is known. Earlier messages wait in the socket. */
	receive(child: number, pid: number): void {
		this.#open.get(child)?.startReceiving({
			take: (text, sender) =>
				this.#take(child, pid, text, { sender, isTrusted: () => sender !== null && isFrom(sender, pid) }),
			over: () => this.forget(child),
		});
	}

	/** Receives messages that arrived in time, before the child is found to be late. */
	readonly receiveNow = (child: number): void => {
		this.#open.get(child)?.receiveNow();
		this.#ack?.takeNow();
	};

	/** Call when the child is gone, or could not be spawned. */
	forget(child: number): void {
		this.#statuses.forget(child);
		const socket = this.#open.get(child);
		if (!socket) return;
		this.#open.delete(child);
		this.#extended.delete(child);
		this.#untrusted.delete(child);
		socket.close();
	}

	/** Call when the supervisor exits. */
	readonly close = (): void => {
		for (const child of [...this.#open.keys()]) this.forget(child);
		this.#ack?.close();
		if (this.#folder !== null) removeNotifyDir(this.#folder, this.#options.run);
	};

	/**
	 * A message of the child that was ignored as untrusted, as a sentence's end: this may explain why the child is
	 * late.
	 */
	ignoredOf(child: number): { ignored?: string } {
		const ignored = this.#untrusted.get(child);
		return ignored === undefined ? {} : { ignored };
	}

	/** Removes socket files of exited children that a killed supervisor left. */
	#sweep(folder: string): void {
		const own = new Set([this.#ack?.path, ...[...this.#open.values()].map(({ path }) => path)]);
		try {
			for (const name of readdirSync(folder)) {
				const path = join(folder, name);
				if (!own.has(path) && lstatSync(path, { throwIfNoEntry: false })?.isSocket()) rmSync(path, { force: true });
			}
		} catch {
			// The files are removed with the directory.
		}
	}

	#openAck(folder: string, known: number | null): AckSocket | null {
		try {
			return openAckSocket({ folder, user: this.#owner, known, said: this.#acknowledged });
		} catch (error) {
			this.#options.log.say('warn', `Children can't say that they are up by an ack: ${errorText(error)}`);
			return null;
		}
	}

	#openIn(folder: string, path: string): number {
		try {
			return openPlain(path, constants.SOCK_DGRAM, this.#owner);
		} catch (error) {
			if (!(error instanceof SyscallError) || error.errno !== errno('ENOENT')) throw error;
			// A cleaner of temporary files has removed the directory and everything in it.
			makeFolder(folder);
			this.#ack?.close();
			this.#ack = this.#openAck(folder, null);
			return openPlain(path, constants.SOCK_DGRAM, this.#owner);
		}
	}

	/** Only a message that changes something becomes an event: repeated messages do not make the journal grow. */
	#take(child: number, pid: number, text: string, { sender, isTrusted }: Origin) {
		const { admit, phaseOf, takeWatchdog } = this.#options;
		const message = readNotifyMessage(text);
		if (message === null) return;
		const statusChange = this.#statuses.changeBy(child, message.lines);
		const isBooting = phaseOf(child) === 'booting';
		const isReady = isBooting && message.isReady;
		const delayMs = isBooting ? message.delayMs : null;
		const isOfWatchdog = takeWatchdog !== null && message.lines.some((line) => line.startsWith('WATCHDOG'));
		if (!isReady && delayMs === null && statusChange === null && !isOfWatchdog) return;
		if (!isTrusted()) {
			if (isReady || delayMs !== null) this.#warnUntrusted(child, pid, sender, 'READY=1');
			else if (isOfWatchdog) this.#warnUntrusted(child, pid, sender, 'WATCHDOG=1');
			return;
		}
		if (statusChange) this.#statuses.take(child, statusChange);
		if (isOfWatchdog) takeWatchdog(child, message.lines);
		if (isReady) return admit({ type: 'child.announced', child, by: 'notify' });
		if (delayMs === null) return;
		const deadline = movedDeadline(this.#extended.get(child) ?? 0, delayMs, bootClock());
		if (deadline === null) return;
		this.#extended.set(child, deadline);
		admit({ type: 'child.delayed', child, millis: delayMs });
	}

	/**
	 * All children share the ack socket. If /proc hides the sender, its ack counts only if the sender is the child
	 * itself.
	 */
	readonly #acknowledged = (line: AckLine, sender: number, ancestors: Set<number>) => {
		const { admit, childOf, phaseOf, pidOf } = this.#options;
		if (line.kind === 'message') {
			const own = pidOf(line.child);
			if (own !== null) this.#take(line.child, own, line.text, { sender, isTrusted: () => ancestors.has(own) });
			return;
		}
		const { pid } = line;
		const child = childOf(pid);
		if (child === null || phaseOf(child) !== 'booting') return;
		if (!ancestors.has(pid)) return this.#warnUntrusted(child, pid, sender, 'ack');
		admit({ type: 'child.announced', child, by: 'ack' });
	};

	/** Logs at most one line per child: a non-child process may have sent the messages. */
	#warnUntrusted(child: number, pid: number, sender: number | null, what: string): void {
		if (this.#untrusted.has(child)) return;
		const from = `came from ${sender ?? 'somebody'}, which is no living process of its own`;
		this.#untrusted.set(child, `its ${what} ${from}`);
		this.#options.log.say('warn', `${what === 'ack' ? 'An ack' : what} for ${pid} ${from}: ignored`);
	}
}

export function openNotifySockets(options: NotifySocketsOptions): NotifySockets {
	return new NotifySockets(options);
}

/** If /proc hides the sender, the message is accepted: only the child knows the path of the socket. */
function isFrom(sender: number, pid: number): boolean {
	return ancestorsOf(sender)?.has(pid) ?? true;
}
