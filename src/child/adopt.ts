/**
 * For a server in Node that only knows its port: `node --import socketmaster/adopt server.js`, or -adopt. A `listen` on
 * the port or the path of a listener of the supervisor takes that listener; any other is untouched. When each listener is
 * taken, the supervisor is told that the process is ready. On the drain signal the servers close without an error for
 * their clients, unless the program handles the signal itself. On the stop signal they answer what has begun.
 */
import cluster from 'node:cluster';
import { closeSync } from 'node:fs';
import net, { type ListenOptions, type Server } from 'node:net';
import { closeGracefully, watchConnections } from './closeGracefully.ts';
import { duplicate } from './duplicate.ts';
import { type GivenListener, givenListeners } from './givenListeners.ts';
import { listenerFor, readListenCall } from './listenArguments.ts';
import { report } from './report.ts';
import { isHandledByProgram } from './signalHandlers.ts';
import { ThreadServers } from './threadServers.ts';

/** A server that stops to listen sooner than this is a probe of the port, in milliseconds. */
const probeMs = 20;

/** How long the primary of a cluster may take to hand its last connections to the workers, in milliseconds. */
const handOutMs = 100;

const mark = Symbol.for('socketmaster/adopt');
const { SOCKETMASTER_CHILD, SOCKETMASTER_SIGNAL = 'HUP', SOCKETMASTER_STOP = 'TERM' } = process.env;

/**
 * How long requests may take after the stop signal, in milliseconds. Nothing serves after a stop, so a connection that
 * stays open for ever (a websocket) may not hold it up.
 */
const longestStopMs = 10_000;

interface Handle {
	close: () => void;
}

class Adoption {
	readonly #listeners: GivenListener[];
	readonly #drainSignal = `SIG${SOCKETMASTER_SIGNAL}` as NodeJS.Signals;
	readonly #stopSignal = `SIG${SOCKETMASTER_STOP}` as NodeJS.Signals;
	/** The servers of this thread that listen, with their handles. */
	readonly #servers = new Map<Server, Handle | null>();
	/** The listeners that a server of any thread has taken. */
	readonly #taken = new Set<number>();
	readonly #threads: ThreadServers;
	#isReady = false;
	#isLeaving = false;
	#isHandling = false;

