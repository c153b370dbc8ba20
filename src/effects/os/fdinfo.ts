/** Parses the fdinfo of epoll and io_uring instances (/proc/PID/fdinfo/FD, proc(5)). */

export interface Epoll {
	/** Inodes of the listeners that the instance watches for reading. */
	polled: number[];
	/** Fds of nested epoll instances. */
	inner: number[];
}

/** The epoll instances that threads wait for, and the instances nested in them. */
export function withInner(waited: ReadonlySet<number>, epolls: ReadonlyMap<number, Epoll>): Set<number> {
	const found = new Set(waited);
	for (const fd of found) for (const inner of epolls.get(fd)?.inner ?? []) found.add(inner);
	return found;
}

/** Fds of the epoll instances that an epoll instance contains. */
export function epollsIn(text: string, epolls: ReadonlySet<string>): number[] {
	if (epolls.size < 2) return [];
	const found: number[] = [];
	for (const [, fd = ''] of text.matchAll(/^tfd:\s*(\d+) /gm)) if (epolls.has(fd)) found.push(Number(fd));
	return found;
}

/**
 * The listeners that an epoll instance watches for reading. `text` is its fdinfo, with lines such as
 * `tfd: 3 events: 2019 data: ... ino:1f40 ...` (proc(5)). An instance may have thousands of entries, so the text is
 * searched instead of parsed.
 */
export function polledBy(text: string, listeners: ReadonlySet<number>): number[] {
	const [EPOLLIN, EPOLLRDNORM] = [0x1, 0x40];
	return [...listeners].filter((inode) => {
		const wanted = ` ino:${inode.toString(16)} `;
		for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
			const line = text.slice(text.lastIndexOf('\n', at) + 1, at);
			const events = Number.parseInt(/events:\s*([0-9a-f]+)/.exec(line)?.[1] ?? '0', 16);
			if ((events & (EPOLLIN | EPOLLRDNORM)) !== 0) return true;
		}
		return false;
	});
}

/** The pending operations of an io_uring instance. */
export interface Ring {
	/** The kernel reports the list of operations. */
	isShown: boolean;
	accepts: number;
	polls: number;
	/** The instance has registered files. */
	hasFiles: boolean;
}

/**
 * Parses the fdinfo of an io_uring instance. `PollList:` precedes one line `  op=13, task_works=0` for each operation
 * that waits for a file (13 is accept, 6 is poll). `UserFiles:` counts registered files, which need no fd. The kernel
 * omits the list while the ring is in use.
 */
export function ringIn(text: string): Ring {
	const count = (pattern: RegExp) => text.match(pattern)?.length ?? 0;
	return {
		isShown: text.includes('PollList:'),
		accepts: count(/^\s*op=13,/gm),
		polls: count(/^\s*op=6,/gm),
		hasFiles: /^UserFiles:\s*[1-9]/m.test(text),
	};
}
