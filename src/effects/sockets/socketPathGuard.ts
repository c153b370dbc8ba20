/**
 * The paths of UNIX listeners: one that somebody removes comes back. Some servers unlink the path of a socket that they
 * were given when they leave (gunicorn does, for fd://3), and nobody could connect any more. One that leads through a link that
 * a deploy moves is made anew where it leads then.
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

/** A path that is removed again and again comes back this often at the most, in milliseconds. */
const shortest = 1000;

/** A path that leads elsewhere again and again while it is looked at is looked at so often. */
const mostMoves = 5;

/** Keeps them from now on. @returns how to stop */
export function keepPaths(listeners: Pick<Listener, 'file'>[], log: Pick<Log, 'say'>): () => void {
	const kept = listeners.flatMap(({ file }) => (file ? keep(file, log) : []));
	return () => {
		for (const stop of kept) stop();
	};
}

function keep(file: SocketFile, log: Pick<Log, 'say'>): () => void {
	const { path } = file;
	/** Where the second name is: in the folder that the path led to last. */
	let second = secondIn(path) ?? secondLink(path);
	let watchers: FSWatcher[] = [];
	let watched = '';
	let last = Number.NEGATIVE_INFINITY;
	let later: NodeJS.Timeout | null = null;
	let isForeign = false;
	/** Why it can't come back; null where it is there, or can. */
	let lostFor: string | null = null;
	let wasTold = false;
	let isUnwatched = false;
	look();

	/** inotify(7): nothing is asked again and again. What changes in between is seen by the look after it. */
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
					// Without its own name a folder tells of itself.
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
		const wait = isMoved ? 0 : last + shortest - bootClock();
		if (wait <= 0) return restore(isMoved);
		later ??= setTimeout(
			() => {
				later = null;
				look();
			},
			Math.min(wait, shortest),
		).unref();
	}

	function restore(isMoved: boolean) {
		last = bootClock();
		const why = linkTo(second, path);
		if (why !== null) return lose(why);
		lostFor = null;
		const from = second;
		keepSecond();
		if (!isMoved) return log.say('warn', `Somebody has removed ${path}, where clients connect; it is back`);
		log.say('warn', `${path}, where clients connect, leads to ${dirname(second)} now; it is there, too`);
		// Nobody is to find it where the path led before.
		if (from !== second) removeFile({ ...file, path: join(dirname(from), basename(path)) });
	}

	function lose(why: string) {
		if (why !== lostFor) log.say('error', `${path}, where clients connect, is gone, and can't come back now: ${why}`);
		lostFor = why;
	}

	/** Beside the path, wherever that leads. */
	function keepSecond() {
		const here = secondIn(path);
		if (here === null) return;
		const why = linkTo(path, here);
		if (why === null) second = here;
		else if (!wasTold) log.say('warn', `${path} would not come back if somebody removed it: ${why}`);
		wasTold ||= why !== null;
	}

	/** A second name for the same socket. @returns why there is none, or null */
	function linkTo(from: string, to: string): string | null {
		try {
			if (isFile(to, file)) return null;
			if (!isFile(from, file)) return 'its second name is gone, too; a stop and a start bring it back';
			// One of an earlier supervisor that was killed.
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

/** The second name of a path where that leads now; null where its folder is not there. */
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
