/**
 * For servers in Node that run under socketmaster, and without it. It has no dependency.
 *
 *     import { listen, ready, stopping } from 'socketmaster/child';
 *
 *     await listen(server, 8080);
 *     await ready();
 *     const leave = () => stopping(server).then(() => process.exit(0));
 *     for (const signal of ['SIGHUP', 'SIGTERM']) process.once(signal, leave);
 */
import type { ListenOptions, Server } from 'node:net';
import { closeGracefully, watchConnections } from './closeGracefully.ts';
import { type GivenListener, givenListeners } from './givenListeners.ts';
import { report } from './report.ts';

export interface ListenTarget {
	/** Where to listen without a supervisor; also which of several listeners to take. */
	port?: number;
	host?: string;
	path?: string;
	/** The number of the listener, in the order of -listen, from 0; instead of a search by port or path. */
	index?: number;
}

/** Whether a supervisor has started this process and given it listeners. */
export const isSupervised: boolean = givenListeners().length > 0;

/**
 * Lets a server listen: on the listener that the supervisor has given, or on a port or path without a supervisor. Of
 * several listeners it is the one with this port or path, else the first.
 * @param server of node:http, https, http2 or net
 * @param target a port, a path, or both as an object; 8080 if it is missing
 * @returns resolves when the server listens
 * @throws {Error} if it can't listen, or if there is no listener `index`
 */
export async function listen<T extends Server>(server: T, target: number | string | ListenTarget = 8080): Promise<T> {
	const wanted = targetOf(target);
	const given = givenFor(givenListeners(), wanted);
	const { index: _, ...own } = wanted;
	const options: ListenOptions & { fd?: number } = given === null ? own : { fd: given.fd, exclusive: true };
	watchConnections(server);
	// server.address() takes this name; of a path by its fd it is null otherwise.
	if (given?.path) Object.assign(server, { _pipeName: given.path });
	await new Promise<void>((resolve, reject) => {
		server.once('error', reject);
		server.listen(options, () => {
			server.off('error', reject);
			resolve();
		});
	});
	return server;
}

function targetOf(target: number | string | ListenTarget): ListenTarget {
	if (typeof target === 'number') return { port: target };
	if (typeof target === 'string') return /^\d+$/.test(target) ? { port: Number(target) } : { path: target };
	return target;
}

function givenFor(given: GivenListener[], { port, path, index }: ListenTarget): GivenListener | null {
	if (given.length === 0) return null;
	if (index !== undefined) {
		const found = given[index];
		if (!found) throw new Error(`there is no listener ${index}: the supervisor has given ${given.length}`);
		return found;
	}
	const byTarget = given.find((each) =>
		path === undefined ? port !== undefined && each.port === port : each.path === path,
	);
	return byTarget ?? given[0] ?? null;
}

/**
 * Tells the supervisor that this process is ready: sooner than -start, and with -ready=notify at all.
 * @returns whether it was told; false without a supervisor
 */
export function ready(): Promise<boolean> {
	return report('READY=1');
}

/** Shows a text in `socketmaster status`, until the next one. @returns whether it was told */
export function status(text: string): Promise<boolean> {
	return report(`STATUS=${text.replaceAll('\n', ' ')}`);
}

/**
 * With -watchdog: tells the supervisor at half the interval that the event loop runs. A process whose loop hangs is
 * replaced.
 * @returns a function that stops it; it does nothing without -watchdog
 */
export function watchdog(): () => void {
	const intervalMs = Number(process.env.WATCHDOG_USEC ?? 0) / 1000;
	if (!isSupervised || !(intervalMs > 0)) return () => {};
	const ping = () => void report('WATCHDOG=1');
	ping();
	const timer = setInterval(ping, Math.max(1, Math.floor(intervalMs / 2))).unref();
	return () => clearInterval(timer);
}

export interface StoppingOptions {
	/** How long a kept connection without a request stays open, in milliseconds: a request may be on its way. */
	idleMs?: number;
}

/**
 * Ends a server for its clients' sake: it accepts no more connections, answers what has begun, and asks clients of kept
 * connections to come back on a new one (`Connection: close`).
 * @returns resolves when the last connection is closed
 */
export async function stopping(server: Server, { idleMs }: StoppingOptions = {}): Promise<void> {
	void report('STOPPING=1');
	await closeGracefully(server, idleMs);
}
