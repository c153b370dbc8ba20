/** Reports the state of the service to the service manager (sd_notify(3)), as a projection of facts. */
import { array, boolean, object, string } from 'valibot';
import type { Fact } from '../machines/facts/facts.ts';
import type { Projections } from '../machines/state/projections.ts';
import { headlineOf } from '../machines/text/headline.ts';
import { type Reported, reportOf } from './managerLines.ts';
import { ManagerOutbox } from './managerOutbox.ts';
import { type HandoverState, section } from './upgrade/handoverState.ts';

/** Variables that the service manager sets for this process. They are removed from the environment of children. */
export const managerVariables = ['NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC'];

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
	const { waiting, ...restored } = handoverState.restore(managerSection) ?? {
		isReady: false,
		isReloading: false,
		waiting: [],
	};
	let reported: Reported = restored;
	handoverState.save(managerSection, () => ({ state: { ...reported, waiting }, fds: [] }));
	if (!path) return { note: () => {}, close: () => {} };
	const outbox = new ManagerOutbox(path, waiting);
	let headline = '';
	const stopPings = watch(env, () => outbox.ping('WATCHDOG=1'));
	return {
		note: (fact) => {
			const { state } = past();
			if (!state) return;
			const report = reportOf(fact, state, reported);
			reported = report.reported;
			const next = headlineOf(past()).slice(0, longestStatus).replaceAll('\n', ' ');
			const lines = next === headline ? report.lines : [...report.lines, `STATUS=${next}`];
			headline = next;
			if (lines.length > 0) outbox.send(lines.join('\n'));
		},
		close: () => {
			stopPings();
			outbox.close();
		},
	};
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
