/** The journal's fd: lines are appended, the file is replaced, and changes by other processes are detected. */
import { type FSWatcher, fstatSync, ftruncateSync, lstatSync, renameSync, unlinkSync, watch, writeSync } from 'node:fs';
import { closeAll } from '../os/descriptors.ts';
import { createPrivate, lock } from './journalFile.ts';
import type { FoundFile } from './journalPlace.ts';
import type { JournalLine } from './lineSchemas.ts';

export class JournalWriter {
	readonly #path: string;
	readonly #onChange: () => void;
	#fd: number;
	#size: number;
	#watcher: FSWatcher | null = null;

	/**
	 * @param fd open and locked. The writer owns it from now on.
	 * @param onChange receives a truncation, a removal or a foreign write, once `watch` was called
	 */
	constructor(path: string, fd: number, onChange: () => void) {
		this.#path = path;
		this.#onChange = onChange;
		this.#fd = fd;
		this.#size = fstatSync(fd).size;
	}

	/** `replace` changes it. */
	get fd(): number {
		return this.#fd;
	}

	/** The size in bytes that the file has if no other process has written to it. */
	get size(): number {
		return this.#size;
	}

	/** Writes the complete line, or removes what was written of it. @throws {Error} */
	append(line: JournalLine): void {
		const bytes = bytesOf([line]);
		const written = writeSync(this.#fd, bytes);
		if (written < bytes.length) {
			// Another process may have truncated the file since, so the size is read again.
			ftruncateSync(this.#fd, Math.max(0, fstatSync(this.#fd).size - written));
			throw new Error('no space left on device');
		}
		this.#size += bytes.length;
	}

	/**
	 * Replaces the file by rename(2). If the supervisor is killed at any point, either the old or the new file is
	 * complete.
	 * @throws {Error} if the old file stays in use
	 */
	replace(lines: JournalLine[]): void {
		const next = `${this.#path}.new`;
		const nextFd = createPrivate(next);
		const old = this.#fd;
		try {
			lock(nextFd);
			const bytes = bytesOf(lines);
			if (writeSync(nextFd, bytes) < bytes.length) throw new Error('no space left on device');
			renameSync(next, this.#path);
			this.#fd = nextFd;
			this.#size = bytes.length;
		} catch (error) {
			closeAll([nextFd]);
			unlinkSync(next);
			throw error;
		}
		closeAll([old]);
		this.watch();
	}

	/** Examines the file that is written to, and the file at the path. @throws {Error} */
	look(): { opened: FoundFile; found: FoundFile | undefined } {
		return { opened: fstatSync(this.#fd), found: lstatSync(this.#path, { throwIfNoEntry: false }) };
	}

	/** Detects truncation or removal at once by inotify: a crash may come before the next fact. */
	watch(): void {
		this.#watcher?.close();
		try {
			this.#watcher = watch(this.#path, { persistent: false }, () => {
				if (this.#isChanged()) this.#onChange();
			}).on('error', () => this.#watcher?.close());
		} catch {
			// Without a watch, the change is detected with the next fact.
			this.#watcher = null;
		}
	}

	#isChanged(): boolean {
		try {
			if (fstatSync(this.#fd).size !== this.#size) return true;
			return lstatSync(this.#path, { throwIfNoEntry: false }) === undefined;
		} catch {
			return false;
		}
	}
}

function bytesOf(lines: JournalLine[]): Buffer {
	return Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
}
