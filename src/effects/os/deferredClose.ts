/**
 * Closes fds that another process has sent. close(2) can block: on a socket for its linger time (SO_LINGER), on a
 * file in user space until its server responds (FUSE_FLUSH). The supervisor's main thread does not wait for such a
 * close.
 */
import { close, openSync } from 'node:fs';
import { closeAll, makePipe } from './descriptors.ts';
import { startDiscarder } from './discarder.ts';
import { fileOf } from './proc.ts';

const waiting: number[] = [];
let isBusy = false;

/** Whether a pool thread is still closing fds: exit(3) would wait for that thread. */
export function isDisposing(): boolean {
	return isBusy;
}

/** Closes fds without blocking. @returns whether all fds were closed immediately */
export function dispose(fds: number[]): boolean {
	const named = fds.map((fd) => ({ fd, file: fileOf('self', fd) ?? '' }));
	const of = (pattern: RegExp) => named.filter(({ file }) => pattern.test(file)).map(({ fd }) => fd);
	const [harmless, sockets] = [of(/^(pipe|anon_inode):/), of(/^socket:/)];
	closeAll(harmless);
	if (sockets.length > 0) closeInHelper(sockets);
	closeLate(fds.filter((fd) => !harmless.includes(fd) && !sockets.includes(fd)));
	return harmless.length === fds.length;
}

/**
 * Passes sockets to a helper process, then closes the supervisor's copies. The helper process keeps its copies until
 * then: an exiting process closes its sockets without lingering (inet_release in the kernel).
 */
function closeInHelper(sockets: number[]) {
	const own: number[] = [];
	try {
		own.push(...makePipe(), openSync('/dev/null', 'r+'));
		const [read = 0, , devNull = 0] = own;
		startDiscarder([read, devNull, devNull, ...sockets]);
		closeAll(sockets);
	} catch {
		closeLate(sockets);
	} finally {
		// After the write end of the pipe is closed, the helper process exits.
		closeAll(own);
	}
}

/** Closes one fd at a time on the thread pool: the log needs the other threads. */
function closeLate(fds: number[]) {
	waiting.push(...fds);
	const fd = isBusy ? undefined : waiting.shift();
	if (fd === undefined) return;
	isBusy = true;
	close(fd, () => {
		isBusy = false;
		closeLate([]);
	});
}
