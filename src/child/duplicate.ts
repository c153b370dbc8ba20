/** Duplicates an fd. Node has no function for it. */
import { createRequire } from 'node:module';

/** F_DUPFD_CLOEXEC of fcntl(2) on Linux, and the lowest fd for a duplicate. */
const [duplicateAndClose, lowestFd] = [1030, 10];

let fcntl: ((fd: number, command: number, argument: number) => number) | null | undefined;

/** The duplicate, close-on-exec; the fd itself if there is no way to duplicate it. */
export function duplicate(fd: number): number {
	fcntl ??= load();
	const copy = fcntl?.(fd, duplicateAndClose, lowestFd) ?? -1;
	return copy < 0 ? fd : copy;
}

function load(): typeof fcntl {
	try {
		const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
		return koffi.load(null).func('int fcntl(int fd, int command, long argument)');
	} catch {
		return null;
	}
}
