/**
 * The listener check: inspects a child's processes from outside until it is known whether they accept on every
 * listener.
 */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { type EventObject, fromCallback } from 'xstate';
import type { ListenerCheckInput } from '../../machines/charts/protocol.ts';
import type { ExternalEvent, Plan } from '../../machines/facts/facts.ts';
import type { Phase } from '../../machines/state/supervisorState.ts';
import { bootClock } from '../os/clock.ts';
import { hasEnded } from '../os/proc.ts';
import { forgetProcesses } from '../os/processTree.ts';
import type { Listener } from '../sockets/listener.ts';
import { describeSlot } from './activationEnv.ts';
import { type Found, inTurn, treeLooks, unclearFor } from './treeLook.ts';
import { whyNotAccepting, whyNotHeld } from './whyNotAccepting.ts';

/** The pause between two inspections, in milliseconds: it begins with the first value and doubles up to the second. */
const [shortestPause, longestPause] = [5, 50];

/** The longest pause for a serving child, in milliseconds: no decision waits for the result. */
const longestPauseOfServing = 500;

/**
 * The inspections of all children together may use this fraction of the time. To stay below it, the pause of each child
 * grows up to this many milliseconds.
 */
const [mostTime, longestWait] = [0.5, 200];

/**
 * Processes that have left the child's process tree are searched for after this time, in milliseconds: most servers
 * accept earlier, and the search reads all processes of the machine.
 */
const searchAfter = 200;

/** If a ready child is not seen to accept for this long, a log line names the child. In milliseconds. */
const noticeAfter = 5000;

/** A child that becomes ready just before the deadline still has this long to be seen, in milliseconds. */
const grace = 1000;

/**
 * After this many inspections in a row that see nothing, the child counts as hidden: an exiting process can't be
 * inspected either.
 */
const looksThatAreHidden = 5;

/**
 * No process holds a socket that is in transit between two processes. A listener that is not held is looked for again
 * after this pause, in milliseconds.
 */
