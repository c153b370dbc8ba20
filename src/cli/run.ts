/** One supervisor, from its first fact to its end. */

import type { Dispatcher } from '../effects/dispatcher.ts';
import type { Log } from '../effects/log/log.ts';
import { signals, wasDebuggerClosed } from '../effects/os/signals.ts';
import { deliver, newLife, type Supervisor } from '../machines/charts/world.ts';
import type { ExternalFact, Plan, Request } from '../machines/facts/facts.ts';
import type { Startup } from './startup.ts';
import { type Supervision, wire } from './wire.ts';

/** @returns the exit status, when the last child is gone. @throws {StartError} before any child is started */
export function supervise(supervision: Supervision): Promise<number> {
	const { plan, startup, log } = supervision;
	const { world, dispatcher, children, outputs, notifySockets, orphans, controlSockets, manager, fault, reaped } =
		wire(supervision);
	for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, fault.meet);

	return new Promise((resolve) => {
		// Signal handlers do not keep Node's event loop alive, and a child may close its output long before it ends.
		let isOver = false;
		const presence = setInterval(() => {}, 2 ** 31 - 1);
		let supervisor: Supervisor | null = null;

		function live(first: ExternalFact): Supervisor {
			const supervisor = newLife(world, first);
			supervisor.subscribe({
				complete: async () => {
					isOver = true;
					await Promise.all([children.abandonedGone(), orphans.gone()]);
					clearInterval(presence);
					notifySockets.close();
					controlSockets.close();
					manager.close();
					if (startup.journal.isDurable) outputs.abandon();
					resolve(supervisor.getSnapshot().output?.status ?? 1);
				},
				error: fault.meet,
			});
			supervisor.start();
			return supervisor;
		}

		dispatcher.connect((external) => {
			supervisor ??= live(external);
			deliver(supervisor, external);
		});
		for (const pipe of startup.pipes) outputs.open(pipe);
		begin(startup, plan, log, dispatcher);
		// Only now, so that children which ended in between are known by their names.
		signals().subscribe((signal) => {
			if (!isOver) dispatcher.admit(signal);
		});
		if (wasDebuggerClosed()) log.say('warn', 'A SIGUSR1 came too early and opened the debugger of Node; it was closed');
		reaped.subscribe(children.ended);
	});
}

/** The first facts of a life: it starts, or goes on with what an earlier one had not answered yet. */
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

/** A start is a wish to serve: a stop that was asked for and not begun is not begun then. */
function isStop(request: Request['type'], by: Startup['by']): boolean {
	return by === 'start' && ['signal.TERM', 'signal.INT', 'stop.requested'].includes(request);
}
