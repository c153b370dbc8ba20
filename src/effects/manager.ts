/** The service manager: it is told how the service stands (sd_notify(3)). A projection of facts. */
import type { Fact } from '../machines/facts.ts';
import { headlineOf } from '../machines/headline.ts';
import type { Past } from '../machines/past.ts';
import type { Roster } from '../machines/roster.ts';
import { bootClock, monotonicMicros } from './os/clock.ts';
import { sendDatagram } from './os/message.ts';

/** What the manager told this process, and what is none of a child's business. */
export const managerVariables = ['NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC'];

/** A manager that takes nothing for now is asked again after this long; so many messages wait for it. */
const [pause, mostWaiting] = [100, 64];

/** A first boot may take so much longer than its deadline before the manager gives up, in milliseconds. */
const slack = 10_000;

const longestStatus = 500;

export interface ManagerOptions {
	env: NodeJS.ProcessEnv;
	past: () => Past;
}

export interface Manager {
	/** A fact was recorded. */
	note: (fact: Fact) => void;
	/** Says no more. */
	close: () => void;
}

/** Tells $NOTIFY_SOCKET; nothing where there is none. */
export function managerOf({ env, past }: ManagerOptions): Manager {
	const path = env.NOTIFY_SOCKET;
	if (!path) return { note: () => {}, close: () => {} };
	const send = outbox(path);
	let isReady = false;
	let isReloading = false;
	let headline = '';
	const watchdog = watch(env, () => send.ping('WATCHDOG=1'));

	function note(fact: Fact) {
		const { roster } = past();
		if (!roster) return;
		const lines = linesFor(fact, roster);
		const next = headlineOf(past()).slice(0, longestStatus).replaceAll('\n', ' ');
		if (next !== headline) lines.push(`STATUS=${next}`);
		headline = next;
		if (lines.length > 0) send.message(lines.join('\n'));
	}

	function linesFor(fact: Fact, roster: Roster): string[] {
		switch (fact.type) {
			case 'supervisor.recovered':
				// After an upgrade the manager knows already how far we were.
				isReady = fact.by === 'upgrade' ? roster.serving !== 0 : roster.isWhole && roster.stopSignal === null;
				isReloading = isReady && roster.candidate !== null && roster.stopSignal === null;
				if (fact.by === 'upgrade' || !isReady) return [];
				return isReloading ? ['READY=1', ...reloading()] : ['READY=1'];
			case 'generation.started':
				if (!isReady || isReloading) return [];
				isReloading = true;
				return reloading();
			case 'generation.promoted':
				if (isReady && !isReloading) return [];
				[isReady, isReloading] = [true, false];
				return ['READY=1'];
			case 'generation.givenUp':
			case 'generation.kept':
				if (!isReloading) return [];
				isReloading = false;
				return ['READY=1'];
			case 'stop.begun':
				return ['STOPPING=1'];
			case 'child.spawned':
			case 'child.stopped':
			case 'deadline.moved':
				return isReady ? [] : extension(roster);
			default:
				return [];
		}
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

/** Until the last child that boots has to be up. */
function extension({ children, plan }: Roster): string[] {
	const deadlines = children.flatMap(({ phase, deadline, clock }) =>
		phase === 'booting' && clock !== null ? (deadline ?? clock + plan.start) : [],
	);
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
function outbox(path: string) {
	const waiting: string[] = [];
	let later: NodeJS.Timeout | null = null;

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
		if (waiting.length > mostWaiting) waiting.shift();
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
		return !['EAGAIN', 'ENOBUFS'].includes((error as { code?: string }).code ?? '');
	}
}
