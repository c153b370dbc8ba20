/** One attempt of a health check on one listener: the request is sent only on a connection that the generation accepts. */
import type { Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { bootClock } from '../os/clock.ts';
import type { Listener } from '../sockets/listener.ts';
import type { CheckTarget } from './checkTarget.ts';
import { acceptedInode, connectTo } from './connection.ts';
import { exchange, type Outcome } from './exchange.ts';
import type { Whose } from './whose.ts';

/** How long one attempt may take, in milliseconds. */
const attemptMs = 2000;

/** Pauses between two looks at a connection that no process has accepted yet: the first, and the longest, in milliseconds. */
const [firstLookMs, longestLookMs] = [1, 20];

/**
 * How long an accepted connection that the generation does not hold is looked at, in milliseconds: no process holds it
 * while it is sent from one process to another.
 */
const inTransitMs = 50;

export interface AttemptOptions {
	target: CheckTarget;
	version: string;
	/** Whether the generation holds a socket; null: no other generation can have accepted it. */
	whose: Whose | null;
	/** Ends the attempt. */
	signal: AbortSignal;
}

/**
 * `foreign`: another generation has accepted the connection, which was closed without a byte. `unreached`: no process
 * of the generation has received the request, for the reason `problem`.
 */
export type Attempt = Outcome | { foreign: true } | { unreached: true; problem: string };

/** Never throws. If `signal` aborts, the result has no meaning. */
export async function attempt(listener: Listener, options: AttemptOptions): Promise<Attempt> {
	const late = AbortSignal.timeout(attemptMs);
	const signal = AbortSignal.any([options.signal, late]);
	let connection: Socket | null = null;
	let isSent = false;
	try {
		connection = await connectTo(listener.bound, signal);
		const accepted = await acceptedBy(connection, options.whose, signal);
		if (accepted !== 'own') return accepted;
		isSent = true;
		const outcome = await exchange(connection, options.target, { version: options.version, signal });
		return late.aborted && 'problem' in outcome ? { problem: lateText } : outcome;
	} catch (error) {
		if (isSent) return { problem: late.aborted ? lateText : textOf(error) };
		return { unreached: true, problem: late.aborted ? notAcceptedText : textOf(error) };
	} finally {
		connection?.destroy();
	}
}

const lateText = `no complete answer within ${attemptMs / 1000} s`;
const notAcceptedText = `no process accepted the connection within ${attemptMs / 1000} s`;

/** @throws {Error} when the signal aborts, or if it can't be seen which process has accepted */
async function acceptedBy(
	connection: Socket,
	whose: Whose | null,
	signal: AbortSignal,
): Promise<'own' | { foreign: true } | { unreached: true; problem: string }> {
	if (whose === null) return 'own';
	let acceptedAt: number | null = null;
	for (let pauseMs = firstLookMs; ; pauseMs = Math.min(pauseMs * 2, longestLookMs)) {
		const inode = acceptedInode(connection);
		if (inode === null) return { unreached: true, problem: 'the connection was closed before the request' };
		if (inode !== 0) {
			const holding = await whose(inode);
			if (holding === true) return 'own';
			if (holding !== false)
				return { unreached: true, problem: `whether its processes accept can't be seen: ${holding.hidden}` };
			acceptedAt ??= bootClock();
			if (bootClock() - acceptedAt >= inTransitMs) return { foreign: true };
		}
		await setTimeout(pauseMs, null, { signal });
	}
}

const texts: Record<string, string> = {
	ECONNREFUSED: 'connection refused',
	EAGAIN: 'its queue of connections is full',
	ENOENT: 'there is no socket at the path',
	EACCES: 'permission denied',
};

function textOf(error: unknown): string {
	const { code, message } = error as NodeJS.ErrnoException;
	return texts[code ?? ''] ?? message;
}
