/**
 * A server's own listen(2) changes the backlog of the socket that all generations share (Node asks for 511, hypercorn for
 * 100): it is set again when a generation serves.
 */
import type { Fact, FactType } from '../../machines/facts/facts.ts';
import { call } from '../os/libc.ts';
import { unixQueue } from './diag.ts';
import { backlogOf, type Listener } from './listener.ts';
import { isListening, tcpQueue } from './socket.ts';

/** A first generation may listen only some time after it serves; a candidate that has failed has listened too. */
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
		// Who may not listen on a socket that somebody else has opened (SELinux) leaves it as it is.
	}
}

/** Of a socket that somebody else has opened; null where nobody tells. */
function presentBacklog({ fd, inode }: Listener): number | null {
	return (tcpQueue(fd) ?? unixQueue(inode))?.backlog ?? null;
}
