/**
 * Restores the paths of UNIX listeners. Some servers unlink the path of an inherited socket when they exit (gunicorn
 * does, for fd://3), and then no client can connect. If the path contains a symbolic link that a deploy redirects, the
 * path is created at the new target too.
 */
import { type FSWatcher, lstatSync, realpathSync, unlinkSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Log } from '../log/log.ts';
import { bootClock } from '../os/clock.ts';
import { errorText } from '../os/errorText.ts';
import type { Listener } from './listener.ts';
import { stepsOf } from './namedPath.ts';
import type { SocketFile } from './socketFile.ts';
import { isFile, linkOwn, removeFile, secondLink } from './unixListener.ts';

/**
 * So many restorations of a path happen at once: each worker of a server can remove it as it exits. After them one follows
 * each interval, in milliseconds, as a process can remove the path again and again.
 */
const [burst, interval] = [100, 1000];

/** The most attempts to set up the watches: the path can change during each attempt. */
const mostMoves = 5;

/** Starts to guard the paths of the listeners. @returns a function that stops it */
export function keepPaths(listeners: Pick<Listener, 'file'>[], log: Pick<Log, 'say'>): () => void {
	const kept = listeners.flatMap(({ file }) => (file ? keep(file, log) : []));
	return () => {
		for (const stop of kept) stop();
	};
}

function keep(file: SocketFile, log: Pick<Log, 'say'>): () => void {
	const { path } = file;
	/** The second hard link to the socket file, in the folder that the path led to last. */
	let second = secondIn(path) ?? secondLink(path);
	let watchers: FSWatcher[] = [];
	let watched = '';
	/** When the burst is available in full again, in milliseconds since boot. */
	let replenishedAt = Number.NEGATIVE_INFINITY;
	let later: NodeJS.Timeout | null = null;
	let isForeign = false;
	/** The reason why the path cannot be restored; null if it exists or can be restored. */
	let lostFor: string | null = null;
	let isReported = false;
	let isUnwatched = false;
	look();

	/**
	 * Sets up the watches (inotify(7)), and checks the path. The steps are read again after the watches are set, so that
	 * a change in between is found.
	 */
	function look() {
		for (let tries = 0; tries < mostMoves && !isWatched(); tries += 1) watchAnew();
		check();
	}

	function isWatched(): boolean {
		return watched === JSON.stringify(stepsOf(path));
	}

	function watchAnew() {
		stopWatching();
		const steps = stepsOf(path);
		watched = JSON.stringify(steps);
		try {
			for (const { folder, name } of steps) {
				const watcher = watch(folder, { persistent: false }, (_, changed) => {
					// For an event of the folder itself (moved or removed), Node reports the name of the folder.
					if (changed === name || changed === basename(folder)) look();
				});
				watcher.on('error', () => {});
				watchers.push(watcher);
			}
			isUnwatched = false;
		} catch (error) {
			if (!isUnwatched)
				log.say('warn', `${path} is not watched: if somebody removes it, it does not come back: ${errorText(error)}`);
			isUnwatched = true;
		}
	}

	function check() {
		if (isFile(path, file)) {
			isForeign = false;
			lostFor = null;
			return void keepSecond();
		}
		if (isThere(path)) {
			if (!isForeign) log.say('error', `Somebody has put something else at ${path}: nobody can connect there any more`);
			isForeign = true;
			return;
		}
		const here = secondIn(path);
		if (here === null) return lose('its folder is not there');
		const isMoved = here !== second;
		const wait = isMoved ? 0 : replenishedAt - (burst - 1) * interval - bootClock();
		if (wait <= 0) return restore(isMoved);
		later ??= setTimeout(
			() => {
				later = null;
				look();
			},
			Math.min(wait, interval),
		).unref();
	}

	function restore(isMoved: boolean) {
		replenishedAt = Math.max(replenishedAt, bootClock()) + interval;
		const why = linkTo(second, path);
		if (why !== null) return lose(why);
		lostFor = null;
		const from = second;
		keepSecond();
		if (!isMoved) return log.say('warn', `Somebody has removed ${path}, where clients connect; it is back`);
		log.say('warn', `${path}, where clients connect, leads to ${dirname(second)} now; it is there, too`);
		// Clients must not find the socket at the old target of the path.
		if (from !== second) removeFile({ ...file, path: join(dirname(from), basename(path)) });
	}

	function lose(why: string) {
		if (why !== lostFor) log.say('error', `${path}, where clients connect, is gone, and can't come back now: ${why}`);
		lostFor = why;
	}

	/** Creates the second hard link next to the path, in the folder that the path leads to now. */
	function keepSecond() {
		const here = secondIn(path);
		if (here === null) return;
		const why = linkTo(path, here);
		if (why === null) second = here;
		else if (!isReported) log.say('warn', `${path} would not come back if somebody removed it: ${why}`);
		isReported ||= why !== null;
	}

	/** Creates a hard link to the socket file. @returns the reason if that fails, or null */
	function linkTo(from: string, to: string): string | null {
		try {
			if (isFile(to, file)) return null;
			if (!isFile(from, file)) return 'its second name is gone, too; a stop and a start bring it back';
			// A killed supervisor leaves its second link behind.
			if (to !== path && lstatSync(to, { throwIfNoEntry: false })?.isSocket()) unlinkSync(to);
			linkOwn(from, to);
			return null;
		} catch (error) {
			return errorText(error);
		}
	}

	function stopWatching() {
		for (const watcher of watchers) watcher.close();
		watchers = [];
	}

	return () => {
		stopWatching();
		if (later) clearTimeout(later);
	};
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
