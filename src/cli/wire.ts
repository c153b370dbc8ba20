/** Connects the statecharts of a supervisor to the effects that act for them. */
import { type Observable, share } from 'rxjs';
import { healthCheckActor } from '../effects/check/healthCheck.ts';
import { listenerCheckActor } from '../effects/children/listenerCheck.ts';
import { orphanKeeper } from '../effects/children/orphans.ts';
import { stillAccepting } from '../effects/children/stillAccepting.ts';
import { crashHandler, failpoint } from '../effects/crashHandler.ts';
import { type Dispatcher, newDispatcher } from '../effects/dispatcher.ts';
import { drainReminder } from '../effects/log/drainReminder.ts';
import { healthLog } from '../effects/log/healthLog.ts';
import { adoptOrphans } from '../effects/os/kill.ts';
import { memoryKeeper } from '../effects/os/memory.ts';
import { processStart } from '../effects/os/proc.ts';
import { logicalDirectory } from '../effects/os/spawn.ts';
import { timerActor } from '../effects/os/timer.ts';
import { type Exit, exits } from '../effects/os/wait.ts';
import { managerOf } from '../effects/serviceManager.ts';
import { backlogKeeper } from '../effects/sockets/backlogs.ts';
import { preflightActor } from '../effects/upgrade/preflight.ts';
import {
	handoverActor,
	nextProgram,
	programAnswers,
	type ReplacementOptions,
	replaceProgram,
} from '../effects/upgrade/replacement.ts';
import type { World } from '../machines/charts/world.ts';
import type { Fact, KeptRequest } from '../machines/facts/facts.ts';
import { withoutUnfinished } from '../machines/state/recoveryState.ts';
import { finishedBetween } from '../machines/state/rotations.ts';
import { logFieldsOf } from '../machines/text/logFields.ts';
import { sentenceOf } from '../machines/text/sentences.ts';
import { openControlSockets } from './controlSockets.ts';
import { journalPath, type Supervision, supervisorSection } from './startup.ts';
import { version } from './version.ts';
import { type WiredChildren, wireChildren } from './wireChildren.ts';

/**
 * Creates the parts of a supervisor, each with the parts that it needs. The statecharts do not run yet.
 * @throws {StartError} before any child is spawned
 */
export function wire(supervision: Supervision) {
	const { options, startup, handoverState, claimPidFile, log, sink } = supervision;
	const { journal, listeners, run } = startup;
	adoptOrphans();
	const directory = logicalDirectory();
	const reaped = exits().pipe(share());
	const noteHealth = healthLog(log, () => journal.past().state);
	const dispatcher = newDispatcher({
		record: journal.record,
		past: journal.past,
		rest: () => {
			journal.rest();
			noteHealth();
		},
		after: startup.seq,
	});
	const wired = wireChildren(supervision, dispatcher, directory);
	const { children, outputs, notifySockets } = wired;
	const replacement = { handoverState, outputs, sink, directory, isSettled: children.isSettled };
	const fault = crashHandler({ log, sink, replace: () => replaceProgram(replacement) });
	const accepting = stillAccepting(listeners.all);
	const file = journalPath(options);
	const controlSockets = openControlSockets({
		options,
		startup,
		handoverState,
		log,
		subject: {
			admit: dispatcher.admit,
			isFaulty: fault.wasMet,
			logCounts: sink.counts,
			run,
			version,
			since: processStart(),
			listeners: listeners.all,
			seq: dispatcher.last,
			past: journal.past,
			journal: file === null ? null : { path: file, size: journal.size },
			statusTextOf: notifySockets.statusTextOf,
			accepting,
		},
	});
	try {
		claimPidFile();
	} catch (error) {
		controlSockets.close();
		throw error;
	}
	const manager = managerOf({ env: process.env, past: journal.past, handoverState });
	const reminder = drainReminder({ log, state: () => journal.past().state, accepting });
	const backlogs = backlogKeeper(listeners.all);
	const orphans = orphanKeeper({ pids: startup.orphans, handoverState, log, drain: options.plan.drain });
	follow(supervision, dispatcher, wired, fault.wasMet);
	const keepers = [manager, controlSockets.control, reminder, backlogs, orphans, wired.watchdogs, memoryKeeper()];
	for (const { note } of keepers.filter((each) => each !== null)) dispatcher.follow(note);
	dispatcher.follow((fact) => {
		if (fact.type === 'child.abandoned') children.abandon(fact.child);
	});
	const world = worldOf({ supervision, dispatcher, wired, reaped, replacement, directory });
	return { world, dispatcher, children, outputs, notifySockets, orphans, controlSockets, manager, fault, reaped };
}

