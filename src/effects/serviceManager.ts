/** Reports the state of the service to the service manager (sd_notify(3)), as a projection of facts. */
import { array, boolean, object, string } from 'valibot';
import type { Fact } from '../machines/facts/facts.ts';
import { bootDeadline } from '../machines/rules/verification.ts';
import type { Projections } from '../machines/state/projections.ts';
import type { SupervisorState } from '../machines/state/supervisorState.ts';
import { headlineOf } from '../machines/text/headline.ts';
import { bootClock, monotonicMicros } from './os/clock.ts';
import { sendDatagram } from './os/message.ts';
import { type HandoverState, section } from './upgrade/handoverState.ts';

/** Variables that the service manager sets for this process. They are removed from the environment of children. */
export const managerVariables = ['NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC'];

/**
 * A message that the service manager's socket cannot take yet is retried after `pause` milliseconds. At most
 * `mostWaiting` messages are queued.
 */
const [pause, mostWaiting] = [100, 64];

/**
 * Added to the boot deadline when the start timeout is extended, in milliseconds: the supervisor must fail before the
 * service manager gives up.
 */
const slack = 10_000;

const longestStatus = 500;

/** The state already reported, and the messages not sent yet. */
const managerSection = section('manager', () =>
	object({ isReady: boolean(), isReloading: boolean(), waiting: array(string()) }),
);

export interface ManagerOptions {
	env: NodeJS.ProcessEnv;
	past: () => Projections;
	handoverState: HandoverState;
}

export interface Manager {
	note: (fact: Fact) => void;
	/** Sends the queued messages once more, then stops. */
	close: () => void;
}

/** Reports to $NOTIFY_SOCKET. If the variable is not set, does nothing. */
export function managerOf({ env, past, handoverState }: ManagerOptions): Manager {
	const path = env.NOTIFY_SOCKET;
	let { isReady, isReloading, waiting } = handoverState.restore(managerSection) ?? {
		isReady: false,
		isReloading: false,
		waiting: [],
	};
	handoverState.save(managerSection, () => ({ state: { isReady, isReloading, waiting }, fds: [] }));
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
				// A generation kept as degraded can become complete while its successor still boots. The
				// reload continues then.
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

	/**
	 * After a crash the supervisor is a new process, so the state is reported again. A generation kept as degraded
	 * counts as ready if one of its children serves.
	 */
	function afterCrash({ isComplete, serving, children, stopSignal, candidate }: SupervisorState): string[] {
		const isServed = children.some(({ generation, phase }) => generation === serving && phase === 'serving');
		isReady = (isComplete || isServed) && stopSignal === null;
		isReloading = isReady && candidate !== null;
		if (!isReady) return [];
		return isReloading ? ['READY=1', ...reloading()] : ['READY=1'];
	}

	/**
	 * After an upgrade the process is the same. A rotation that was running before an internal error may have been
	 * dropped.
	 */
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

/** If MONOTONIC_USEC is older than systemd's SIGHUP, systemd attributes the RELOADING=1 to an earlier reload. */
function reloading(): string[] {
	return ['RELOADING=1', `MONOTONIC_USEC=${monotonicMicros()}`];
}

/** Extends the start timeout to the latest deadline among the booting children and the scheduled respawns. */
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

/** Pings from the event loop, so that a blocked loop stops the pings. @returns a function that stops the pings */
function watch({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv, ping: () => void): () => void {
	const micros = Number(WATCHDOG_USEC);
	const isOurs = !WATCHDOG_PID || Number(WATCHDOG_PID) === process.pid;
	if (!isOurs || !Number.isFinite(micros) || micros <= 0) return () => {};
	ping();
	// sd_watchdog_enabled(3) recommends a ping every half of the interval.
	const timer = setInterval(ping, Math.min(Math.max(1, Math.floor(micros / 2000)), 2 ** 31 - 1)).unref();
	return () => clearInterval(timer);
}

/** Sends messages in order. An absent service manager is not an error. */
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
		// When the queue is full, the oldest STATUS= message is dropped first.
		if (waiting.length > mostWaiting) {
			const place = waiting.slice(0, -1).findIndex((each) => each.startsWith('STATUS='));
			waiting.splice(Math.max(0, place), 1);
		}
		if (later === null) flush();
	}

	return {
		message,
		/** Sends immediately, and only if no message is queued. A failed ping is not retried. */
		ping: (text: string) => void (waiting.length === 0 && isTaken(path, text)),
		close: () => {
			if (later) clearTimeout(later);
			for (const text of waiting) isTaken(path, text);
		},
	};
}

/** Returns false if the socket cannot take the message now. Any other failure drops the message. */
function isTaken(path: string, text: string): boolean {
	try {
		sendDatagram(path, text);
		return true;
	} catch (error) {
		return !['EAGAIN', 'ENOBUFS', 'EMFILE', 'ENFILE', 'ENOMEM'].includes((error as { code?: string }).code ?? '');
	}
}
