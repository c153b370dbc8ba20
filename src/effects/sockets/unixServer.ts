/** A UNIX socket of the supervisor for clients of the same user and of root. */
import { closeSync } from 'node:fs';
import { nullable, number, object, optional } from 'valibot';
import type { Log } from '../log/log.ts';
import { closeAll, setNonBlocking } from '../os/descriptors.ts';
import { poll } from '../os/libc.ts';
import { type HandoverState, type Section, section } from '../upgrade/handoverState.ts';
import { accept, peerOf } from './accept.ts';
import { fileSchema, type SocketFile } from './socketFile.ts';
import { keepPaths } from './socketPathGuard.ts';
import { listenAt, removeFile } from './unixListener.ts';

/** How many clients are accepted before the event loop continues. */
const mostAtOnce = 32;

/** The pause before the next accept(2) after a lack of fds, in milliseconds. */
const noFdPauseMs = 1000;

interface Kept {
	fd: number;
	file: SocketFile | null;
}

export type UnixServerSection = Section<Kept | null>;

/** The section of the handover state for such a socket. */
export function unixServerSection(name: string): UnixServerSection {
	return section(name, () => optional(nullable(object({ fd: number(), file: fileSchema() })), null));
}

export interface UnixServerOptions {
	path: string;
	section: UnixServerSection;
	handoverState: HandoverState;
	log: Pick<Log, 'say'>;
	/** Called with the fd of each trusted client. The callee closes the fd. */
	client: (fd: number) => void;
}

export interface UnixServer {
	/** Accepts no clients until `resume`. They wait in the backlog. */
	pause: () => void;
	resume: () => void;
	/** Closes the socket, and removes its path. */
	close: () => void;
}

/**
 * Listens on a path. The socket file has mode 0600 from its creation. A client of a user other than that of this
 * process or root is disconnected.
 * @throws {Error}
 */
export function openUnixServer({ path, section, handoverState, log, client }: UnixServerOptions): UnixServer {
	const { fd, file } = handoverState.restore(section) ?? listenAt(path, { mode: 0o600, uid: -1, gid: -1 });
	// No other process shares the socket, so O_NONBLOCK affects only this one.
	setNonBlocking(fd);
	handoverState.save(section, () => ({ state: { fd, file }, fds: [fd] }));
	const stopKeeping = keepPaths([{ file }], log);
	let handle: ReturnType<typeof poll> | null = null;
	let retryTimer: NodeJS.Timeout | null = null;
	let isClosed = false;
	resume();

	function resume() {
		if (!isClosed) handle ??= poll(fd, acceptClients);
	}

	function pause() {
		handle?.close();
		handle = null;
	}

	function acceptClients() {
		for (let left = mostAtOnce; left > 0 && handle !== null; left -= 1) {
			const next = accept(fd);
			if (next === 'nobody') return;
			if (typeof next === 'number') {
				if (isTrusted(next)) client(next);
				else closeAll([next]);
				continue;
			}
			pause();
			if (next === 'over') return log.say('error', `Somebody has shut ${path} down: nobody can connect there any more`);
			retryTimer ??= setTimeout(() => {
				retryTimer = null;
				resume();
			}, noFdPauseMs);
			return;
		}
	}

	function close() {
		isClosed = true;
		pause();
		if (retryTimer) clearTimeout(retryTimer);
		stopKeeping();
		closeSync(fd);
		if (file) removeFile(file);
	}

	return { pause, resume, close };
}

/** Whether a client runs as the user of this process or as root. */
function isTrusted(client: number): boolean {
	try {
		const { uid } = peerOf(client);
		return uid === 0 || uid === process.geteuid?.();
	} catch {
		return false;
	}
}
