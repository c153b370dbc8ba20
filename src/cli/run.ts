/** Runs one supervisor, from its first fact to its exit. */

import type { Dispatcher } from '../effects/dispatcher.ts';
import type { Log } from '../effects/log/log.ts';
import { signals, wasDebuggerClosed } from '../effects/os/signals.ts';
import { deliver, newLife, type Supervisor } from '../machines/charts/world.ts';
import type { ExternalFact, Plan, Request } from '../machines/facts/facts.ts';
import type { Startup, Supervision } from './startup.ts';
import { wire } from './wire.ts';

/**
 * Runs the statecharts until the last child is gone.
 * @returns the exit status
 * @throws {StartError} before any child is spawned
 */
export function supervise(supervision: Supervision): Promise<number> {
	const { options, startup, log } = supervision;
	const { world, dispatcher, children, outputs, notifySockets, orphans, controlSockets, manager, fault, reaped } =
		wire(supervision);

	return new Promise((resolve) => {
		// After the last child has exited there is nothing left that a replaced program could take over.
		const meet = (error: unknown) => (isOver ? end(error) : fault.meet(error));
		for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, meet);

		// Signal handlers do not keep Node's event loop alive, and a child may close its output long before it exits.
		let isOver = false;
		const presence = setInterval(() => {}, 2 ** 31 - 1);
		let supervisor: Supervisor | null = null;

		function live(first: ExternalFact): Supervisor {
			const supervisor = newLife(world, first);
			supervisor.subscribe({
				complete: async () => {
					isOver = true;
					// From here on a request would get no decision.
					tryTo(controlSockets.close);
					await Promise.all([children.abandonedGone(), orphans.gone()]);
					end();
				},
				error: meet,
			});
			supervisor.start();
			return supervisor;
		}

		/** What can't be closed is logged: it changes neither the exit status nor the rest. */
		function tryTo(close: () => void) {
			try {
				close();
			} catch (failure) {
				log.say('error', `Internal error: ${(failure as Error).message}`);
			}
		}

		function end(error?: unknown) {
			clearInterval(presence);
			if (error !== undefined) log.say('error', `Internal error: ${(error as Error).stack ?? error}`);
			const closings = [notifySockets.close, ...(isOver ? [] : [controlSockets.close]), manager.close];
			if (startup.journal.isDurable) closings.push(outputs.abandon);
			closings.forEach(tryTo);
			resolve(supervisor?.getSnapshot().output?.status ?? 1);
		}

		dispatcher.connect((external) => {
			supervisor ??= live(external);
			deliver(supervisor, external);
		});
		for (const pipe of startup.pipes) outputs.open(pipe);
		begin(startup, options.plan, log, dispatcher);
		// Subscribe after `begin`: a signal must not precede the first fact.
		signals().subscribe((signal) => {
			if (!isOver) dispatcher.admit(signal);
			else
				log.say(
					'warn',
					`${signal.type.replace('signal.', 'SIG')}: ignored, as no child is left and the supervisor exits`,
				);
		});
		if (wasDebuggerClosed()) log.say('warn', 'A SIGUSR1 came too early and opened the debugger of Node; it was closed');
		// Also after `begin`: a child must be registered before its exit is reported.
		reaped.subscribe(children.ended);
	});
}

/**
 * Admits the first external events: the start or the recovery, a request that the previous supervisor had not answered,
 * and signals that arrived meanwhile.
 */
function begin({ by, state, signals, replacedFor }: Startup, plan: Plan, log: Log, { admit }: Dispatcher) {
	const { pid } = process;
	if (state === null) admit({ type: 'supervisor.started', pid, plan });
	else admit({ type: 'supervisor.recovered', pid, by, state: { ...state, unanswered: null, ended: null } });
	if (state?.unanswered && !isStop(state.unanswered, by)) admit({ type: state.unanswered });
	if (replacedFor !== null) {
		log.say('info', `${replacedFor}: the children are replaced at once`);
		admit({ type: 'rotate.requested' });
	}
	for (const signal of signals) admit(signal);
}

/**
 * Whether a new supervisor process drops the unanswered request of a killed supervisor. A start means that the service
 * is wanted, so a stop that had not begun is dropped.
 */
function isStop(request: Request['type'], by: Startup['by']): boolean {
	return by === 'start' && ['signal.TERM', 'signal.INT', 'stop.requested'].includes(request);
}
