/** The servers in the worker threads of a process: only the main thread receives signals and speaks for the process. */
import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads';

interface Message {
	kind: 'taken' | 'closed' | 'drain';
	thread: number;
	fd: number;
}

export interface ThreadServersOptions {
	/** Main thread: a server of another thread has taken a listener. */
	taken: (fd: number) => void;
	/** Other threads: close the servers. */
	drain: () => Promise<void>;
}

export class ThreadServers {
	readonly isMain = isMainThread;
	readonly #options: ThreadServersOptions;
	readonly #channel = new BroadcastChannel('socketmaster/adopt');
	/** The number of servers that listen, by thread. */
	readonly #counts = new Map<number, number>();
	#drained = () => {};

	constructor(options: ThreadServersOptions) {
		this.#options = options;
		this.#channel.onmessage = (event) => this.#hear((event as { data: Message }).data);
		this.#channel.unref();
	}

	tellTaken(fd: number): void {
		if (!isMainThread) this.#tell('taken', fd);
	}

	tellClosed(): void {
		if (!isMainThread) this.#tell('closed', 0);
	}

	/** Main thread: has the other threads close their servers. Resolves when they are closed. */
	drain(): Promise<void> {
		this.#tell('drain', 0);
		return new Promise((resolve) => {
			this.#drained = () => {
				if ([...this.#counts.values()].every((count) => count <= 0)) resolve();
			};
			this.#drained();
		});
	}

	#tell(kind: Message['kind'], fd: number): void {
		this.#channel.postMessage({ kind, thread: threadId, fd } satisfies Message);
	}

	#hear({ kind, thread, fd }: Message): void {
		if (kind === 'drain') {
			void this.#options.drain();
			return;
		}
		if (!isMainThread) return;
		this.#counts.set(thread, (this.#counts.get(thread) ?? 0) + (kind === 'taken' ? 1 : -1));
		if (kind === 'taken') this.#options.taken(fd);
		else this.#drained();
	}
}
