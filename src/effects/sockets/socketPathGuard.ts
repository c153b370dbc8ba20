/**
 * Restores the paths of UNIX listeners. Some servers unlink the path of an inherited socket when they exit (gunicorn
 * does, for fd://3), and then no client can connect. If the path contains a symbolic link that a deploy redirects, the
 * path is created at the new target too.
 */
import { lstatSync, realpathSync, unlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Log } from '../log/log.ts';
import { bootClock } from '../os/clock.ts';
import { errorText } from '../os/errorText.ts';
import type { Listener } from './listener.ts';
import { PathWatch } from './pathWatch.ts';
import { neverRestored, replenishedAfterRestore, waitToRestoreMs } from './restoreLimit.ts';
import type { SocketFile } from './socketFile.ts';
import { isFile, linkOwn, removeFile, secondLink } from './unixListener.ts';

/** Starts to guard the paths of the listeners. @returns a function that stops it */
export function keepPaths(listeners: Pick<Listener, 'file'>[], log: Pick<Log, 'say'>): () => void {
	const guards = listeners.flatMap(({ file }) => (file ? new SocketPathGuard(file, log) : []));
	return () => {
		for (const guard of guards) guard.stop();
	};
}

class SocketPathGuard {
	readonly #file: SocketFile;
	readonly #log: Pick<Log, 'say'>;
	readonly #watch: PathWatch;
	/** The second hard link to the socket file, in the folder that the path led to last. */
	#second: string;
	/** When the burst is available in full again, in milliseconds since boot. */
	#replenishedAt = neverRestored;
	#later: NodeJS.Timeout | null = null;
	#isForeign = false;
	/** The reason why the path cannot be restored; null if it exists or can be restored. */
	#lostFor: string | null = null;
	#isReported = false;

	constructor(file: SocketFile, log: Pick<Log, 'say'>) {
		this.#file = file;
		this.#log = log;
		this.#second = secondIn(file.path) ?? secondLink(file.path);
		this.#watch = new PathWatch(file.path, log, () => this.#look());
		this.#look();
	}

	stop(): void {
		this.#watch.close();
		if (this.#later) clearTimeout(this.#later);
	}

	/** Sets up the watches, and checks the path. */
	#look(): void {
		this.#watch.update();
		this.#check();
	}

	#check(): void {
		const { path } = this.#file;
		if (isFile(path, this.#file)) {
			this.#isForeign = false;
			this.#lostFor = null;
			this.#keepSecond();
			return;
		}
		if (isThere(path)) {
			if (!this.#isForeign) {
				this.#log.say('error', `Somebody has put something else at ${path}: nobody can connect there any more`);
			}
			this.#isForeign = true;
			return;
		}
		const here = secondIn(path);
		if (here === null) return void this.#lose('its folder is not there');
		const isMoved = here !== this.#second;
		const waitMs = isMoved ? 0 : waitToRestoreMs(this.#replenishedAt, bootClock());
		if (waitMs <= 0) return void this.#restore(isMoved);
		this.#later ??= setTimeout(() => {
			this.#later = null;
			this.#look();
		}, waitMs).unref();
	}

	#restore(isMoved: boolean): void {
		const { path } = this.#file;
		this.#replenishedAt = replenishedAfterRestore(this.#replenishedAt, bootClock());
		const why = linkTo(this.#second, path, this.#file);
		if (why !== null) return void this.#lose(why);
		this.#lostFor = null;
		const from = this.#second;
		this.#keepSecond();
		if (!isMoved) {
			this.#log.say('warn', `Somebody has removed ${path}, where clients connect; it is back`);
			return;
		}
		const folder = dirname(this.#second);
		this.#log.say('warn', `${path}, where clients connect, leads to ${folder} now; it is there, too`);
		// Clients must not find the socket at the old target of the path.
		if (from !== this.#second) removeFile({ ...this.#file, path: join(dirname(from), basename(path)) });
	}

	#lose(why: string): void {
		const { path } = this.#file;
		if (why !== this.#lostFor) {
			this.#log.say('error', `${path}, where clients connect, is gone, and can't come back now: ${why}`);
		}
		this.#lostFor = why;
	}

	/** Creates the second hard link next to the path, in the folder that the path leads to now. */
	#keepSecond(): void {
		const { path } = this.#file;
		const here = secondIn(path);
		if (here === null) return;
		const why = linkTo(path, here, this.#file);
		if (why === null) this.#second = here;
		else if (!this.#isReported) {
			this.#log.say('warn', `${path} would not come back if somebody removed it: ${why}`);
		}
		this.#isReported ||= why !== null;
	}
}

/** Creates a hard link to the socket file. @returns the reason if that fails, or null */
function linkTo(from: string, to: string, file: SocketFile): string | null {
	try {
		if (isFile(to, file)) return null;
		if (!isFile(from, file)) return 'its second name is gone, too; a stop and a start bring it back';
		// A killed supervisor leaves its second link behind.
		if (to !== file.path && lstatSync(to, { throwIfNoEntry: false })?.isSocket()) unlinkSync(to);
		linkOwn(from, to);
		return null;
	} catch (error) {
		return errorText(error);
	}
}

/** The second hard link in the folder that the path leads to now; null if the folder does not exist. */
function secondIn(path: string): string | null {
	try {
		return secondLink(join(realpathSync(dirname(path)), basename(path)));
	} catch {
		return null;
	}
}

function isThere(path: string): boolean {
	try {
		lstatSync(path);
		return true;
	} catch {
		return false;
	}
}
