/**
 * For a server in Node that only knows its port: `node --import socketmaster/adopt server.js`, or -adopt. A `listen` on
 * the port or the path of a listener of the supervisor takes that listener; any other is untouched. When each listener is
 * taken, the supervisor is told that the process is ready. On the drain signal the servers close without an error for
 * their clients, unless the program handles the signal itself.
 */
import cluster from 'node:cluster';
import net, { type ListenOptions, type Server } from 'node:net';
import { closeGracefully, watchSessions } from './closeGracefully.ts';
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
const { SOCKETMASTER_CHILD, SOCKETMASTER_SIGNAL = 'HUP' } = process.env;

interface Handle {
	close: () => void;
}

class Adoption {
	readonly #listeners: GivenListener[];
	readonly #signal = `SIG${SOCKETMASTER_SIGNAL}` as NodeJS.Signals;
	/** The servers of this thread that listen, with their handles. */
	readonly #servers = new Map<Server, Handle | null>();
	/** The listeners that a server of any thread has taken. */
	readonly #taken = new Set<number>();
	readonly #threads: ThreadServers;
	#isReady = false;
	#isDraining = false;
	#isHandling = false;

	constructor(listeners: GivenListener[]) {
		this.#listeners = listeners;
		this.#threads = new ThreadServers({
			taken: (fd) => this.#take(fd),
			drain: () => this.#drainHere(),
		});
	}

	begin(): void {
		const adoption = this;
		const original = net.Server.prototype.listen;
		net.Server.prototype.listen = function listen(this: Server, ...given: unknown[]) {
			const call = readListenCall(given);
			// A worker of a cluster asks its primary, which takes the listener.
			const listener = call && !cluster.isWorker ? listenerFor(adoption.#listeners, call.options) : null;
			if (call && (listener || cluster.isWorker)) adoption.#follow(this, listener?.fd ?? null);
			if (!call || !listener) return original.apply(this, given as Parameters<Server['listen']>);
			const { port: _, host: __, path, ipv6Only: ___, ...rest } = call.options;
			// server.address() of a path takes this name.
			if (path !== undefined) Object.assign(this, { _pipeName: path });
			const options: ListenOptions & { fd: number } = { ...rest, fd: duplicate(listener.fd), exclusive: true };
			return call.callback ? original.call(this, options, call.callback) : original.call(this, options);
		} as typeof original;
		adoptForCluster(this.#listeners, (fd) => this.#take(fd));
	}

	/** @param fd the listener's; null in a worker of a cluster */
	#follow(server: Server, fd: number | null): void {
		watchSessions(server);
		server.once('listening', () => {
			const { _handle: handle } = server as unknown as { _handle: Handle | null };
			this.#servers.set(server, handle);
			this.#handleSignal();
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
		this.#handleSignal();
		if (!this.#threads.isMain || this.#isReady) return;
		if (this.#listeners.some((each) => !this.#taken.has(each.fd))) return;
		this.#isReady = true;
		void report('READY=1');
	}

	#handleSignal(): void {
		if (this.#isHandling || !this.#threads.isMain) return;
		this.#isHandling = true;
		process.on(this.#signal, this.#onSignal);
	}

	readonly #onSignal = (): void => {
		if (this.#isDraining || isHandledByProgram(this.#signal, this.#onSignal)) return;
		this.#isDraining = true;
		void report('STOPPING=1');
		void Promise.all([this.#drainHere(), this.#threads.drain()])
			.then(() => this.#drainWorkers())
			.then(() => process.exit(0));
	};

	async #drainHere(): Promise<void> {
		await Promise.all([...this.#servers].map(([server, handle]) => closed(server, handle)));
	}

	/** The workers of a cluster close the connections that they have. */
	async #drainWorkers(): Promise<void> {
		const workers = Object.values((cluster.isPrimary && cluster.workers) || {}).filter(
			(worker) => worker !== undefined,
		);
		if (workers.length === 0) return;
		await new Promise((resolve) => setTimeout(resolve, handOutMs));
		const ends = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
		for (const worker of workers) {
			worker.exitedAfterDisconnect = true;
			worker.process.kill(this.#signal);
		}
		await Promise.all(ends);
	}
}

/** The primary of a cluster has taken the handle from its server. */
async function closed(server: Server, handle: Handle | null): Promise<void> {
	if ((server as unknown as { _handle: Handle | null })._handle === null) handle?.close();
	else await closeGracefully(server);
}

/** With cluster.SCHED_NONE the primary makes the handle for its workers itself. */
function adoptForCluster(listeners: GivenListener[], taken: (fd: number) => void): void {
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
