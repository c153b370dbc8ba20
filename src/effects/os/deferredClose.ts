/**
 * Gets rid of fds that another process has sent. close(2) of a socket waits for as long as its owner has said (SO_LINGER), of
 * a file in user space for as long as its server likes (FUSE_FLUSH); nobody waits here.
 */
import { close, openSync } from 'node:fs';
import { closeAll, makePipe } from './descriptors.ts';
import { startDiscarder } from './discarder.ts';
import { fileOf } from './proc.ts';

const waiting: number[] = [];
let isBusy = false;

/** Whether some are not closed yet: exit(3) would wait for the thread that does it. */
export function isDisposing(): boolean {
	return isBusy;
}

/** @returns whether all of them could be closed at once */
export function dispose(fds: number[]): boolean {
	const named = fds.map((fd) => ({ fd, file: fileOf('self', fd) ?? '' }));
	const of = (pattern: RegExp) => named.filter(({ file }) => pattern.test(file)).map(({ fd }) => fd);
	const [harmless, sockets] = [of(/^(pipe|anon_inode):/), of(/^socket:/)];
	closeAll(harmless);
	if (sockets.length > 0) leaveToAnother(sockets);
	closeLate(fds.filter((fd) => !harmless.includes(fd) && !sockets.includes(fd)));
	return harmless.length === fds.length;
}

/** A process that ends closes its sockets without orphaned (inet_release in the kernel): it has them until ours are closed. */
function leaveToAnother(sockets: number[]) {
	const own: number[] = [];
	try {
		own.push(...makePipe(), openSync('/dev/null', 'r+'));
		const [read = 0, , nowhere = 0] = own;
		startDiscarder([read, nowhere, nowhere, ...sockets]);
		closeAll(sockets);
	} catch {
		closeLate(sockets);
	} finally {
		// With its end of the pipe it ends.
		closeAll(own);
	}
}

/** By a thread of the pool, one at a time: the log needs the others. */
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
