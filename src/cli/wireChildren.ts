/** Connects the children of a supervisor to their pipes, notify sockets and variables. */
import { childrenOf } from '../effects/children/children.ts';
import { generationEnvironments } from '../effects/children/environment.ts';
import { inheritedVariables } from '../effects/children/inheritedEnv.ts';
import { lastOutputOf } from '../effects/children/lastOutput.ts';
import { openNotifySockets } from '../effects/children/notifySockets.ts';
import { outputsOf } from '../effects/children/output.ts';
import { longestLine, longestRawLine } from '../effects/children/outputLines.ts';
import { directoryFor } from '../effects/children/startedFrom.ts';
import { Watchdogs } from '../effects/children/watchdogs.ts';
import type { Dispatcher } from '../effects/dispatcher.ts';
import { besideProgram } from '../effects/os/installDir.ts';
import { commandLine } from '../effects/os/rawArgv.ts';
import { isOfCandidate } from '../machines/state/supervisorState.ts';
import type { Supervision } from './startup.ts';

export type WiredChildren = ReturnType<typeof wireChildren>;

/** @param directory the logical path of the directory in which the supervisor was started */
export function wireChildren(supervision: Supervision, dispatcher: Dispatcher, directory: string) {
	const { options, startup, handoverState, user, log, sink } = supervision;
	const { journal, listeners, run } = startup;
	const { plan } = options;
	const known = (child: number) => journal.past().state?.children.find((each) => each.child === child) ?? null;
	const phaseOf = (child: number) => known(child)?.phase ?? null;
	const lastOutput = lastOutputOf(handoverState, (generation) => {
		const { state } = journal.past();
		return state?.candidate === generation || (state?.serving === generation && !state.isComplete);
	});
	const outputs = outputsOf({
		sink,
		log,
		handoverState,
		lastOutput,
		longestLine: options.output === 'raw' ? longestRawLine : longestLine,
	});
	const printedBy = (child: number) => lastOutput.of(child, outputs.unfinishedOf(child));
	const watchdogs = new Watchdogs({
		admit: dispatcher.admit,
		log,
		intervalMs: options.watchdog,
		known,
		receiveNow: (child) => notifySockets.receiveNow(child),
	});
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
		takeWatchdog: options.watchdog > 0 ? watchdogs.take : null,
		pidOf: (child) => known(child)?.pid ?? null,
		childOf: (pid) => journal.past().state?.children.find((each) => each.pid === pid)?.child ?? null,
	});
	const children = childrenOf({
		admit: dispatcher.admit,
		log,
		outputs,
		lastOutput,
		spec: specOf(supervision, directory),
		notifySockets,
		listeners: listeners.all,
		user,
		isDurable: journal.isDurable,
		handoverState,
		recovered: startup.survivors,
		known,
		plan: () => journal.past().state?.plan ?? plan,
		isFailing: (id) => {
			const [{ state }, child] = [journal.past(), known(id)];
			return state !== null && child !== null && isOfCandidate(state, child);
		},
		isGroup: options.group,
		isInherited: options.output === 'inherit',
	});
	return { children, outputs, lastOutput, printedBy, notifySockets, watchdogs, phaseOf };
}

/** What every child of the supervisor is spawned with. */
function specOf({ options, startup, handoverState, path, user, log }: Supervision, directory: string) {
	const { journal, run } = startup;
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
	return {
		get path() {
			return path();
		},
		args: options.args.length > 0 ? commandLine().slice(-options.args.length) : [],
		env: async (generation: number) => ({ ...inherited, ...(await environment(generation)) }),
		directory: childDirectory,
		isDirectoryAsked: options.chdir !== '',
		run,
		isSystemd: options.systemd,
		watchdogMs: options.watchdog,
		drain: options.plan.drain,
		stop: options.plan.stop ?? 'TERM',
		adopt: options.adopt ? besideProgram('adopt.cjs') : null,
	};
}
