/**
 * The listener check: inspects a child's processes from outside until it is known whether they accept on every
 * listener.
 */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { type CallbackActorLogic, type EventObject, fromCallback } from 'xstate';
import type { ListenerCheckInput } from '../../machines/charts/protocol.ts';
import type { ExternalEvent, Plan } from '../../machines/facts/facts.ts';
import type { Phase } from '../../machines/state/supervisorState.ts';
import { bootClock } from '../os/clock.ts';
import { hasEnded } from '../os/proc.ts';
import { forgetProcesses } from '../os/processTree.ts';
import type { Listener } from '../sockets/listener.ts';
import { describeSlot } from './activationEnv.ts';
import {
	type CheckPurpose,
	type CheckTimes,
	checkTimes,
	firstPauseMs,
	nextPauseMs,
	waitMs,
} from './listenerCheckTimes.ts';
import { type CheckHistory, type CheckVerdict, emptyHistory, judgeInspection } from './listenerCheckVerdict.ts';
import { type Found, inTurn, type TreeLook, treeLooks, unclearFor } from './treeLook.ts';
import { whyNotAccepting, whyNotHeld } from './whyNotAccepting.ts';

export interface ListenerCheckOptions {
	admit: (external: ExternalEvent) => void;
	listeners: Listener[];
	verify: Plan['verify'];
	/** The value of SOCKETMASTER_RUN in the environment of every child. */
	run: string;
	/** The pid of a child; null after its leader has exited. */
	pidOf: (child: number) => number | null;
	phaseOf: (child: number) => Phase | null;
	/** Receives the messages of a child that arrived in time, before the child is found to be late. */
	receiveNow: (child: number) => void;
	/** The last output of a child. */
	printedBy: (child: number) => { lastOutput?: string[] };
}

/**
 * The listener check as an actor. It reports its result once, and before that a check that takes long. It reports
 * nothing about a child that has exited: the exit itself is reported.
 */
export function listenerCheckActor(options: ListenerCheckOptions): CallbackActorLogic<EventObject, ListenerCheckInput> {
	let running = 0;
	return fromCallback<EventObject, ListenerCheckInput>(({ input }) => {
		const { purpose } = input;
		if (purpose === null || (options.verify === 'none' && purpose !== 'readiness')) return;
		const check = new ListenerCheck(options, { ...input, purpose });
		running += 1;
		check
			.watch(() => running)
			.finally(() => {
				running -= 1;
				// The cached list of processes is only needed while a check runs.
				if (running === 0) forgetProcesses();
			});
		return () => check.stop();
	});
}

class ListenerCheck {
	readonly #options: ListenerCheckOptions;
	readonly #child: number;
	readonly #purpose: CheckPurpose;
	/** The check ends when the listeners are held, and does not wait for an accept. */
	readonly #isHold: boolean;
	/** Entries in the environment of every process of the child. */
	readonly #mark: string[];
	readonly #times: CheckTimes;
	readonly #lookAt: TreeLook;
	readonly #abort = new AbortController();
	#history: CheckHistory = emptyHistory;
	/** No log line is to be written: it is written already, or the child serves. */
	#isNoticed: boolean;

	constructor(options: ListenerCheckOptions, input: ListenerCheckInput & { purpose: CheckPurpose }) {
		const { listeners, verify, run } = options;
		const { child, purpose } = input;
		this.#options = options;
		this.#child = child;
		this.#purpose = purpose;
		this.#isHold = verify === 'hold' && purpose !== 'readiness';
		this.#mark = [`SOCKETMASTER_RUN=${run}`, `SOCKETMASTER_CHILD=${child}`];
		this.#times = checkTimes(input, this.#isHold, bootClock());
		const { searchAt, deadline } = this.#times;
		this.#lookAt = treeLooks(listeners, { countsConnections: true, unclearAfterMs: unclearFor, searchAt, deadline });
		this.#isNoticed = purpose === 'notice';
	}

	stop(): void {
		this.#abort.abort();
	}

