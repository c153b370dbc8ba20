/** A supervisor in the real world: the statecharts, and all that acts for them. */
import { share } from 'rxjs';
import { childrenOf } from '../effects/children/children.ts';
import { generationEnvironments } from '../effects/children/environment.ts';
import { inheritedVariables } from '../effects/children/inheritedEnv.ts';
import { lastWordsOf } from '../effects/children/lastOutput.ts';
import { listenerCheckActor } from '../effects/children/listenerCheck.ts';
import { childWords } from '../effects/children/notifySockets.ts';
import { orphanKeeper } from '../effects/children/orphans.ts';
import { outputsOf } from '../effects/children/output.ts';
import { directoryFor } from '../effects/children/startedFrom.ts';
import { stillAccepting } from '../effects/children/stillAccepting.ts';
import { faultHandler, mayFail } from '../effects/crashHandler.ts';
import { openDoor } from '../effects/dispatcher.ts';
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
import type { Inheritance } from '../effects/upgrade/handoverState.ts';
import { preflightActor } from '../effects/upgrade/preflight.ts';
import { handoverActor, nextProgram, replaceProgram } from '../effects/upgrade/replacement.ts';
import type { World } from '../machines/charts/world.ts';
import type { Fact, Plan, Request } from '../machines/facts/facts.ts';
import { withoutUnfinished } from '../machines/state/recoveryState.ts';
import { finishedBetween } from '../machines/state/rotations.ts';
import { isOfCandidate } from '../machines/state/supervisorState.ts';
import { sentenceOf } from '../machines/text/sentences.ts';
import { openDoors } from './controlSockets.ts';
import type { Options } from './flags.ts';
import { journalPath, type Origin, supervisorPart } from './startup.ts';
import { version } from './version.ts';

export interface Supervision {
	options: Options;
	plan: Plan;
	origin: Origin;
	inheritance: Inheritance;
	path: string | Buffer;
	user: User | null;
	log: Log;
	sink: Sink;
}

/**
 * Makes what a supervisor is made of: each part is handed those that it needs, and is there before them. No fact passes yet.
 * @throws {StartError} before any child is started
 */
