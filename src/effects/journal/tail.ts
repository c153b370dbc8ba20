/** The lines of a journal, also as it grows. */
import { closeSync, existsSync, openSync, readSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { StringDecoder } from 'node:string_decoder';

/**
 * The whole lines of a file; with `follow`, also those that are still to come, and those of the file that
 * takes its place. `pause` is called before each wait. A torn last line is left out.
 */
export async function* linesOf(path: string, follow: boolean, pause: () => void): AsyncGenerator<string> {
	const buffer = Buffer.alloc(65536);
	const changes = follow ? watchFile(path) : null;
	let fd = openSync(path, 'r');
	let decoder = new StringDecoder('utf8');
	let rest = '';
	for (;;) {
		const length = readSync(fd, buffer, 0, buffer.length, null);
		if (length > 0) {
			const lines = (rest + decoder.write(buffer.subarray(0, length))).split('\n');
			rest = lines.pop() ?? '';
			yield* lines;
			continue;
		}
		if (!changes) return;
		pause();
		await changes.next();
		if (!existsSync(path) || isSameFile(fd, path)) continue;
		closeSync(fd);
		fd = openSync(path, 'r');
		decoder = new StringDecoder('utf8');
		rest = '';
	}
}

function isSameFile(fd: number, path: string): boolean {
	return statSync(path).ino === statSync(`/proc/self/fd/${fd}`).ino;
}

/** Resolves for each change in the file's directory, by inotify. */
function watchFile(path: string) {
	let changed = () => {};
	let hasChanged = false;
	watch(dirname(path), () => {
		hasChanged = true;
		changed();
	});
	return {
		next: () =>
			new Promise<void>((resolve) => {
				changed = resolve;
				if (hasChanged) resolve();
				hasChanged = false;
			}),
	};
}
