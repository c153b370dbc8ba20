/** The service manager: it is told how the service stands (sd_notify(3)). A projection of facts. */
import { array, boolean, object, string } from 'valibot';
import type { Fact } from '../machines/facts/facts.ts';
import { bootDeadline } from '../machines/rules/verification.ts';
import type { Projections } from '../machines/state/projections.ts';
import type { SupervisorState } from '../machines/state/supervisorState.ts';
import { headlineOf } from '../machines/text/headline.ts';
import { bootClock, monotonicMicros } from './os/clock.ts';
import { sendDatagram } from './os/message.ts';
import { type HandoverState, section } from './upgrade/handoverState.ts';

/** What the manager told this process, and what is none of a child's business. */
export const managerVariables = ['NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC'];

/** A manager that takes nothing for now is asked again after this long; so many messages wait for it. */
const [pause, mostWaiting] = [100, 64];

/** A first boot may take so much longer than its deadline before the manager gives up, in milliseconds. */
const slack = 10_000;

const longestStatus = 500;

/** What it knows already, and what it has not taken yet. */
const managerSection = section('manager', () =>
	object({ isReady: boolean(), isReloading: boolean(), waiting: array(string()) }),
);

export interface ManagerOptions {
	env: NodeJS.ProcessEnv;
	past: () => Projections;
	handoverState: HandoverState;
}

export interface Manager {
	/** A fact was recorded. */
	note: (fact: Fact) => void;
	/** Says no more. */
	close: () => void;
}

/** Tells $NOTIFY_SOCKET; nothing where there is none. */
export function managerOf({ env, past, handoverState }: ManagerOptions): Manager {
	const path = env.NOTIFY_SOCKET;
	let { isReady, isReloading, waiting } = handoverState.take(managerSection) ?? {
		isReady: false,
		isReloading: false,
		waiting: [],
	};
	handoverState.leave(managerSection, () => ({ state: { isReady, isReloading, waiting }, fds: [] }));
	if (!path) return { note: () => {}, close: () => {} };
	const send = outbox(path, waiting);
	let headline = '';
	const watchdog = watch(env, () => send.ping('WATCHDOG=1'));

	function note(fact: Fact) {
		const { state } = past();
		if (!state) return;
		const lines = linesFor(fact, state);
		const next = headlineOf(past()).slice(0, longestStatus).replaceAll('\n', ' ');
		if (next !== headline) lines.push(`STATUS=${next}`);
		headline = next;
		if (lines.length > 0) send.message(lines.join('\n'));
	}

	function linesFor(fact: Fact, supervisorState: SupervisorState): string[] {
		switch (fact.type) {
			case 'supervisor.recovered':
				return fact.by === 'start' ? afterCrash(supervisorState) : afterUpgrade(supervisorState);
			case 'generation.started':
				if (!isReady || isReloading) return [];
				isReloading = true;
				return reloading();
			case 'generation.promoted':
				// One that was kept becomes whole also while the next one boots.
				if (isReady && (!isReloading || supervisorState.candidate !== null)) return [];
				[isReady, isReloading] = [true, false];
				return ['READY=1'];
			case 'generation.failed':
			case 'generation.degraded':
				if (!isReloading) return [];
				isReloading = false;
				return ['READY=1'];
			case 'stop.begun':
				return ['STOPPING=1'];
			case 'child.spawned':
			case 'respawn.scheduled':
			case 'child.stopped':
			case 'deadline.moved':
				return isReady ? [] : extension(supervisorState);
			default:
				return [];
		}
	}

	/** Another process: it is told anew. One that was kept, and degraded, may stay so. */
	function afterCrash({ isComplete, serving, children, stopSignal, candidate }: SupervisorState): string[] {
		const isServed = children.some(({ generation, phase }) => generation === serving && phase === 'serving');
		isReady = (isComplete || isServed) && stopSignal === null;
		isReloading = isReady && candidate !== null;
		if (!isReady) return [];
		return isReloading ? ['READY=1', ...reloading()] : ['READY=1'];
	}

	/** The same process; what was begun before a fault may be no more. */
	function afterUpgrade({ candidate, stopSignal }: SupervisorState): string[] {
		if (!isReloading || candidate !== null || stopSignal !== null) return [];
		isReloading = false;
		return ['READY=1'];
	}

	return {
		note,
		close: () => {
			watchdog();
			send.close();
		},
	};
}

/** systemd takes one that is older than its own SIGHUP for an earlier one's. */
function reloading(): string[] {
	return ['RELOADING=1', `MONOTONIC_USEC=${monotonicMicros()}`];
}

/** Until the last child that boots, or is to be started again, has to be up. */
function extension({ children, respawns, plan }: SupervisorState): string[] {
	const booting = children.flatMap(({ phase, deadline, clock }) =>
		phase === 'booting' && clock !== null ? bootDeadline(plan, deadline, clock) : [],
	);
	const due = respawns.map(({ clock, millis }) => (clock ?? bootClock()) + millis + plan.start);
	const deadlines = [...booting, ...due];
	if (deadlines.length === 0) return [];
	const left = Math.max(0, Math.max(...deadlines) - bootClock()) + slack;
	return [`EXTEND_TIMEOUT_USEC=${Math.ceil(left) * 1000}`];
}

/** From the event loop itself: one that is stuck says nothing. @returns how to stop */
function watch({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv, ping: () => void): () => void {
	const micros = Number(WATCHDOG_USEC);
	const isOurs = !WATCHDOG_PID || Number(WATCHDOG_PID) === process.pid;
	if (!isOurs || !Number.isFinite(micros) || micros <= 0) return () => {};
	ping();
	// sd_watchdog_enabled(3): every half of the time.
	const timer = setInterval(ping, Math.min(Math.max(1, Math.floor(micros / 2000)), 2 ** 31 - 1)).unref();
	return () => clearInterval(timer);
}

/** Messages in their order; a manager that is not there is no error of ours. */
function outbox(path: string, waiting: string[]) {
	let later: NodeJS.Timeout | null = null;
	if (waiting.length > 0) later = setTimeout(flush, 0).unref();

	function flush() {
		later = null;
		while (waiting.length > 0) {
			if (!isTaken(path, waiting[0] ?? '')) {
				later = setTimeout(flush, pause).unref();
				return;
			}
			waiting.shift();
		}
	}

	function message(text: string) {
		waiting.push(text);
		// How it stood is the first that may be missing.
		if (waiting.length > mostWaiting) {
			const place = waiting.slice(0, -1).findIndex((each) => each.startsWith('STATUS='));
			waiting.splice(Math.max(0, place), 1);
		}
		if (later === null) flush();
	}

	return {
		message,
		/** Said now, or not at all. */
		ping: (text: string) => void (waiting.length === 0 && isTaken(path, text)),
		close: () => {
			if (later) clearTimeout(later);
			for (const text of waiting) isTaken(path, text);
		},
	};
}

/** False where it takes no more for now. */
function isTaken(path: string, text: string): boolean {
	try {
		sendDatagram(path, text);
		return true;
	} catch (error) {
		return !['EAGAIN', 'ENOBUFS', 'EMFILE', 'ENFILE', 'ENOMEM'].includes((error as { code?: string }).code ?? '');
	}
}
