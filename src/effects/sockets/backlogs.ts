/**
 * Restores the backlog of the listeners. All generations share each socket, and a server that calls listen(2) on it
 * changes the backlog for all of them (Node sets 511, hypercorn 100).
 */
import type { Fact, FactType } from '../../machines/facts/facts.ts';
import { call } from '../os/libc.ts';
import { unixQueue } from './diag.ts';
import { backlogOf, type Listener } from './listener.ts';
import { isListening, tcpQueue } from './socket.ts';

/**
 * Facts after which the backlog is set again. A server of the first generation can call listen(2) after the
 * promotion of the generation: `child.verified` covers this case. A failed candidate can have called listen(2) too.
 */
const occasions = new Set<FactType>([
	'generation.promoted',
	'generation.failed',
	'generation.degraded',
	'child.verified',
]);

export function backlogKeeper(listeners: Listener[]): { note: (fact: Fact) => void } {
	const wanted = new Map(listeners.map((listener) => [listener, backlogOf(listener.uri) ?? presentBacklog(listener)]));
	return {
		note: ({ type }) => {
			if (!occasions.has(type)) return;
			for (const [{ fd }, backlog] of wanted) if (backlog !== null && isListening(fd)) setBacklog(fd, backlog);
		},
	};
}

function setBacklog(fd: number, backlog: number) {
	try {
		call('listen', fd, backlog);
	} catch {
		// SELinux can deny listen(2) on a socket that another program has opened. The backlog then stays unchanged.
	}
}

/** The current backlog of a socket that another program has opened; null if the kernel does not report it. */
function presentBacklog({ fd, inode }: Listener): number | null {
	return (tcpQueue(fd) ?? unixQueue(inode))?.backlog ?? null;
}