	/** @param runningChecks how many children are being inspected */
	async watch(runningChecks: () => number): Promise<void> {
		// After an upgrade or a recovery the check starts in the step that adopts the child: wait until the child
		// is adopted.
		if (this.#purpose === 'notice') await setImmediate();
		const { signal } = this.#abort;
		for (let pauseMs = firstPauseMs(this.#isHold); !signal.aborted; pauseMs = nextPauseMs(pauseMs, this.#purpose)) {
			const pid = this.#options.pidOf(this.#child);
			if (pid === null || this.#isOver(pid)) return;
			// The time before the inspection: the last one begins after the deadline, and searches everywhere.
			const now = bootClock();
			const { found, costMs } = await this.#lookInTurn(pid);
			if (signal.aborted || this.#isOver(pid)) return;
			if (await this.#conclude(pid, found, now)) return;
			this.#isNoticed ||= now >= this.#times.noticeAt;
			const cost = { pauseMs, costMs, runningChecks: runningChecks() };
			const delayMs = waitMs(this.#times, { ...cost, isNoticed: this.#isNoticed, now: bootClock() });
			await setTimeout(delayMs, null, { signal }).catch(() => {});
		}
	}

	/** Whether there is nothing to report any more. */
	#isOver(pid: number): boolean {
		if (hasEnded(pid)) return true;
		return this.#purpose === 'notice' && this.#options.phaseOf(this.#child) !== 'serving';
	}

	/** If an inspection fails, `found` is null: the next inspection may succeed. */
	async #lookInTurn(pid: number): Promise<{ found: Found | null; costMs: number }> {
		let costMs = 0;
		const found = await inTurn(async () => {
			if (this.#abort.signal.aborted) return null;
			const lookBegan = performance.now();
			try {
				return await this.#lookAt(pid, this.#mark);
			} finally {
				costMs = performance.now() - lookBegan;
			}
		}).catch(() => null);
		return { found, costMs };
	}

	/** @returns whether the check is finished */
	async #conclude(pid: number, found: Found | null, now: number): Promise<boolean> {
		const isLate = now >= this.#times.deadline;
		const { history, verdict } = judgeInspection(this.#history, found, {
			isHold: this.#isHold,
			isLate,
			isNoticeDue: now >= this.#times.noticeAt,
			isNoticed: this.#isNoticed,
		});
		this.#history = history;
		switch (verdict.kind) {
			case 'unknown':
				return false;
			case 'missing':
				return this.#reportMissing(pid, verdict, isLate);
			case 'hidden':
				this.#options.admit({ type: 'child.verified', child: this.#child, isSeen: false, reason: verdict.reason });
				return true;
			case 'seen': {
				const blocking = verdict.found.blocking.map(this.#describe);
				this.#options.admit({
					type: 'child.verified',
					child: this.#child,
					isSeen: true,
					...(blocking.length > 0 ? { blocking } : {}),
				});
				return true;
			}
		}
	}

	/** @returns whether the check is finished */
	async #reportMissing(
		pid: number,
		{ found, missing }: Extract<CheckVerdict, { kind: 'missing' }>,
		isLate: boolean,
	): Promise<boolean> {
		const { admit, receiveNow, printedBy } = this.#options;
		const child = this.#child;
		const names = missing.map(this.#describe);
		const elsewhere = this.#isHold ? [] : ((await found.elsewhere()) ?? []);
		const reason = this.#isHold
			? whyNotHeld(pid, names)
			: whyNotAccepting(pid, { ...found, elsewhere }, this.#describe);
		if (this.#purpose === 'readiness') receiveNow(child);
		if (this.#abort.signal.aborted || hasEnded(pid)) return true;
		if (isLate && this.#purpose !== 'notice') {
			admit({ type: 'child.unverified', child, missing: names, reason, ...printedBy(child) });
			// A child that still boots is reported only if it listens on an address of its own.
		} else if (this.#purpose !== 'readiness' || elsewhere.length > 0) admit({ type: 'child.unseen', child, reason });
		return isLate;
	}

	readonly #describe = (listener: Listener): string =>
		describeSlot(listener, this.#options.listeners.indexOf(listener));
}
