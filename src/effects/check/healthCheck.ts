/** The health check: requests the path of -check from the children of one generation, until each listener has answered. */
import { setTimeout } from 'node:timers/promises';
import { type CallbackActorLogic, type EventObject, fromCallback } from 'xstate';
import type { HealthCheckInput } from '../../machines/charts/protocol.ts';
import type { ExternalEvent } from '../../machines/facts/facts.ts';
import { isLeaving, type SupervisorState } from '../../machines/state/supervisorState.ts';
import { duration } from '../../machines/text/duration.ts';
import { inTurn } from '../children/treeLook.ts';
import { bootClock } from '../os/clock.ts';
import { hasEnded, isEnding } from '../os/proc.ts';
import { forgetProcesses, type Leader } from '../os/processTree.ts';
import type { Listener } from '../sockets/listener.ts';
import { listenOptionsOf } from '../sockets/listener.ts';
import { type Attempt, attempt } from './attempt.ts';
import { type CheckTarget, checkTarget } from './checkTarget.ts';
import { type Whose, whoseIs } from './whose.ts';

/** Pauses after an answer that does not pass: the first and the longest, in milliseconds. */
const pausesMs = { promotion: [100, 1000], bake: [1000, 1000], degraded: [1000, 10_000] } as const;

/**
 * Connections that other generations accept before the check pauses between two: processes that wait in accept(2) are
 * served in the order in which they began to wait, so each of the old ones comes first.
 */
const mostInARow = 1000;

/** Pauses after that, the first and the longest, in milliseconds. */
const foreignPausesMs = [5, 200] as const;

/** An attempt before the deadline has at least this long, in milliseconds. */
const shortestAttemptMs = 100;

/** How long the exit of a child may follow the end of its connections unseen, in milliseconds. */
const exitMs = 100;

/** After an upgrade or a recovery the deadline may be over: the check still has this long, in milliseconds. */
const graceMs = 2000;

/** The lines of output that a failure keeps, of all children together. */
const mostLines = 20;

export interface HealthCheckOptions {
	admit: (external: ExternalEvent) => void;
	/** The value of -check. */
	check: string;
	listeners: Listener[];
	version: string;
	/** The value of SOCKETMASTER_RUN in the environment of every child. */
	run: string;
	state: () => SupervisorState | null;
	/** The last output of a child. */
	printedBy: (child: number) => { lastOutput?: string[] };
}

export type CheckPurpose = NonNullable<HealthCheckInput['purpose']>;

/** The health check as an actor. It ends with its report, `check.passed` or `check.failed`. */
export function healthCheckActor(options: HealthCheckOptions): CallbackActorLogic<EventObject, HealthCheckInput> {
	const target = checkTarget(options.check);
	const marked = options.listeners.filter(({ uri }) => listenOptionsOf(uri).isChecked);
	const listeners = marked.length > 0 ? marked : options.listeners;
	return fromCallback<EventObject, HealthCheckInput>(({ input }) => {
		const { purpose } = input;
		if (purpose === null || target === null) return;
		const check = new HealthCheck({ ...options, listeners }, target, { ...input, purpose });
		void check.run().finally(forgetProcesses);
		return () => check.stop();
	});
}

class HealthCheck {
	readonly #options: HealthCheckOptions;
	readonly #target: CheckTarget;
	readonly #input: HealthCheckInput & { purpose: CheckPurpose };
	readonly #began = bootClock();
	/** In milliseconds since boot. */
	readonly #deadline: number;
	readonly #abort = new AbortController();
	/** By the address of the listener; a listener that has passed has none. */
	readonly #problems = new Map<Listener, string>();
	#reported = '';

