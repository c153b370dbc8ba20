/** Reads the lines of a journal, and follows it as it grows. */
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { StringDecoder } from 'node:string_decoder';

/** In bytes, far above the longest fact. */
const longestLine = 16 << 20;

export interface TailOptions {
	/** Continues as the file grows, and continues with the file that replaces it. */
	follow: boolean;
	/** Stops reading. */
	signal?: AbortSignal;
}

export interface Lines {
	/** Complete lines. An empty array means that all lines present have been read. */
	lines: string[];
	/**
	 * Set if the lines are the first of a file. `first`: the file opened first; `replaced`: a file that replaced it;
	 * `rewritten`: the same file, truncated by more than a torn line. Null for all later lines.
	 */
	start: 'first' | 'replaced' | 'rewritten' | null;
}

/** Yields the lines of a file. A torn last line is held back until it is complete. */
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
				// The old file was read to its end after the new file appeared: the old file is complete.
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
				// The torn line may have been cut off and replaced. Read again from its start.
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
		/** File offsets of the next byte to read, and of the start of the current line. */
		position: 0,
		lineStart: 0,
		/** The part of the current line read so far. */
		rest: '',
		decoder: new StringDecoder('utf8'),
		start,
	};
}

/**
 * @param mayBeGone returns null if there is no file
 * @throws {Error} also if the path is not a regular file: reading a FIFO would block
 */
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

/** Whether another file is at the path. If there is no file, the open one is still current. */
function isAnother(fd: number, path: string): boolean {
	const there = statSync(path, { throwIfNoEntry: false });
	const opened = fstatSync(fd);
	return there !== undefined && (there.ino !== opened.ino || there.dev !== opened.dev);
}

/** Resolves for each change in the file's directory (inotify), and when `signal` aborts. */
function watchFile(path: string, signal: AbortSignal | undefined) {
	let changed = () => {};
	let hasChanged = false;
	const change = () => {
		hasChanged = true;
		changed();
	};
	// A symbolic link's own directory does not change with the file.
	const watcher = watch(dirname(realpathSync(path)), change);
	// The directory was removed: no further change will be reported.
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
