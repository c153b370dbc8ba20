/** Watches the folder entries that determine where a path leads (inotify(7)). */
import { type FSWatcher, watch } from 'node:fs';
import { basename } from 'node:path';
import type { Log } from '../log/log.ts';
import { errorText } from '../os/errorText.ts';
import { stepsOf } from './namedPath.ts';

/** The most attempts to set up the watches: the path can change during each attempt. */
const mostMoves = 5;

export class PathWatch {
	readonly #path: string;
	readonly #log: Pick<Log, 'say'>;
	readonly #onChange: () => void;
	#watchers: FSWatcher[] = [];
	/** The steps that are watched, as JSON. */
	#watched = '';
	/** The failure is in the log. */
	#isUnwatched = false;

	/** Watches nothing before `update`. */
	constructor(path: string, log: Pick<Log, 'say'>, onChange: () => void) {
		this.#path = path;
		this.#log = log;
		this.#onChange = onChange;
	}

	/**
	 * Sets up the watches if the path leads elsewhere. The steps are read again after the watches are set, so that a
	 * change in between is found.
	 */
	update(): void {
		for (let tries = 0; tries < mostMoves && !this.#isCurrent(); tries += 1) this.#watchAnew();
	}

	close(): void {
		for (const watcher of this.#watchers) watcher.close();
		this.#watchers = [];
	}

	#isCurrent(): boolean {
		return this.#watched === JSON.stringify(stepsOf(this.#path));
	}

	#watchAnew(): void {
		this.close();
		const steps = stepsOf(this.#path);
		this.#watched = JSON.stringify(steps);
		try {
			for (const { folder, name } of steps) {
				const watcher = watch(folder, { persistent: false }, (_, changed) => {
					// For an event of the folder itself (moved or removed), Node reports the name of the folder.
					if (changed === name || changed === basename(folder)) this.#onChange();
				});
				watcher.on('error', () => {});
				this.#watchers.push(watcher);
			}
			this.#isUnwatched = false;
		} catch (error) {
			if (!this.#isUnwatched) {
				const why = errorText(error);
				this.#log.say('warn', `${this.#path} is not watched: if somebody removes it, it does not come back: ${why}`);
			}
			this.#isUnwatched = true;
		}
	}
}