	constructor(options: HealthCheckOptions, target: CheckTarget, input: HealthCheckInput & { purpose: CheckPurpose }) {
		this.#options = options;
		this.#target = target;
		this.#input = input;
		const { millis, since } = input;
		this.#deadline =
			millis === 0 ? Number.POSITIVE_INFINITY : Math.max((since ?? this.#began) + millis, this.#began + graceMs);
	}

	stop(): void {
		this.#abort.abort();
	}

	async run(): Promise<void> {
		const { listeners, admit } = this.#options;
		const { generation } = this.#input;
		const results = await Promise.all(listeners.map((listener) => this.#watch(listener)));
		if (this.#abort.signal.aborted) return;
		const statuses = results.filter((result) => result !== null);
		if (statuses.length < results.length) return this.#fail();
		this.#abort.abort();
		admit({ type: 'check.passed', generation, status: statuses.at(-1) ?? 0, millis: this.#elapsed() });
	}

	/** @returns the status of the first answer that passes; null at the deadline, or if the check is over */
	async #watch(listener: Listener): Promise<number | null> {
		const { purpose } = this.#input;
		let pauseMs: number = pausesMs[purpose][0];
		let foreignMs: number = foreignPausesMs[0];
		let inARow = 0;
		while (!this.#abort.signal.aborted && bootClock() < this.#deadline) {
			const outcome = await this.#attempt(listener);
			if (this.#abort.signal.aborted) return null;
			if ('foreign' in outcome) {
				inARow += 1;
				if (inARow < mostInARow) continue;
				await this.#pause(foreignMs);
				foreignMs = Math.min(foreignMs * 2, foreignPausesMs[1]);
				continue;
			}
			const status = 'status' in outcome ? outcome.status : 0;
			const hasPassed = status >= 200 && status <= 299;
			// The last answer decides, also after a while in which only others have answered.
			if (hasPassed) this.#problems.delete(listener);
			else this.#note(listener, 'status' in outcome ? String(status) : outcome.problem);
			if (hasPassed && purpose !== 'bake') return status;
			if (!hasPassed && purpose === 'bake' && !('unreached' in outcome)) {
				await this.#awaitExit(outcome);
				this.#fail();
				return null;
			}
			foreignMs = foreignPausesMs[0];
			inARow = 0;
			await this.#pause(pauseMs);
			pauseMs = Math.min(pauseMs * 2, pausesMs[purpose][1]);
		}
		return null;
	}

	async #attempt(listener: Listener): Promise<Attempt> {
		const { version } = this.#options;
		const leaders = this.#leaders();
		const others = this.#otherLeaders();
		const signal = this.#abort.signal;
		const turns = (whose: Whose) => (inode: number) => inTurn(() => whose(inode));
		const looks = { own: turns(whoseIs(() => leaders)), others: turns(whoseIs(() => others, false)) };
		const whose = this.#isAlone() ? null : looks;
		const limitMs = Math.max(shortestAttemptMs, this.#deadline - bootClock());
		return attempt(listener, { target: this.#target, version, whose, signal, limitMs });
	}

	/** A child that exits closes its connections first: its exit is the reason then, and is reported by itself. */
	async #awaitExit(outcome: Attempt): Promise<void> {
		if ('status' in outcome) return;
		await this.#pause(exitMs);
		while (!this.#abort.signal.aborted && this.#leaders().some(({ pid }) => isEnding(pid) || hasEnded(pid)))
			await this.#pause(exitMs);
	}

	/** Whether no other generation has a child that could accept. */
	#isAlone(): boolean {
		return (this.#options.state()?.children ?? []).every(({ generation }) => generation === this.#input.generation);
	}

	#leaders(): Leader[] {
		const { run, state } = this.#options;
		return (state()?.children ?? []).flatMap((known) =>
			known.generation === this.#input.generation && known.pid !== null && !isLeaving(known)
				? { pid: known.pid, mark: [`SOCKETMASTER_RUN=${run}`, `SOCKETMASTER_CHILD=${known.child}`] }
				: [],
		);
	}

	#otherLeaders(): Leader[] {
		return (this.#options.state()?.children ?? []).flatMap(({ generation, pid }) =>
			generation !== this.#input.generation && pid !== null ? { pid, mark: [] } : [],
		);
	}

	async #pause(millis: number): Promise<void> {
		const leftMs = Math.max(0, this.#deadline - bootClock());
		await setTimeout(Math.min(millis, leftMs), null, { signal: this.#abort.signal }).catch(() => {});
	}

	/** Reports what is not passed yet, if that has changed. */
	#note(listener: Listener, problem: string): void {
		this.#problems.set(listener, problem);
		const { purpose, generation } = this.#input;
		const text = this.#problemText();
		if (purpose === 'bake' || text === this.#reported) return;
		this.#reported = text;
		this.#options.admit({ type: 'check.tried', generation, problem: text });
	}

	#problemText(): string {
		const { listeners } = this.#options;
		const texts = [...this.#problems].map(([{ uri }, text]) => (listeners.length > 1 ? `${text} on ${uri}` : text));
		return texts.join('; ') || 'other generations accepted each connection';
	}

	#fail(): void {
		if (this.#abort.signal.aborted) return;
		this.#abort.abort();
		const { admit, check, state, printedBy } = this.#options;
		const { generation, purpose, millis } = this.#input;
		const children = (state()?.children ?? []).filter((each) => each.generation === generation);
		const lastOutput = children.flatMap(({ child }) => printedBy(child).lastOutput ?? []).slice(-mostLines);
		const problem = this.#problemText();
		const when = purpose === 'bake' ? '' : ` within ${duration(millis)}`;
		admit({
			type: 'check.failed',
			generation,
			problem,
			reason: `it did not answer -check=${check} with 2xx${when}: ${problem}`,
			millis: this.#elapsed(),
			...(lastOutput.length > 0 ? { lastOutput } : {}),
		});
	}

	/** In whole milliseconds. */
	#elapsed(): number {
		return Math.round(bootClock() - this.#began);
	}
}
