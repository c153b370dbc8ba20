/** What the statecharts' events, guards and actions mean, in an operator's words. Those of states stand at the states. */
import type { Tone } from './chart.ts';
import type { ChildNews, ChildOrder } from './childSetup.ts';
import type { FactType } from './facts.ts';
import type { GenerationNews, GenerationOrder } from './generation.ts';

type EventType = FactType | (ChildOrder | ChildNews | GenerationOrder | GenerationNews)['type'];

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
	'generation.givenUp': 'A generation was lost before it was up.',
	'child.spawning': 'A child is about to be spawned.',
	'child.ready': 'A child is up.',
	'child.signalled': 'A child is about to get a signal.',
	'child.lost': 'A child ended without having been told to leave.',
	'child.abandoned': 'What a child left of its process group is not waited for any more.',
	'rotation.queued': 'One more rotation will follow the present one.',
	'request.refused': 'What was asked for is not done.',
	'signal.forwarded': 'A signal is passed on to every child.',
	'stop.begun': 'Every child is told to leave.',
	'stop.undone': 'A new start wants to serve: the stop of the supervisor before it is over.',
	'service.lost': 'Nobody serves any more, and older children still finish what they have begun.',
	'upgrade.begun': 'The new program is being checked.',
	adopt: 'The child is to go on with a process that runs already.',
	spawn: 'The child is to get a process.',
	leave: 'It is to leave, unless it was told so before.',
	stop: 'It is to leave, and is told so each time.',
	forward: 'A signal is to be passed on.',
	carryOn: 'What is left of the generation is to go on.',
	childUp: 'A child is up.',
	generationUp: 'All children of a generation are up.',
	generationHurt: 'A child of a generation was lost, and others are left.',
};

/** What an event means, in a sentence. */
export function describeEvent(type: string): string {
	if (type.startsWith('xstate.done.actor')) return 'One of those below is gone.';
	return sentences[type as EventType] ?? '';
}

/** Each event in a few words. */
const events: Record<EventType, string> = {
	'supervisor.started': 'it starts',
	'supervisor.recovered': 'it goes on',
	'signal.HUP': 'SIGHUP',
	'signal.TERM': 'SIGTERM',
	'signal.INT': 'SIGINT',
	'signal.QUIT': 'SIGQUIT',
	'signal.USR1': 'SIGUSR1',
	'signal.USR2': 'SIGUSR2',
	'rotate.requested': 'a rotation request',
	'stop.requested': 'a stop request',
	'child.spawned': 'it has a process',
	'child.spawnFailed': 'it can’t be spawned',
	'child.exited': 'its process ends',
	'child.stopped': 'it is found stopped',
	'group.gone': 'its group is gone too',
	'timer.elapsed': 'the wait is over',
	'upgrade.verified': 'the new program is sound',
	'upgrade.refused': 'the new program is not sound',
	'upgrade.failed': 'it can’t take over',
	'generation.started': 'a generation starts',
	'generation.promoted': 'a generation is promoted',
	'generation.givenUp': 'a generation is given up',
	'child.spawning': 'a child is spawned',
	'child.ready': 'a child is up',
	'child.signalled': 'a child gets a signal',
	'child.lost': 'a child is lost',
	'child.abandoned': 'a group is left alone',
	'rotation.queued': 'a rotation waits its turn',
	'request.refused': 'a request is refused',
	'signal.forwarded': 'a signal is passed on',
	'stop.begun': 'the stop begins',
	'stop.undone': 'an old stop is over',
	'service.lost': 'nobody serves',
	'upgrade.begun': 'an upgrade begins',
	adopt: 'go on with a process',
	spawn: 'get a process',
	leave: 'leave',
	stop: 'stop',
	forward: 'pass a signal on',
	carryOn: 'carry on',
	childUp: 'a child is up',
	generationUp: 'a generation is up',
	generationHurt: 'a generation lost a child',
};

/** An event in a few words; nothing for what follows by itself. */
export function wordsOfEvent(type: string): string {
	if (type.startsWith('xstate.done.actor')) return 'one below is gone';
	return events[type as EventType] ?? '';
}

