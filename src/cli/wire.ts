/** Connects the statecharts of a supervisor to the effects that act for them. */
import { share } from 'rxjs';
import { childrenOf } from '../effects/children/children.ts';
import { generationEnvironments } from '../effects/children/environment.ts';
import { inheritedVariables } from '../effects/children/inheritedEnv.ts';
import { lastOutputOf } from '../effects/children/lastOutput.ts';
import { listenerCheckActor } from '../effects/children/listenerCheck.ts';
import { openNotifySockets } from '../effects/children/notifySockets.ts';
import { orphanKeeper } from '../effects/children/orphans.ts';
import { outputsOf } from '../effects/children/output.ts';
import { directoryFor } from '../effects/children/startedFrom.ts';
import { stillAccepting } from '../effects/children/stillAccepting.ts';
import { crashHandler, failpoint } from '../effects/crashHandler.ts';
import { newDispatcher } from '../effects/dispatcher.ts';
import { drainReminder } from '../effects/log/drainReminder.ts';
import type { Log } from '../effects/log/log.ts';
import type { Sink } from '../effects/log/sink.ts';
import { adoptOrphans } from '../effects/os/kill.ts';
import { processStart } from '../effects/os/proc.ts';
import { commandLine } from '../effects/os/rawArgv.ts';
import { logicalDirectory } from '../effects/os/spawn.ts';
import { timerActor } from '../effects/os/timer.ts';
import type { User } from '../effects/os/user.ts';
import { exits } from '../effects/os/wait.ts';
import { managerOf } from '../effects/serviceManager.ts';
import { backlogKeeper } from '../effects/sockets/backlogs.ts';
import type { HandoverState } from '../effects/upgrade/handoverState.ts';
import { preflightActor } from '../effects/upgrade/preflight.ts';
import { handoverActor, nextProgram, programAnswers, replaceProgram } from '../effects/upgrade/replacement.ts';
import type { World } from '../machines/charts/world.ts';
import type { Fact, Request } from '../machines/facts/facts.ts';
import { withoutUnfinished } from '../machines/state/recoveryState.ts';
import { finishedBetween } from '../machines/state/rotations.ts';
import { isOfCandidate } from '../machines/state/supervisorState.ts';
import { sentenceOf } from '../machines/text/sentences.ts';
import { openControlSockets } from './controlSockets.ts';
import type { Options } from './flags.ts';
import { journalPath, type Startup, supervisorSection } from './startup.ts';
import { version } from './version.ts';

export interface Supervision {
	options: Options;
	startup: Startup;
	handoverState: HandoverState;
	/** Returns the path of the program; the unchanged -command while the program is not found. */
	path: () => string | Buffer;
	/** Writes the pid file. @throws {StartError} */
	claimPidFile: () => void;
	user: User | null;
	log: Log;
	sink: Sink;
}

/**
 * Creates the parts of a supervisor, each with the parts that it needs. The statecharts do not run yet.
 * @throws {StartError} before any child is spawned
 */
