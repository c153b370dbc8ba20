/** Descriptions of the statecharts' events and tones for operators. The descriptions of states are in the machines. */

import type { ChildNews, ChildOrder, GenerationNews, GenerationOrder } from '../machines/charts/protocol.ts';
import type { FactType } from '../machines/facts/facts.ts';
import type { Tone } from './chart.ts';

export type EventType = FactType | (ChildOrder | ChildNews | GenerationOrder | GenerationNews)['type'];

const sentences: Record<EventType, string> = {
	'supervisor.started': 'The supervisor begins anew.',
	'supervisor.recovered': 'The supervisor goes on where an earlier program was.',
	'signal.HUP': 'SIGHUP asks for a rotation.',
	'signal.TERM': 'SIGTERM asks to stop.',
	'signal.INT': 'SIGINT asks to stop, as Ctrl-C does.',
	'signal.QUIT': 'SIGQUIT is for the children.',
	'signal.USR1': 'SIGUSR1 asks for an upgrade of the supervisor.',
	'signal.USR2': 'SIGUSR2 asks for an upgrade of the supervisor.',
	'rotate.requested': 'Somebody asks for a rotation.',
	'stop.requested': 'Somebody asks to stop.',
	'upgrade.requested': 'Somebody asks for an upgrade of the supervisor.',
	'child.spawned': 'A child has a process.',
	'child.spawnFailed': 'A child could not be spawned.',
	'child.exited': 'The process of a child has ended.',
	'child.stopped': 'A child was found stopped when its wait was over.',
	'group.gone': 'What a child had left of its process group is gone too.',
	'timer.elapsed': 'A wait is over.',
	'upgrade.verified': 'The new program is sound.',
	'upgrade.refused': 'The new program is not sound.',
	'upgrade.failed': 'The new program could not take over.',
	'generation.started': 'A new generation begins to start.',
	'generation.promoted': 'A generation is up and serves; those it replaces are told to leave.',
	'generation.failed': 'A generation was lost before it was up.',
	'generation.degraded': 'A generation is degraded, and goes on as nobody else serves.',
	'generation.exhausted': 'Too many children of a generation have died, and none was ever up.',
	'respawn.scheduled': 'The place of a lost child will be filled again.',
	'respawn.due': 'The wait of a place that is to be filled again is over.',
	'restart.scheduled': 'No generation serves, and a new one will be started.',
	'restart.due': 'No generation serves, and the wait for a new one is over.',
	'child.spawning': 'A child is about to be spawned.',
	'child.announced': 'A child says that it is up.',
	'child.delayed': 'A child says that it needs more time.',
	'deadline.moved': 'A child may take longer to be up.',
	'child.verifying': 'A child is ready: is it seen to accept?',
	'child.verified': 'A child is seen to accept on every listener, or that can’t be seen.',
	'child.unseen': 'A child that is ready was not seen to accept for a while.',
	'child.unverified': 'A child was not seen to accept on every listener in time.',
	'child.ready': 'A child is up.',
	'child.rejected': 'A child has not said in time that it is up.',
	'child.signalled': 'A child is about to get a signal.',
	'child.lost': 'A child ended without having been told to leave.',
	'child.abandoned': 'What a child left of its process group is not waited for any more.',
	'rotation.queued': 'One more rotation will follow the present one.',
	'request.refused': 'What was asked for is not done.',
	'signal.forwarded': 'A signal is passed on to every child.',
	'stop.begun': 'Every child is told to leave.',
	'stop.cancelled': 'A new start wants to serve: the stop of the supervisor before it is over.',
	'service.lost': 'Nobody serves any more, and older children still finish what they have begun.',
	'upgrade.begun': 'The new program is being checked.',
	crowdOut: 'Too many generations drain: this one is killed.',
	spawn: 'The child is to get a process.',
	leave: 'It is to leave, unless it was told so before.',
	stop: 'It is to leave, and is told so each time.',
	forward: 'A signal is to be passed on.',
	continue: 'What is left of the generation is to go on, and serves as it is.',
	fill: 'A place is to be filled by a new child.',
	resume: 'After a restart of the supervisor: what was about to follow follows now.',
	refill: 'Places that were held back may be filled.',
	childUp: 'A child is up.',
	childUnverified: 'A child was not seen to accept.',
	childRejected: 'A child was not up in time, and was told to leave.',
	slotDue: 'A place is to be filled again.',
	generationUp: 'All children of a generation are up.',
	generationEmpty: 'Nobody of a generation lives, and some are to be started again.',
	generationDegraded: 'A generation is degraded, and others of it are left or follow.',
};

/** The description of an event, as a sentence; empty for an unknown event. */
export function describeEvent(type: string): string {
	if (type.startsWith('xstate.done.actor')) return 'One of those below is gone.';
	return sentences[type as EventType] ?? '';
}

/** The meaning of each tone, for the legend of the drawing and for the page. */
export const tones: Record<Tone, string> = {
	coming: 'on its way up',
	well: 'serves',
	leaving: 'on its way out',
	ill: 'in trouble',
	gone: 'gone',
	passing: 'passed through at once',
	resting: 'at rest',
};
