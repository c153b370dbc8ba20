/** The servers in the worker threads of a process: only the main thread receives signals and speaks for the process. */
import { BroadcastChannel, isMainThread, threadId, type Worker } from 'node:worker_threads';

interface Message {
	/** `gone`: the thread has ended. */
	kind: 'taken' | 'closed' | 'gone' | 'drain';
	thread: number;
	fd: number;
	/** How long a connection without a request stays open, in milliseconds; undefined: as usual. */
	idleMs?: number | undefined;
}

export interface ThreadServersOptions {
	/** Main thread: a server of another thread has taken a listener. */
	taken: (fd: number) => void;
	/** Other threads: close the servers. */
	drain: (idleMs: number | undefined) => Promise<void>;
}

export class ThreadServers {
	readonly isMain = isMainThread;
	readonly #options: ThreadServersOptions;
	readonly #channel = new BroadcastChannel('socketmaster/adopt');
	/** The number of servers that listen, by thread. */
	readonly #counts = new Map<number, number>();
	#drained = () => {};
	#draining: { idleMs: number | undefined } | null = null;

	constructor(options: ThreadServersOptions) {
		this.#options = options;
		this.#channel.onmessage = (event) => this.#hear((event as { data: Message }).data);
		this.#channel.unref();
		// A thread that ends says nothing; the thread that has started it sees its end.
		process.on('worker', (worker: Worker) => {
			const thread = worker.threadId;
			worker.once('exit', () => this.#end(thread));
		});
	}

	tellTaken(fd: number): void {
		if (!isMainThread) this.#tell('taken', fd);
	}

	tellClosed(): void {
		if (!isMainThread) this.#tell('closed', 0);
	}

	/** Main thread: has the other threads close their servers. Resolves when they are closed. */
	drain(idleMs?: number): Promise<void> {
		this.#draining = { idleMs };
		this.#tell('drain', 0, idleMs);
		return new Promise((resolve) => {
			this.#drained = () => {
				if ([...this.#counts.values()].every((count) => count <= 0)) resolve();
			};
			this.#drained();
		});
	}

	#tell(kind: Message['kind'], fd: number, idleMs?: number): void {
		this.#channel.postMessage({ kind, thread: threadId, fd, idleMs } satisfies Message);
	}

	#hear({ kind, thread, fd, idleMs }: Message): void {
		if (kind === 'drain') {
			void this.#options.drain(idleMs);
			return;
		}
		if (!isMainThread) return;
		if (kind === 'gone') this.#counts.delete(thread);
		else this.#counts.set(thread, (this.#counts.get(thread) ?? 0) + (kind === 'taken' ? 1 : -1));
		if (kind === 'taken') this.#options.taken(fd);
		// A thread that listens after the others were told to close.
		if (kind === 'taken' && this.#draining) this.#tell('drain', 0, this.#draining.idleMs);
		this.#drained();
	}

	#end(thread: number): void {
		if (!isMainThread) this.#channel.postMessage({ kind: 'gone', thread, fd: 0 } satisfies Message);
		this.#counts.delete(thread);
		this.#drained();
	}
}
