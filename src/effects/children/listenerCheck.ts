/** The listener check: whether a child's processes accept on every listener, looked at from outside until that is known. */
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

/** It is looked at after so many milliseconds, and then ever less often, up to every so many. */
const [shortestPause, longestPause] = [5, 50];

/** The same of one that serves: nobody waits for what is seen. */
const longestPauseOfServing = 500;

/** Looking may take this part of the time, for all children together; but each is looked at at least every so many milliseconds. */
const [mostTime, longestWait] = [0.5, 200];

/** A ready child that is not seen after so long is named in the log, in milliseconds. */
const noticeAfter = 5000;

/** A child that is ready at the last moment has so long to be seen all the same, in milliseconds. */
const grace = 1000;

/** What can't be seen at all is believed after so many looks that say so: a process that is about to end can't be seen either. */
const looksThatAreHidden = 5;

/** A socket that is on its way from a process to another is held by neither: holding is looked for once more, in milliseconds. */
const holdPause = 200;

export interface ListenerCheckOptions {
	admit: (external: ExternalEvent) => void;
	listeners: Listener[];
	verify: Plan['verify'];
	/** What children carry as SOCKETMASTER_RUN. */
	run: string;
	/** The pid of a child; null when it is gone. */
	pidOf: (child: number) => number | null;
	phaseOf: (child: number) => Phase | null;
	/** Takes what a child has said in time, before it is decided that it came too late. */
	receiveNow: (child: number) => void;
	/** What a child has printed last. */
	printedBy: (child: number) => { lastOutput?: string[] };
}

/** As an actor: tells once what is seen, and before that where it takes long. Of a child that is gone nothing is told: its end is. */
export function listenerCheckActor(options: ListenerCheckOptions) {
	const { admit, listeners, verify, run, pidOf, phaseOf, receiveNow, printedBy } = options;
	let running = 0;

	return fromCallback<EventObject, ListenerCheckInput>(({ input: { child, purpose, millis, since } }) => {
		if (purpose === null || (verify === 'none' && purpose !== 'readiness')) return;
		const isHold = verify === 'hold' && purpose !== 'readiness';
		const mark = [`SOCKETMASTER_RUN=${run}`, `SOCKETMASTER_CHILD=${child}`];
		const lookAt = treeLooks(listeners, { countsConnections: true, unclearAfterMs: unclearFor });
		let hiddenLooks = 0;
		/** The last look that saw all there was to see. */
		let lastClear: Found | null = null;
		const over = new AbortController();
		const began = bootClock();
		const noticeAt = began + noticeAfter;
		const deadline = deadlineOf();
		running += 1;
		watch().finally(() => {
			running -= 1;
			// Nothing of it is kept for nobody.
			if (running === 0) forgetProcesses();
		});
		return () => over.abort();

		function deadlineOf(): number {
			if (isHold) return began + holdPause;
			if (purpose === 'notice') return noticeAt;
			const until = (since ?? began) + millis;
			return purpose === 'promotion' ? Math.max(until, began + grace) : until;
		}

		async function watch() {
			let isNoticed = purpose === 'notice';
			// After an upgrade or a recovery it is begun in the step in which the child itself is taken over.
			if (purpose === 'notice') await setImmediate();
			for (
				let pause = isHold ? holdPause : shortestPause;
				!over.signal.aborted;
				pause = Math.min(pause * 2, purpose === 'notice' ? longestPauseOfServing : longestPause)
			) {
				const pid = pidOf(child);
				if (pid === null || hasEnded(pid)) return;
				if (purpose === 'notice' && phaseOf(child) !== 'serving') return;
				const { found, cost } = await lookInTurn(pid);
				if (over.signal.aborted || hasEnded(pid)) return;
				if (purpose === 'notice' && phaseOf(child) !== 'serving') return;
				const now = bootClock();
				if (await told(pid, found, now, isNoticed)) return;
				isNoticed ||= now >= noticeAt;
				const wait = Math.max(pause, Math.min((cost * running) / mostTime, longestWait));
				const left = Math.max(0, (isNoticed ? deadline : Math.min(deadline, noticeAt)) - bootClock());
				await setTimeout(Math.min(wait, left), null, { signal: over.signal }).catch(() => {});
			}
		}

		/** A look that fails is none: it is no fault of the supervisor's, and the next one may not. */
		async function lookInTurn(pid: number): Promise<{ found: Found | null; cost: number }> {
			let cost = 0;
			const found = await inTurn(async () => {
				if (over.signal.aborted) return null;
				const lookBegan = performance.now();
				try {
					return await lookAt(pid, mark);
				} finally {
					cost = performance.now() - lookBegan;
				}
			}).catch(() => null);
			return { found, cost };
		}

		/** @returns whether that was the last of it */
		async function told(pid: number, found: Found | null, now: number, isNoticed: boolean): Promise<boolean> {
			const isLate = now >= deadline;
			const isClear = found !== null && found.hidden === null && found.failed === null && found.isComplete;
			if (isClear) lastClear = found;
			// What was seen before outweighs one look that failed, and not what is hidden for good.
			const isPassing = !isClear && (found?.unclear ?? null) === null && hiddenLooks < looksThatAreHidden;
			const seen = isLate && isPassing ? (lastClear ?? found) : found;
			if (seen === null) {
				if (isLate && !isHold) admit({ type: 'child.verified', child, isSeen: false, reason: 'the look at it failed' });
				return isLate && !isHold;
			}
			return decided(pid, seen, now, isNoticed);
		}

		/** @returns whether that was the last of it */
		async function decided(pid: number, found: Found, now: number, isNoticed: boolean): Promise<boolean> {
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
			if (over.signal.aborted || hasEnded(pid)) return true;
			if (isLate && purpose !== 'notice') {
				admit({ type: 'child.unverified', child, missing: missing.map(describe), reason, ...printedBy(child) });
				// One that still boots is none of anybody's business, but where it listens on an address of its own.
			} else if (purpose !== 'readiness' || elsewhere.length > 0) admit({ type: 'child.unseen', child, reason });
			return isLate;
		}

		/** Why it can't be seen, where that is for good; null where the next look may see it. */
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