export function wire({ options, startup, handoverState, path, claimPidFile, user, log, sink }: Supervision) {
	const { plan } = options;
	const { journal, listeners, run } = startup;
	adoptOrphans();
	const directory = logicalDirectory();
	const command = [path(), ...options.args].join(' ');
	const lastOutput = lastOutputOf(handoverState, (generation) => {
		const { state } = journal.past();
		return state?.candidate === generation || (state?.serving === generation && !state.isComplete);
	});
	const outputs = outputsOf({ sink, log, handoverState, lastOutput });
	const printedBy = (child: number) => lastOutput.of(child, outputs.unfinishedOf(child));
	const reaped = exits().pipe(share());

	const dispatcher = newDispatcher({
		record: journal.record,
		past: journal.past,
		rest: journal.rest,
		after: startup.seq,
	});
	const phaseOf = (child: number) => journal.past().state?.children.find((each) => each.child === child)?.phase ?? null;
	const notifySockets = openNotifySockets({
		admit: dispatcher.admit,
		log,
		run,
		user,
		isDurable: journal.isDurable,
		isNeeded: plan.ready === 'notify',
		handoverState,
		kept: startup.notifySockets,
		phaseOf,
		childOf: (pid) => journal.past().state?.children.find((each) => each.pid === pid)?.child ?? null,
	});
	const environment = generationEnvironments({
		path: options.env,
		handoverState,
		log,
		isThere: (generation) => {
			const { children = [], respawns = [] } = journal.past().state ?? {};
			return [...children, ...respawns].some((each) => each.generation === generation);
		},
	});
	const childDirectory = directoryFor(options.chdir, directory);
	const inherited = { ...inheritedVariables(user), ...(options.chdir === '' ? {} : { PWD: childDirectory }) };
	const children = childrenOf({
		admit: dispatcher.admit,
		log,
		outputs,
		lastOutput,
		spec: {
			get path() {
				return path();
			},
			args: options.args.length > 0 ? commandLine().slice(-options.args.length) : [],
			env: async (generation) => ({ ...inherited, ...(await environment(generation)) }),
			directory: childDirectory,
			isDirectoryAsked: options.chdir !== '',
			run,
			isSystemd: options.systemd,
		},
		notifySockets,
		listeners: listeners.all,
		user,
		isDurable: journal.isDurable,
		handoverState,
		recovered: startup.survivors,
		known: (child) => journal.past().state?.children.find((each) => each.child === child) ?? null,
		plan: () => journal.past().state?.plan ?? plan,
		isFailing: (id) => {
			const { state } = journal.past();
			const child = state?.children.find((each) => each.child === id);
			return state !== null && child !== undefined && isOfCandidate(state, child);
		},
		isGroup: options.group,
	});
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
	const orphans = orphanKeeper({ pids: startup.orphans, handoverState, log, drain: plan.drain });
	/** Requests recorded after an internal error. They did not cause it, so the next program receives them. */
	const late: Request[] = [];
	dispatcher.follow((_, { rotations }) => {
		for (const each of finishedBetween(rotations, journal.past().rotations)) lastOutput.settle(each.generation);
	});
	dispatcher.follow((fact) => {
		if (fault.wasMet() && isRequest(fact)) late.push(requestOf(fact));
	});
	dispatcher.follow((fact, { state }) => {
		const sentence = sentenceOf(fact, state, command);
		if (sentence) log.say(sentence.level, sentence.text);
	});
	for (const { note } of [manager, controlSockets.control, reminder, backlogs, orphans].filter(
		(each) => each !== null,
	)) {
		dispatcher.follow(note);
	}
	dispatcher.follow((fact) => {
		if (fact.type === 'child.abandoned') children.abandon(fact.child);
	});
	handoverState.save(supervisorSection, () => {
		const { state, ...rest } = journal.past();
		if (state === null) throw new Error('nothing has happened yet');
		const left = fault.wasMet() ? withoutUnfinished(state) : state;
		return {
			state: { run, seq: dispatcher.last(), state: left, ...rest, late },
			fds: [],
		};
	});
	const world: World = {
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
			listeners: listeners.all,
			verify: plan.verify,
			run,
			pidOf: children.pidOf,
			phaseOf,
			receiveNow: notifySockets.receiveNow,
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
	return { world, dispatcher, children, outputs, notifySockets, orphans, controlSockets, manager, fault, reaped };
}

/** Whether a fact is a request that the supervisor's state keeps until the statecharts have answered it. */
function isRequest(fact: Fact): fact is Fact & Request {
	return /^(signal\.(HUP|TERM|INT|QUIT)|(rotate|stop)\.requested)$/.test(fact.type);
}

function requestOf(fact: Fact & Request): Request {
	return fact.type === 'stop.requested' && fact.kill !== undefined
		? { type: fact.type, kill: fact.kill }
		: { type: fact.type };
}