/** Each guard as what follows "if". */
const guards: Record<string, string> = {
	// of the supervisor
	isCandidate: 'it is the candidate',
	isCandidateBesideServing: 'it is the candidate, and one serves',
	isCandidateBesideOthers: 'it is the candidate, and others live',
	isServingBesideOthers: 'it served, and others live',
	isServingAndWasAskedFor: 'it served, and had been asked for',
	isOver: 'it was the last',
	isQueued: 'a rotation waits its turn',
	isNobodyLeaving: 'nobody is leaving',
	wasStopping: 'it was stopping, and was upgraded',
	hadBegunToStop: 'it was stopping, and is started again',
	isCandidateUnborn: 'its candidate had no process yet',
	wasStarting: 'it was starting',
	wasRotating: 'it was rotating',
	// of a generation
	'isAdoptedAs starting': 'its children were starting',
	'isAdoptedAs serving': 'its children serve',
	'isAdoptedAs leaving': 'its children were leaving',
	isUp: 'all of them are up',
	hasOthers: 'others are left',
	isLastChild: 'it was the last',
	wasToldToLeave: 'it had been told to',
	// of a child
	'isAdoptedIn spawning': 'it was about to get one',
	'isAdoptedIn booting': 'it was booting',
	'isAdoptedIn serving': 'it was serving',
	'isAdoptedIn draining': 'it was draining',
	'isAdoptedIn killing': 'it had been killed',
	isAdoptedLingeringInTime: 'its group lives on, and -kill is set',
	leavesOthers: 'others of its group live on',
	leavesOthersInTime: 'others of its group live on, and -kill is set',
	isBootTimer: 'it is that of -start',
	isKillTimer: 'it is that of -kill',
};

/** A guard as what follows "if". */
export function wordsOfGuard(name: string): string {
	return guards[name] ?? '';
}

/** Each action as what is done; empty for what is only kept in mind. */
const actions: Record<string, string> = {
	// decisions, by their names at the transitions
	'decide started': 'start a generation',
	'decide promoted': 'promote it',
	'decide replacing': 'promote it',
	'decide givenUp': 'give it up',
	'decide queued': 'remember one more rotation',
	'decide refused': 'refuse, with a reason',
	'decide stop': 'begin to stop',
	'decide stopUndone': 'forget the old stop',
	'decide serviceLost': 'say that nobody serves',
	'decide forwarded': 'say so',
	'decide spawning': 'say so before it is done',
	'decide ready': 'it is up',
	'decide lost': 'it is lost',
	'decide abandoned': 'leave its group alone',
	'decide upgrade.begun': 'check the new program',
	// of the supervisor
	startGeneration: 'new actor',
	dismissServing: 'tell the old one to leave',
	dismissCandidate: 'tell the rest of it to leave',
	dismissOthers: 'tell the others to leave',
	dismissAll: 'tell all to leave',
	stopAll: 'tell every child to leave',
	forwardToAll: 'pass it on to every child',
	carryOn: 'let the rest carry on',
	adopt: 'take its generations over',
	passOnToUpgrade: 'ask for an upgrade',
	beginAgain: 'start it anew',
	promote: '',
	giveUp: '',
	keepPlan: '',
	keepQueued: '',
	keepStop: '',
	undoStop: '',
	noteStatus: '',
	forget: '',
	// of a generation
	spawnChildren: 'spawn its children',
	adoptChildren: 'take its children over',
	passOn: 'pass it on',
	tellUp: 'tell the level above',
	tellHurt: 'tell the supervisor',
	noteUp: 'one fewer to wait for',
	// of a child
	obey: 'send the signal',
	kill: 'SIGKILL to its group',
	bidFarewell: 'send the signal',
	passOnRemembered: 'pass on the signals that were kept',
	rememberFarewell: 'keep it until it has a process',
	rememberForward: 'keep it until it has a process',
	keepAdopted: '',
	keepStopped: 'wait once more',
	keepStatus: '',
};

/** An action as what is done; empty for what is only kept in mind. */
export function wordsOfAction(name: string): string | undefined {
	return actions[name];
}

/** What each tone of a state means. */
export const tones: Record<Tone, string> = {
	coming: 'on its way up',
	well: 'serves',
	leaving: 'on its way out',
	ill: 'in trouble',
	gone: 'gone',
	passing: 'passed through at once',
	resting: 'at rest',
};
