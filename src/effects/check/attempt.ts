/** One attempt of a health check on one listener: the request is sent only on a connection that the generation accepts. */
import { setTimeout } from 'node:timers/promises';
import { bootClock } from '../os/clock.ts';
import type { Listener } from '../sockets/listener.ts';
import type { CheckTarget } from './checkTarget.ts';
import { type CheckConnection, connectTo } from './connection.ts';
import { exchange, type Outcome } from './exchange.ts';
import type { Whose } from './whose.ts';

/** How long one attempt may take, in milliseconds. */
export const attemptMs = 2000;

/** Pauses between two looks at a connection that no process has accepted yet: the first, and the longest, in milliseconds. */
const [firstLookMs, longestLookMs] = [1, 20];

/**
 * How long an accepted connection that no generation is seen to hold is looked at, in milliseconds: no process holds it
 * while it is sent from one process to another.
 */
const inTransitMs = 50;

export interface AttemptOptions {
	target: CheckTarget;
	version: string;
	/** Whether the generation holds a socket, and whether another one does; null: no other generation can have accepted it. */
	whose: { own: Whose; others: Whose } | null;
	/** Ends the attempt. */
	signal: AbortSignal;
	/** How long the attempt may take, in milliseconds; at most `attemptMs`. */
	limitMs: number;
}

/**
 * `foreign`: another generation has accepted the connection, which was closed without a byte. `unreached`: no process
 * of the generation has received the request, for the reason `problem`.
 */
export type Attempt = Outcome | { foreign: true } | { unreached: true; problem: string };

/** Never throws. If `signal` aborts, the result has no meaning. */
export async function attempt(listener: Listener, options: AttemptOptions): Promise<Attempt> {
	const late = AbortSignal.timeout(Math.min(options.limitMs, attemptMs));
	const signal = AbortSignal.any([options.signal, late]);
	let connection: CheckConnection | null = null;
	let isSent = false;
	try {
		connection = await connectTo(listener.bound, signal);
		const accepted = await acceptedBy(connection, options.whose, signal);
		if (accepted !== 'own') return accepted;
		if (connection.socket.destroyed) return closedEarly;
		isSent = true;
		const outcome = await exchange(connection.socket, options.target, { version: options.version, signal });
		return late.aborted && 'problem' in outcome ? { problem: lateText } : outcome;
	} catch (error) {
		if (isSent) return { problem: late.aborted ? lateText : textOf(error) };
		return { unreached: true, problem: late.aborted ? notAcceptedText : textOf(error) };
	} finally {
		connection?.socket.destroy();
	}
}

const lateText = `no complete answer within ${attemptMs / 1000} s`;
const notAcceptedText = `no process accepted the connection within ${attemptMs / 1000} s`;
const closedEarly = { unreached: true, problem: 'the connection was closed before the request' } as const;

/** @throws {Error} when the signal aborts, or if it can't be seen which process has accepted */
async function acceptedBy(
	{ socket, acceptedInode }: CheckConnection,
	whose: AttemptOptions['whose'],
	signal: AbortSignal,
): Promise<'own' | { foreign: true } | { unreached: true; problem: string }> {
	if (whose === null) return 'own';
	let acceptedAt: number | null = null;
	for (let pauseMs = firstLookMs; ; pauseMs = Math.min(pauseMs * 2, longestLookMs)) {
		const inode = acceptedInode();
		if (inode === null || socket.destroyed) return closedEarly;
		if (inode !== 0) {
			const isOwn = await whose.own(inode);
			signal.throwIfAborted();
			if (isOwn === true) return 'own';
			if ((await whose.others(inode)) === true) return { foreign: true };
			signal.throwIfAborted();
			acceptedAt ??= bootClock();
			if (bootClock() - acceptedAt >= inTransitMs) return isOwn === false ? { foreign: true } : unseen(isOwn.hidden);
		}
		await setTimeout(pauseMs, null, { signal });
	}
}

const unseen = (why: string) =>
	({ unreached: true, problem: `whether its processes accept can't be seen: ${why}` }) as const;

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
