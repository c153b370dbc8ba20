/** The lines of a journal, also as it grows. */
import { closeSync, existsSync, openSync, readSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { StringDecoder } from 'node:string_decoder';

export interface TailOptions {
	/** Goes on as the file grows, and with the file that takes its place. */
	follow: boolean;
	/** Ends it. */
	signal?: AbortSignal;
}

/**
 * The whole lines of a file, some at a time. An empty list says that for now there is no more. A torn last line is left
 * out.
 */
export async function* linesOf(path: string, { follow, signal }: TailOptions): AsyncGenerator<string[], void, void> {
	const buffer = Buffer.alloc(65536);
	let fd = openSync(path, 'r');
	const changes = follow ? watchFile(path, signal) : null;
	let decoder = new StringDecoder('utf8');
	let rest = '';
	try {
		while (!signal?.aborted) {
			const length = readSync(fd, buffer, 0, buffer.length, null);
			if (length > 0) {
				const lines = (rest + decoder.write(buffer.subarray(0, length))).split('\n');
				rest = lines.pop() ?? '';
				if (lines.length > 0) yield lines;
			} else if (!changes) return;
			else if (existsSync(path) && !isSameFile(fd, path)) {
				closeSync(fd);
				fd = openSync(path, 'r');
				decoder = new StringDecoder('utf8');
				rest = '';
			} else {
				yield [];
				await changes.next();
			}
		}
	} finally {
		changes?.close();
		closeSync(fd);
	}
}

function isSameFile(fd: number, path: string): boolean {
	return statSync(path).ino === statSync(`/proc/self/fd/${fd}`).ino;
}

/** Resolves for each change in the file's directory, by inotify, and when it is all over. */
function watchFile(path: string, signal: AbortSignal | undefined) {
	let changed = () => {};
	let hasChanged = false;
	const change = () => {
		hasChanged = true;
		changed();
	};
	const watcher = watch(dirname(path), change);
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
