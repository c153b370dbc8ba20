/**
 * The watchdog of each child (sd_notify(3), -watchdog): a serving child that has sent `WATCHDOG=1` and then stays silent
 * for its interval is reported as hung. The clock is monotonic: it does not run while the machine sleeps.
 */
import type { ExternalEvent, Fact } from '../../machines/facts/facts.ts';
import { longestKillTimeout } from '../../machines/rules/killTimeout.ts';
import { type ChildState, isComing, isLeaving } from '../../machines/state/supervisorState.ts';
import { duration } from '../../machines/text/duration.ts';
import type { Log } from '../log/log.ts';
import { bootClock } from '../os/clock.ts';

/** The limits of an interval, in milliseconds. */
export const [shortestIntervalMs, longestIntervalMs] = [100, 2 ** 31 - 1];

export interface WatchdogsOptions {
	admit: (external: ExternalEvent) => void;
	log: Pick<Log, 'say'>;
	/** -watchdog, in milliseconds; 0: no child is watched, but one that was aborted before a recovery is still killed. */
	intervalMs: number;
	/** The state of a child; null after it is gone. */
	known: (child: number) => ChildState | null;
	/** Receives the messages of a child that have arrived already. */
	receiveNow: (child: number) => void;
}

interface Watchdog {
	intervalMs: number;
	/** When its last `WATCHDOG=1` was received. */
	pingedAt: number;
	timer: NodeJS.Timeout;
	/** It was reported as hung so often. */
	attempts: number;
}

export class Watchdogs {
	readonly #options: WatchdogsOptions;
	readonly #watched = new Map<number, Watchdog>();
	/** Serving children that have sent no `WATCHDOG=1` so far. */
	readonly #silent = new Map<number, NodeJS.Timeout>();

	constructor(options: WatchdogsOptions) {
		this.#options = options;
	}

	/** Takes the lines of a trusted message: `WATCHDOG=1`, `WATCHDOG=trigger`, `WATCHDOG_USEC=`. */
	readonly take = (child: number, lines: string[]): void => {
		const wantedMs = intervalIn(lines);
		const watchdog = this.#watched.get(child);
		const intervalMs = wantedMs ?? watchdog?.intervalMs ?? this.#options.intervalMs;
		const isPing = lines.includes('WATCHDOG=1');
		if (isPing || (watchdog && wantedMs !== null)) this.#watch(child, intervalMs);
		if (lines.includes('WATCHDOG=trigger')) this.#report(child, intervalMs, true);
	};

	readonly note = (fact: Fact): void => {
		if (fact.type === 'supervisor.recovered') {
			for (const known of fact.state.children) this.#resume(known);
		}
		if (fact.type === 'child.ready' && this.#options.intervalMs > 0 && !this.#watched.has(fact.child))
			this.#awaitFirst(fact.child);
		if (fact.type === 'child.exited' || fact.type === 'child.spawnFailed') this.#forget(fact.child);
	};

	readonly close = (): void => {
		for (const child of [...this.#watched.keys(), ...this.#silent.keys()]) this.#forget(child);
	};

	/** A child that was aborted before is still killed in time. */
	#resume({ child, watchdog, hungClock, phase }: ChildState): void {
		if (hungClock !== null) {
			this.#begin(
				child,
				watchdog ?? this.#options.intervalMs,
				Math.max(0, hungClock + longestKillTimeout - bootClock()),
			);
			const own = this.#watched.get(child);
			if (own) own.attempts = 1;
		} else if (this.#options.intervalMs === 0) return;
		else if (watchdog !== null) this.#begin(child, watchdog);
		else if (phase === 'serving') this.#awaitFirst(child);
	}

	#watch(child: number, intervalMs: number): void {
		const watchdog = this.#watched.get(child);
		// It was aborted: whatever it sends now does not save it.
		if (watchdog && watchdog.attempts > 0) return;
		if (watchdog && watchdog.intervalMs === intervalMs) {
			watchdog.pingedAt = performance.now();
			return;
		}
		this.#begin(child, intervalMs);
		this.#options.admit({ type: 'child.watched', child, millis: intervalMs });
	}

	#begin(child: number, intervalMs: number, firstMs = intervalMs): void {
		this.#forget(child);
		const timer = setTimeout(() => this.#look(child), firstMs);
		this.#watched.set(child, { intervalMs, pingedAt: performance.now(), timer, attempts: 0 });
	}

	/** The timer is not moved by each `WATCHDOG=1`: at its end it waits for the rest. */
	#look(child: number): void {
		const watchdog = this.#watched.get(child);
		const known = this.#options.known(child);
		if (!watchdog || known === null || isLeaving(known)) {
			this.#forget(child);
			return;
		}
		// The event loop may have been late.
		if (watchdog.attempts === 0) this.#options.receiveNow(child);
		if (this.#watched.get(child) !== watchdog) return;
		if (isComing(known)) watchdog.pingedAt = performance.now();
		const leftMs = watchdog.attempts > 0 ? 0 : watchdog.pingedAt + watchdog.intervalMs - performance.now();
		if (leftMs > 0) watchdog.timer = setTimeout(() => this.#look(child), Math.ceil(leftMs));
		else this.#report(child, watchdog.intervalMs, false);
	}

	/** The first report has the child aborted; the second, `longestKillTimeout` later, has it killed. */
	#report(child: number, millis: number, isTriggered: boolean): void {
		const known = this.#options.known(child);
		if (known === null || known.pid === null || known.phase !== 'serving') return;
		const watchdog = this.#watched.get(child);
		const attempt = (watchdog?.attempts ?? 0) + 1;
		if (attempt > 2 || (isTriggered && attempt > 1)) return;
		if (watchdog) clearTimeout(watchdog.timer);
		const timer = setTimeout(() => this.#look(child), longestKillTimeout);
		this.#watched.set(child, { intervalMs: millis, pingedAt: performance.now(), timer, attempts: attempt });
		this.#options.admit({ type: 'child.hung', child, pid: known.pid, millis, isTriggered, attempt });
	}

	#awaitFirst(child: number): void {
		const { intervalMs, known, log } = this.#options;
		const timer = setTimeout(() => {
			this.#silent.delete(child);
			const own = known(child);
			if (own?.phase !== 'serving' || this.#watched.has(child)) return;
			log.say(
				'warn',
				`${own.pid} has sent no WATCHDOG=1 within ${duration(intervalMs)} (-watchdog): it is not watched until it does`,
			);
		}, intervalMs);
		this.#silent.set(child, timer);
	}

	#forget(child: number): void {
		clearTimeout(this.#watched.get(child)?.timer);
		clearTimeout(this.#silent.get(child));
		this.#watched.delete(child);
		this.#silent.delete(child);
	}
}

/** The interval of `WATCHDOG_USEC=`, in milliseconds; null if there is none, or if it is not valid. */
function intervalIn(lines: string[]): number | null {
	const text = lines.find((line) => line.startsWith('WATCHDOG_USEC='))?.slice('WATCHDOG_USEC='.length) ?? '';
	if (!/^[1-9]\d*$/.test(text)) return null;
	return Math.min(Math.max(Math.ceil(Number(text) / 1000), shortestIntervalMs), longestIntervalMs);
}