const holdPause = 200;

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
export function listenerCheckActor(options: ListenerCheckOptions) {
	const { admit, listeners, verify, run, pidOf, phaseOf, receiveNow, printedBy } = options;
	let running = 0;

	return fromCallback<EventObject, ListenerCheckInput>(({ input: { child, purpose, millis, since } }) => {
		if (purpose === null || (verify === 'none' && purpose !== 'readiness')) return;
		const isHold = verify === 'hold' && purpose !== 'readiness';
		const mark = [`SOCKETMASTER_RUN=${run}`, `SOCKETMASTER_CHILD=${child}`];
		let hiddenLooks = 0;
		/** The last inspection that saw everything. */
		let lastClear: Found | null = null;
		const abort = new AbortController();
		const began = bootClock();
		const noticeAt = began + noticeAfter;
		const deadline = deadlineOf();
		const searchAt = isHold || deadline - began < 2 * searchAfter ? 0 : began + searchAfter;
		const lookAt = treeLooks(listeners, { countsConnections: true, unclearAfterMs: unclearFor, searchAt });
		running += 1;
		watch().finally(() => {
			running -= 1;
			// The cached list of processes is only needed while a check runs.
			if (running === 0) forgetProcesses();
		});
		return () => abort.abort();

		function deadlineOf(): number {
			if (isHold) return began + holdPause;
			if (purpose === 'notice') return noticeAt;
			// After an upgrade or a recovery the time may be over already: one look says nothing about a busy server, and
			// the end of the serving generation may not be known yet.
			const least = purpose === 'promotion' ? grace : Math.min(grace, millis);
			return Math.max((since ?? began) + millis, began + least);
		}

		async function watch() {
			let isNoticed = purpose === 'notice';
			// After an upgrade or a recovery the check starts in the step that adopts the child: wait until the child
			// is adopted.
			if (purpose === 'notice') await setImmediate();
			for (
				let pause = isHold ? holdPause : shortestPause;
				!abort.signal.aborted;
				pause = Math.min(pause * 2, purpose === 'notice' ? longestPauseOfServing : longestPause)
			) {
				const pid = pidOf(child);
				if (pid === null || hasEnded(pid)) return;
				if (purpose === 'notice' && phaseOf(child) !== 'serving') return;
				const { found, cost } = await lookInTurn(pid);
				if (abort.signal.aborted || hasEnded(pid)) return;
				if (purpose === 'notice' && phaseOf(child) !== 'serving') return;
				const now = bootClock();
				if (await handleInspection(pid, found, now, isNoticed)) return;
				isNoticed ||= now >= noticeAt;
				const wait = Math.max(pause, Math.min((cost * running) / mostTime, longestWait));
				const left = Math.max(0, (isNoticed ? deadline : Math.min(deadline, noticeAt)) - bootClock());
				await setTimeout(Math.min(wait, left), null, { signal: abort.signal }).catch(() => {});
			}
		}

		/** If an inspection fails, `found` is null: the next inspection may succeed. */
		async function lookInTurn(pid: number): Promise<{ found: Found | null; cost: number }> {
			let cost = 0;
			const found = await inTurn(async () => {
				if (abort.signal.aborted) return null;
				const lookBegan = performance.now();
				try {
					return await lookAt(pid, mark);
				} finally {
					cost = performance.now() - lookBegan;
				}
			}).catch(() => null);
			return { found, cost };
		}

		/** @returns whether the check is finished */
		async function handleInspection(
			pid: number,
			found: Found | null,
			now: number,
			isNoticed: boolean,
		): Promise<boolean> {
			const isLate = now >= deadline;
			const isClear = found !== null && found.hidden === null && found.failed === null && found.isComplete;
			if (isClear) lastClear = found;
			// At the deadline the last complete inspection outweighs one that failed. A child that stays hidden is
			// reported as hidden.
			const isPassing = !isClear && (found?.unclear ?? null) === null && hiddenLooks < looksThatAreHidden;
			const seen = isLate && isPassing ? (lastClear ?? found) : found;
			if (seen === null) {
				if (isLate && !isHold) admit({ type: 'child.verified', child, isSeen: false, reason: 'the look at it failed' });
				return isLate && !isHold;
			}
			return conclude(pid, seen, now, isNoticed);
		}

		/** @returns whether the check is finished */
		async function conclude(pid: number, found: Found, now: number, isNoticed: boolean): Promise<boolean> {
			const isLate = now >= deadline;
			const missing = isHold ? found.notHeld : found.notAccepted;
			if (missing.length === 0) {
				const blocking = found.blocking.map(describe);
				admit({ type: 'child.verified', child, isSeen: true, ...(blocking.length > 0 ? { blocking } : {}) });
				return true;
			}
			hiddenLooks = found.hidden === null ? 0 : hiddenLooks + 1;
			const hidden = whyHidden(found, now);
			if (hidden !== null) {
				admit({ type: 'child.verified', child, isSeen: false, reason: hidden });
				return true;
			}
			if (!isLate && (isNoticed || now < noticeAt)) return false;
			const elsewhere = isHold ? [] : ((await found.elsewhere()) ?? []);
			const reason = isHold
				? whyNotHeld(pid, missing.map(describe))
				: whyNotAccepting(pid, { ...found, elsewhere }, describe);
			if (purpose === 'readiness') receiveNow(child);
			if (abort.signal.aborted || hasEnded(pid)) return true;
			if (isLate && purpose !== 'notice') {
				admit({ type: 'child.unverified', child, missing: missing.map(describe), reason, ...printedBy(child) });
				// A child that still boots is reported only if it listens on an address of its own.
			} else if (purpose !== 'readiness' || elsewhere.length > 0) admit({ type: 'child.unseen', child, reason });
			return isLate;
		}

		/** Why the child can't be inspected, if that is final; null if the next inspection may succeed. */
		function whyHidden({ hidden, unclear, failed }: Found, now: number): string | null {
			const isLate = now >= deadline;
			if (hidden !== null) return hiddenLooks >= looksThatAreHidden || isLate ? hidden : null;
			if (failed !== null) return isLate ? failed : null;
			return !isHold && (isLate || now >= noticeAt) ? unclear : null;
		}
	});

	function describe(listener: Listener): string {
		return describeSlot(listener, listeners.indexOf(listener));
	}
}