/** Lets the output tails and the log follow the facts, and saves the state for the next program. */
function follow(
	{ options, startup, handoverState, path, log }: Supervision,
	dispatcher: Dispatcher,
	{ lastOutput }: WiredChildren,
	isFaulty: () => boolean,
) {
	const { journal, run } = startup;
	const command = [path(), ...options.args].join(' ');
	/** Requests recorded after an internal error. They did not cause it, so the next program receives them. */
	const late: KeptRequest[] = [];
	dispatcher.follow((_, { rotations }) => {
		for (const each of finishedBetween(rotations, journal.past().rotations)) lastOutput.settle(each.generation);
	});
	dispatcher.follow((fact) => {
		if (isFaulty() && isRequest(fact)) late.push(requestOf(fact));
	});
	dispatcher.follow((fact, { state }) => {
		const sentence = sentenceOf(fact, state, command);
		if (sentence) log.say(sentence.level, sentence.text, logFieldsOf(fact, state));
	});
	handoverState.save(supervisorSection, () => {
		const { state, ...rest } = journal.past();
		if (state === null) throw new Error('nothing has happened yet');
		const left = isFaulty() ? withoutUnfinished(state) : state;
		return {
			state: { run, seq: dispatcher.last(), state: left, ...rest, late },
			fds: [],
		};
	});
}

interface WorldOptions {
	supervision: Supervision;
	dispatcher: Dispatcher;
	wired: WiredChildren;
	/** The exits of all reaped processes. */
	reaped: Observable<Exit>;
	replacement: ReplacementOptions;
	/** The logical path of the directory in which the supervisor was started. */
	directory: string;
}

/** The effects that the statecharts invoke. */
function worldOf({ supervision, dispatcher, wired, reaped, replacement, directory }: WorldOptions): World {
	const { options, startup, handoverState } = supervision;
	const { children, notifySockets, printedBy, phaseOf } = wired;
	const { plan } = options;
	return {
		decide: (decision) => {
			failpoint(decision.type);
			dispatcher.decide(decision);
		},
		process: children.actor,
		timer: timerActor({
			admit: dispatcher.admit,
			endOf: children.endOf,
			stoppedPid: children.stoppedPid,
			receiveNow: notifySockets.receiveNow,
			// With -ready=wait, a child that reaches its deadline is ready: there is no failure to explain.
			printedBy:
				plan.ready === 'wait' ? () => ({}) : (child) => ({ ...printedBy(child), ...notifySockets.ignoredOf(child) }),
		}),
		listenerCheck: listenerCheckActor({
			admit: dispatcher.admit,
			listeners: startup.listeners.all,
			verify: plan.verify,
			run: startup.run,
			pidOf: children.pidOf,
			phaseOf,
			receiveNow: notifySockets.receiveNow,
			printedBy,
		}),
		healthCheck: healthCheckActor({
			admit: dispatcher.admit,
			check: plan.check,
			listeners: startup.listeners.all,
			version,
			run: startup.run,
			state: () => startup.journal.past().state,
			printedBy,
		}),
		preflight: preflightActor({
			admit: dispatcher.admit,
			exits: reaped,
			handoverState,
			program: () => nextProgram(directory),
			answers: () => programAnswers(directory),
		}),
		handover: handoverActor(dispatcher.admit, replacement),
	};
}

/** Whether a fact is a request that the supervisor's state keeps until the statecharts have answered it. */
function isRequest(fact: Fact): fact is Fact & KeptRequest {
	return /^(signal\.(HUP|TERM|INT|QUIT)|(rotate|stop)\.requested)$/.test(fact.type);
}

function requestOf(fact: Fact & KeptRequest): KeptRequest {
	return fact.type === 'stop.requested' && fact.kill !== undefined
		? { type: fact.type, kill: fact.kill }
		: { type: fact.type };
}
