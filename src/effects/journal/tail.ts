/** The lines of a journal, also as it grows. */
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { StringDecoder } from 'node:string_decoder';

/** No fact comes near it. */
const longestLine = 16 << 20;

export interface TailOptions {
	/** Goes on as the file grows, and with the file that takes its place. */
	follow: boolean;
	/** Ends it. */
	signal?: AbortSignal;
}

export interface Lines {
	/** Whole lines, some at a time. None says that for now there is no more. */
	lines: string[];
	/**
	 * They are the first of a file: of the first one, of one that has taken its place, or of the same, from which more was cut
	 * off than a torn line. Null where they are not.
	 */
	start: 'first' | 'replaced' | 'rewritten' | null;
}

/** The lines of a file. A torn last line is left out, until it is complete. */
export async function* linesOf(path: string, { follow, signal }: TailOptions): AsyncGenerator<Lines, void, void> {
	const buffer = Buffer.alloc(65536);
	let file: OpenFile = openFile(path);
	let changes: ReturnType<typeof watchFile> | null = null;
	let isReplaced = false;
	try {
		if (follow) changes = watchFile(path, signal);
		while (!signal?.aborted) {
			const length = readSync(file.fd, buffer, 0, buffer.length, file.position);
			if (length > 0) {
				const end = buffer.lastIndexOf(10, length - 1);
				if (end >= 0) file.lineStart = file.position + end + 1;
				file.position += length;
				file.rest += file.decoder.write(buffer.subarray(0, length));
				if (file.position - file.lineStart > longestLine) {
					throw new Error(`a line is longer than ${longestLine >> 20} MiB`);
				}
				if (end < 0) continue;
				const lines = file.rest.split('\n');
				file.rest = lines.pop() ?? '';
				yield { lines, start: file.start };
				file.start = null;
			} else if (!changes) return;
			else if (isReplaced) {
				// It was read to its end after the other one was there: nothing will come to it.
				isReplaced = false;
				const next = openFile(path, true);
				if (next === null) continue;
				closeSync(file.fd);
				file = next;
			} else if (isAnother(file.fd, path)) isReplaced = true;
			else if (fstatSync(file.fd).size < file.lineStart) Object.assign(file, atStart('rewritten'));
			else {
				yield { lines: [], start: null };
				await changes.next();
				// A torn line may have been cut off, and others be there in its place.
				Object.assign(file, { position: file.lineStart, rest: '', decoder: new StringDecoder('utf8') });
			}
		}
	} finally {
		changes?.close();
		closeSync(file.fd);
	}
}

type OpenFile = { fd: number } & ReturnType<typeof atStart>;

function atStart(start: Lines['start']) {
	return {
		/** Of the next byte to be read, and of the line that it belongs to. */
		position: 0,
		lineStart: 0,
		/** What of that line was read. */
		rest: '',
		decoder: new StringDecoder('utf8'),
		start,
	};
}

/** @param mayBeGone then null stands for no file. @throws {Error} also for what is no regular file: a pipe would be waited for */
function openFile(path: string): OpenFile;
function openFile(path: string, mayBeGone: true): OpenFile | null;
function openFile(path: string, mayBeGone = false): OpenFile | null {
	try {
		const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
		const stat = fstatSync(fd);
		if (stat.isFile()) return { fd, ...atStart(mayBeGone ? 'replaced' : 'first') };
		closeSync(fd);
		throw new Error(stat.isDirectory() ? 'it is a directory' : 'it is no regular file');
	} catch (error) {
		if (mayBeGone && (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
		throw error;
	}
}

/** Whether another file is there under the path; where there is none this one is still the last. */
function isAnother(fd: number, path: string): boolean {
	const there = statSync(path, { throwIfNoEntry: false });
	return there !== undefined && there.ino !== fstatSync(fd).ino;
}

/** Resolves for each change in the file's directory, by inotify, and when it is all over. */
function watchFile(path: string, signal: AbortSignal | undefined) {
	let changed = () => {};
	let hasChanged = false;
	const change = () => {
		hasChanged = true;
		changed();
	};
	// A link's own directory does not change with the file.
	const watcher = watch(dirname(realpathSync(path)), change);
	// The directory is gone: nothing will come.
	watcher.on('error', () => {});
	signal?.addEventListener('abort', change);
	return {
		next: () =>
			new Promise<void>((resolve) => {
				changed = resolve;
				if (hasChanged) resolve();
				hasChanged = false;
			}),
		close: () => watcher.close(),
	};
}
