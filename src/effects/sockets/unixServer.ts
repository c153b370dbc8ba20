/** A socket of our own at a path, to which programs of the same user, and root's, connect. */
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

/** So many are taken before others have their turn. */
const mostAtOnce = 32;

/** How long until it is tried again where there is no fd, in milliseconds. */
const pauseOfFull = 1000;

interface Kept {
	fd: number;
	file: SocketFile | null;
}

export type UnixServerSection = Section<Kept | null>;

/** What a program leaves of such a socket to the next. */
export function unixServerSection(name: string): UnixServerSection {
	return section(name, () => optional(nullable(object({ fd: number(), file: fileSchema() })), null));
}

export interface UnixServerOptions {
	path: string;
	section: UnixServerSection;
	handoverState: HandoverState;
	log: Pick<Log, 'say'>;
	/** Whoever has connected: an fd that is his from now on. */
	client: (fd: number) => void;
}

export interface UnixServer {
	/** Takes nobody more, until `resume`: they wait in the backlog. */
	pause: () => void;
	resume: () => void;
	/** Removes the path, too. */
	close: () => void;
}

/**
 * Listens, with mode 0600 before anybody can connect; whoever is neither us nor root is turned away.
 * @throws {Error}
 */
export function openUnixServer({ path, section, handoverState, log, client }: UnixServerOptions): UnixServer {
	const { fd, file } = handoverState.take(section) ?? listenAt(path, { mode: 0o600, uid: -1, gid: -1 });
	// Nobody else has it.
	setNonBlocking(fd);
	handoverState.leave(section, () => ({ state: { fd, file }, fds: [fd] }));
	const stopKeeping = keepPaths([{ file }], log);
	let handle: ReturnType<typeof poll> | null = null;
	let rest: NodeJS.Timeout | null = null;
	let isClosed = false;
	resume();

	function resume() {
		if (!isClosed) handle ??= poll(fd, take);
	}

	function pause() {
		handle?.close();
		handle = null;
	}

	function take() {
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
			rest ??= setTimeout(() => {
				rest = null;
				resume();
			}, pauseOfFull);
			return;
		}
	}

	function close() {
		isClosed = true;
		pause();
		if (rest) clearTimeout(rest);
		stopKeeping();
		closeSync(fd);
		if (file) removeFile(file);
	}

	return { pause, resume, close };
}

/** Neither us nor root: he is turned away. */
function isTrusted(client: number): boolean {
	try {
		const { uid } = peerOf(client);
		return uid === 0 || uid === process.geteuid?.();
	} catch {
		return false;
	}
}