export function wire({ options, plan, origin, inheritance, path, user, log, sink }: Supervision) {
	const { journal, listeners, run } = origin;
	adoptOrphans();
	const directory = logicalDirectory();
	const command = [path, ...options.args].join(' ');
	const lastOutput = lastWordsOf(inheritance, (generation) => {
		const { state } = journal.past();
		return state?.candidate === generation || (state?.serving === generation && !state.isComplete);
	});
	const outputs = outputsOf({ sink, log, inheritance, lastOutput });
	const wordsOf = (child: number) => lastOutput.of(child, outputs.unfinishedOf(child));
	const reaped = exits().pipe(share());

	const door = openDoor({ record: journal.record, past: journal.past, rest: journal.rest, after: origin.seq });
	const phaseOf = (child: number) => journal.past().state?.children.find((each) => each.child === child)?.phase ?? null;
	const words = childWords({
		admit: door.admit,
		log,
		run,
		user,
		isDurable: journal.isDurable,
		isNeeded: plan.ready === 'notify',
		inheritance,
		kept: origin.words,
		phaseOf,
		childOf: (pid) => journal.past().state?.children.find((each) => each.pid === pid)?.child ?? null,
	});
	const environment = generationEnvironments({
		path: options.env,
		inheritance,
		log,
		isThere: (generation) => {
			const { children = [], respawns = [] } = journal.past().state ?? {};
			return [...children, ...respawns].some((each) => each.generation === generation);
		},
	});
	const childDirectory = directoryFor(options.chdir, directory);
	const inherited = { ...inheritedVariables(user), ...(options.chdir === '' ? {} : { PWD: childDirectory }) };
	const children = childrenOf({
		admit: door.admit,
		log,
		outputs,
		lastOutput,
		spec: {
			path,
			args: options.args.length > 0 ? commandLine().slice(-options.args.length) : [],
			env: async (generation) => ({ ...inherited, ...(await environment(generation)) }),
			directory: childDirectory,
			isDirectoryAsked: options.chdir !== '',
			run,
			isSystemd: options.systemd,
		},
		words,
		listeners: listeners.all,
		user,
		isDurable: journal.isDurable,
		inheritance,
		recovered: origin.survivors,
		known: (child) => journal.past().state?.children.find((each) => each.child === child) ?? null,
		plan: () => journal.past().state?.plan ?? plan,
		isFailing: (id) => {
			const { state } = journal.past();
			const child = state?.children.find((each) => each.child === id);
			return state !== null && child !== undefined && isOfCandidate(state, child);
		},
		isGroup: options.group,
	});
	const replacement = { inheritance, outputs, sink, directory, isSettled: children.isSettled };
	const fault = faultHandler({ log, sink, replace: () => replaceProgram(replacement) });
	const accepting = stillAccepting(listeners.all);
	const file = journalPath(options);
	const doors = openDoors({
		options,
		origin,
		inheritance,
		log,
		subject: {
			admit: door.admit,
			isFaulty: fault.wasMet,
			logCounts: sink.counts,
			run,
			version,
			since: processStart(),
			listeners: listeners.all,
			seq: door.last,
			past: journal.past,
			journal: file === null ? null : { path: file, size: journal.size },
			notesOf: words.notesOf,
			accepting,
		},
	});
	const manager = managerOf({ env: process.env, past: journal.past, inheritance });
	const reminder = drainReminder({ log, state: () => journal.past().state, accepting });
	const backlogs = backlogKeeper(listeners.all);
	const orphans = orphanKeeper({ pids: origin.orphans, inheritance, log, drain: plan.drain });
	/** What was asked for when the statecharts had failed: that is not what they failed on. */
	const late: Request[] = [];
	door.follow((_, { rotations }) => {
		for (const each of finishedBetween(rotations, journal.past().rotations)) lastOutput.settle(each.generation);
	});
	door.follow((fact) => {
		if (fault.wasMet() && isRequest(fact)) late.push(requestOf(fact));
	});
	door.follow((fact, { state }) => {
		const sentence = sentenceOf(fact, state, command);
		if (sentence) log.say(sentence.level, sentence.text);
	});
	for (const { note } of [manager, doors.control, reminder, backlogs, orphans].filter((each) => each !== null)) {
		door.follow(note);
	}
	door.follow((fact) => {
		if (fact.type === 'child.abandoned') children.abandon(fact.child);
	});
	inheritance.leave(supervisorPart, () => {
		const { state, ...rest } = journal.past();
		const left = state && fault.wasMet() ? withoutUnfinished(state) : state;
		return {
			state: { run, seq: door.last(), supervisorState: left, ...rest, late },
			fds: [],
		};
	});
	const world: World = {
		decide: (decision) => {
			mayFail(decision.type);
			door.decide(decision);
		},
		process: children.actor,
		timer: timerActor({
			admit: door.admit,
			endOf: children.endOf,
			stoppedPid: children.stoppedPid,
			hearNow: words.hearNow,
			// With a wait the deadline is no failure.
			wordsOf: plan.ready === 'wait' ? () => ({}) : (child) => ({ ...wordsOf(child), ...words.ignoredOf(child) }),
		}),
		proof: listenerCheckActor({
			admit: door.admit,
			listeners: listeners.all,
			verify: plan.verify,
			run,
			pidOf: children.pidOf,
			phaseOf,
			hearNow: words.hearNow,
			wordsOf,
		}),
		preflight: preflightActor({
			admit: door.admit,
			exits: reaped,
			inheritance,
			program: () => nextProgram(directory),
		}),
		handover: handoverActor(door.admit, replacement),
	};
	return { world, door, children, outputs, words, orphans, doors, manager, fault, reaped };
}

/** A request that the statecharts answer, and the supervisorState keeps until they have. */
function isRequest(fact: Fact): fact is Fact & Request {
	return /^(signal\.(HUP|TERM|INT|QUIT)|(rotate|stop)\.requested)$/.test(fact.type);
}

function requestOf(fact: Fact & Request): Request {
	return fact.type === 'stop.requested' && fact.kill !== undefined
		? { type: fact.type, kill: fact.kill }
		: { type: fact.type };
}
