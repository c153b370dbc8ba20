/**
 * The paths of UNIX listeners: one that somebody removes comes back. Some servers unlink the path of a socket that they
 * were given when they leave (gunicorn does, for fd://3), and nobody could connect any more.
 */
import { type FSWatcher, linkSync, lstatSync, unlinkSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Log } from '../log/log.ts';
import { bootClock } from '../os/clock.ts';
import { wordsOf } from '../os/words.ts';
import type { Listener } from './listener.ts';
import type { MadeFile } from './madeFile.ts';
import { isFile, secondLink } from './unix.ts';

/** A path that is removed again and again comes back this often at the most, in milliseconds. */
const shortest = 1000;

/** Keeps them from now on. @returns how to stop */
export function keepPaths(listeners: Pick<Listener, 'file'>[], log: Pick<Log, 'say'>): () => void {
	const kept = listeners.flatMap(({ file }) => (file ? keep(file, log) : []));
	return () => {
		for (const stop of kept) stop();
	};
}

function keep(file: MadeFile, log: Pick<Log, 'say'>): () => void {
	const { path } = file;
	const second = secondLink(path);
	let watcher: FSWatcher | null = null;
	let last = Number.NEGATIVE_INFINITY;
	let later: NodeJS.Timeout | null = null;
	let isForeign = false;
	let wasTold = false;
	check();
	try {
		// inotify(7): nothing is asked again and again. What changes in between is seen by the look after it.
		watcher = watch(dirname(path), { persistent: false }, (_, name) => {
			if (name === basename(path)) check();
		});
		watcher.on('error', () => {});
		check();
	} catch (error) {
		log.say('warn', `${path} is not watched: if somebody removes it, it does not come back: ${wordsOf(error)}`);
	}

	function check() {
		if (isFile(path, file)) {
			isForeign = false;
			return link(path, second);
		}
		if (isThere(path)) {
			if (!isForeign) log.say('error', `Somebody has put something else at ${path}: nobody can connect there any more`);
			isForeign = true;
			return;
		}
		const wait = last + shortest - bootClock();
		if (wait <= 0) return restore();
		later ??= setTimeout(
			() => {
				later = null;
				check();
			},
			Math.min(wait, shortest),
		).unref();
	}

	function restore() {
		last = bootClock();
		if (isFile(second, file) && link(second, path)) {
			log.say('warn', `Somebody has removed ${path}, where clients connect; it is back`);
			return;
		}
		log.say(
			'error',
			`Somebody has removed ${path}, and it can't come back: nobody can connect before a stop and a start`,
		);
		stop();
	}

	/** A second name for the same socket. @returns whether it is there now */
	function link(from: string, to: string): boolean {
		try {
			if (isFile(to, file)) return true;
			// One of an earlier supervisor that was killed.
			if (to === second && lstatSync(to, { throwIfNoEntry: false })?.isSocket()) unlinkSync(to);
			linkSync(from, to);
			return true;
		} catch (error) {
			if (to === second && !wasTold)
				log.say('warn', `${path} would not come back if somebody removed it: ${wordsOf(error)}`);
			wasTold = true;
			return false;
		}
	}

	function stop() {
		watcher?.close();
		if (later) clearTimeout(later);
	}

	return stop;
}

function isThere(path: string): boolean {
	try {
		lstatSync(path);
		return true;
	} catch {
		return false;
	}
}
