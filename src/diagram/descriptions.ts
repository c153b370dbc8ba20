/** Descriptions of the statecharts' events and tones for operators. The descriptions of states are in the machines. */

import type { ChildNews, ChildOrder, GenerationNews, GenerationOrder } from '../machines/charts/protocol.ts';
import type { FactType } from '../machines/facts/facts.ts';
import type { Tone } from './chart.ts';

export type EventType = FactType | (ChildOrder | ChildNews | GenerationOrder | GenerationNews)['type'];

const sentences: Record<EventType, string> = {
	'supervisor.started': 'The supervisor starts from an empty state.',
	'supervisor.recovered': 'The supervisor continues from the state of an earlier supervisor.',
	'signal.HUP': 'SIGHUP requests a rotation.',
	'signal.TERM': 'SIGTERM requests a stop.',
	'signal.INT': 'SIGINT (Ctrl-C) requests a stop.',
	'signal.QUIT': 'SIGQUIT is passed on to the children.',
	'signal.USR1': 'SIGUSR1 requests an upgrade of the supervisor.',
	'signal.USR2': 'SIGUSR2 requests an upgrade of the supervisor.',
	'rotate.requested': 'A client requests a rotation.',
	'stop.requested': 'A client requests a stop.',
	'generation.stopRequested': 'A client requests a stop of one generation.',
	'generation.stopBegun': 'Every child of one generation receives the stop signal.',
	'upgrade.requested': 'A client requests an upgrade of the supervisor.',
	'child.spawned': 'A child has a process.',
	'child.spawnFailed': 'A child could not be spawned.',
	'child.exited': 'The leader of a child, its first process, has exited.',
	'child.stopped': 'A child was stopped (SIGSTOP) when its -start wait elapsed.',
	'group.gone': 'The surviving processes of a child have exited.',
	'timer.elapsed': 'A timer of a child has elapsed.',
	'upgrade.verified': 'The new program has passed its check.',
	'upgrade.refused': 'The new program has failed its check.',
	'upgrade.failed': 'The new program could not take over.',
	'generation.started': 'A new generation is started.',
	'generation.promoted': 'A generation is up and serves. The generations that it replaces are drained.',
	'child.watched': 'With -watchdog: a child sends WATCHDOG=1, and must do so from now on.',
	'child.hung': 'With -watchdog: a serving child has sent no WATCHDOG=1 for its interval.',
	'check.started': 'With -check: all children of a generation are up, and its health check begins.',
	'check.tried': 'The health check has not passed yet, and is tried again.',
	'check.passed': 'The health check has passed.',
	'check.failed': 'The health check has failed.',
	'bake.started': 'With -bake: all children of the candidate are up, and it serves beside the serving generation.',
	'bake.due': 'The candidate has served beside the serving generation for the time of -bake.',
	'generation.failed': 'A generation has failed: it was never complete.',
	'generation.degraded': 'A generation is kept as degraded, as no other generation serves.',
	'generation.exhausted': 'Too many children of a generation have exited, and none was ever up.',
	'respawn.scheduled': 'The vacant slot of a lost child will be filled again.',
	'respawn.due': 'The respawn wait of a vacant slot has elapsed.',
	'restart.scheduled': 'No generation serves, and a new generation will be started.',
	'restart.due': 'No generation serves, and the wait for a new generation has elapsed.',
	'child.spawning': 'A child is about to be spawned.',
	'child.announced': 'A child reports that it is ready.',
	'child.delayed': 'A child requests more time to become ready.',
	'deadline.moved': 'The deadline of a child has moved.',
	'child.verifying': 'A child is ready. If another generation serves, the listener check follows.',
	'child.verified': 'The listener check has seen a child accept on every listener, or is impossible.',
	'child.unseen': 'A ready child has not accepted on every listener for a while.',
	'child.unverified': 'The listener check has not seen a child accept on every listener in time.',
	'child.ready': 'A child is up.',
	'child.rejected': 'A child was not ready before its deadline.',
	'child.signalled': 'A child is about to be signalled.',
	'child.lost': 'A child exited without a stop signal.',
	'child.abandoned': 'The surviving processes of a child are not waited for any more.',
	'rotation.queued': 'One more rotation will follow the current rotation.',
	'request.refused': 'A request is refused.',
	'signal.forwarded': 'A signal is passed on to every child.',
	'stop.begun': 'The supervisor stops every child.',
	'stop.cancelled': 'A newly started supervisor cancels the stop of an earlier supervisor.',
	'service.lost': 'No generation serves any more, and older generations drain.',
	'upgrade.begun': 'The new program is checked.',
	crowdOut: 'Too many generations drain: this generation is killed.',
	spawn: 'The child is to be spawned.',
	leave: 'The children are to drain. A stopping child ignores this.',
	stop: 'The children are to stop. Each stop sends the signal again.',
	forward: 'A signal is to be passed on.',
	continue: 'No other generation serves: the generation continues without a listener check.',
	fill: 'A new child is to fill a slot.',
	resume: 'After a restart or an upgrade of the supervisor, pending steps are taken.',
	refill: 'Due slots that were held back may be filled.',
	childUp: 'A child is up.',
	childUnverified: 'The listener check of a child has failed.',
	childRejected: 'A child was not ready before its deadline, and is stopping.',
	slotDue: 'A vacant slot is to be filled again.',
	generationUp: 'All children of a generation are up.',
	generationEmpty: 'No child of a generation lives, and vacant slots are to be filled again.',
	generationDegraded: 'A generation is degraded: one of its children failed.',
};

/** The description of an event, as a sentence; empty for an unknown event. */
export function describeEvent(type: string): string {
	if (type.startsWith('xstate.done.actor'))
		return 'A generation of the supervisor, or a child of the generation, has ended.';
	return sentences[type as EventType] ?? '';
}

/** The meaning of each tone, for the legend of the drawing and for the page. */
export const tones: Record<Tone, string> = {
	coming: 'starts',
	well: 'serves',
	leaving: 'drains or stops',
	ill: 'in trouble',
	gone: 'ended',
	passing: 'left at once',
	resting: 'idle',
};