	constructor(listeners: GivenListener[]) {
		this.#listeners = listeners;
		this.#threads = new ThreadServers({
			taken: (fd) => this.#take(fd),
			drain: (idleMs) => this.#drainHere(idleMs),
		});
	}

	begin(): void {
		const adoption = this;
		const original = net.Server.prototype.listen;
		net.Server.prototype.listen = function listen(this: Server, ...given: unknown[]) {
			const call = readListenCall(given);
			// A worker of a cluster asks its primary, which takes the listener.
			const listener = call && !cluster.isWorker ? listenerFor(adoption.#listeners, call.options) : null;
			// Many programs start a worker for each one that exits, or listen again: nothing of it may accept now. The
			// server never listens, and goes with the process.
			if (listener && adoption.#isLeaving) return this;
			if (call && (listener || cluster.isWorker)) adoption.#follow(this, listener?.fd ?? null);
			if (!call || !listener) return original.apply(this, given as Parameters<Server['listen']>);
			const { port: _, host: __, path, ipv6Only: ___, ...rest } = call.options;
			// server.address() of a path takes this name.
			if (path !== undefined) Object.assign(this, { _pipeName: path });
			const fd = duplicate(listener.fd);
			const options: ListenOptions & { fd: number } = { ...rest, fd, exclusive: true };
			try {
				return call.callback ? original.call(this, options, call.callback) : original.call(this, options);
			} catch (error) {
				if (fd !== listener.fd) closeSync(fd);
				throw error;
			}
		} as typeof original;
		adoptForCluster(this.#listeners, {
			isLeaving: () => this.#isLeaving,
			taken: (fd) => this.#take(fd),
		});
	}

	/** @param fd the listener's; null in a worker of a cluster */
	#follow(server: Server, fd: number | null): void {
		watchConnections(server);
		server.once('listening', () => {
			const { _handle: handle } = server as unknown as { _handle: Handle | null };
			this.#servers.set(server, handle);
			this.#handleSignals();
			if (fd === null) return;
			const isProbe = () => !this.#servers.has(server);
			setTimeout(() => {
				if (isProbe()) return;
				this.#threads.tellTaken(fd);
				this.#take(fd);
				server.once('close', () => this.#threads.tellClosed());
			}, probeMs);
		});
		server.once('close', () => this.#servers.delete(server));
	}

	/** Only the main thread speaks for the process. */
	#take(fd: number): void {
		this.#taken.add(fd);
		this.#handleSignals();
		if (!this.#threads.isMain || this.#isReady) return;
		if (this.#listeners.some((each) => !this.#taken.has(each.fd))) return;
		this.#isReady = true;
		void report('READY=1');
	}

	#handleSignals(): void {
		if (this.#isHandling || !this.#threads.isMain) return;
		this.#isHandling = true;
		// Before others: a handler of process.once() is gone when the next one is called.
		process.prependListener(this.#drainSignal, this.#onDrain);
		if (this.#stopSignal !== this.#drainSignal) process.prependListener(this.#stopSignal, this.#onStop);
	}

	readonly #onDrain = (): void => this.#leave(this.#drainSignal, this.#onDrain);

	/** A connection without a request is closed at once: no other process will answer on a new one. */
	readonly #onStop = (): void => {
		this.#leave(this.#stopSignal, this.#onStop, 0);
		if (this.#isLeaving) setTimeout(() => this.#exit(), longestStopMs).unref();
	};

	#leave(signal: NodeJS.Signals, ours: () => void, idleMs?: number): void {
		if (isHandledByProgram(signal, ours)) return;
		const isFirst = !this.#isLeaving;
		this.#isLeaving = true;
		if (isFirst) void report('STOPPING=1');
		// With -group the workers of a cluster get the signal with their primary, which hands them connections still.
		const before = cluster.isWorker ? pause(2 * handOutMs) : Promise.resolve();
		void before
			.then(() => Promise.all([this.#drainHere(idleMs), this.#threads.drain(idleMs)]))
			.then(() => this.#drainWorkers(signal))
			.then(() => this.#exit());
	}

	/** Workers that were started meanwhile have no connection. */
	#exit(): void {
		for (const worker of Object.values((cluster.isPrimary && cluster.workers) || {})) worker?.process.kill('SIGKILL');
		process.exit(0);
	}

	async #drainHere(idleMs?: number): Promise<void> {
		this.#isLeaving = true;
		await Promise.all([...this.#servers].map(([server, handle]) => closed(server, handle, idleMs)));
	}

	/** The workers of a cluster close the connections that they have. */
	async #drainWorkers(signal: NodeJS.Signals): Promise<void> {
		const workers = Object.values((cluster.isPrimary && cluster.workers) || {}).filter(
			(worker) => worker !== undefined,
		);
		if (workers.length === 0) return;
		await pause(handOutMs);
		const ends = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
		for (const worker of workers) {
			worker.exitedAfterDisconnect = true;
			worker.process.kill(signal);
		}
		await Promise.all(ends);
	}
}

const pause = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis));

/** The primary of a cluster has taken the handle from its server. */
async function closed(server: Server, handle: Handle | null, idleMs?: number): Promise<void> {
	if (cluster.isPrimary && (server as unknown as { _handle: Handle | null })._handle === null) handle?.close();
	else await closeGracefully(server, idleMs);
}

/** With cluster.SCHED_NONE the primary makes the handle for its workers itself. */
function adoptForCluster(
	listeners: GivenListener[],
	{ isLeaving, taken }: { isLeaving: () => boolean; taken: (fd: number) => void },
): void {
	const internals = net as unknown as {
		_createServerHandle?: (
			address: string | null,
			port: number,
			type: number,
			fd?: number | null,
			flags?: number,
		) => unknown;
	};
	const original = internals._createServerHandle;
	if (!original) return;
	internals._createServerHandle = (address, port, type, fd, flags) => {
		const isPath = port === -1 && type === -1;
		const target = isPath ? { path: address ?? '' } : { port, ...(address === null ? {} : { host: address }) };
		const hasFd = typeof fd === 'number' && fd >= 0;
		const listener = hasFd ? null : listenerFor(listeners, target);
		if (!listener) return original(address, port, type, fd, flags);
		// A worker that was started meanwhile gets a port that nobody knows.
		if (isLeaving()) return original('127.0.0.1', 0, 4, undefined, flags);
		taken(listener.fd);
		return original(null, 0, -1, duplicate(listener.fd), flags);
	};
}

// It may be loaded twice: by -adopt, and by the command itself.
if (SOCKETMASTER_CHILD !== undefined && !Object.hasOwn(globalThis, mark)) {
	Object.assign(globalThis, { [mark]: true });
	const listeners = givenListeners();
	if (listeners.length > 0 || cluster.isWorker) new Adoption(listeners).begin();
}
