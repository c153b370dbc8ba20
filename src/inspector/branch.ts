/** A branch: a simulated supervisor that continues from an entry of a timeline, or starts from an empty state. */

import { describeState, leafOf, phasesOf, upgradeStateOf } from '../machines/charts/world.ts';
import type { ExternalEvent, Fact, Plan } from '../machines/facts/facts.ts';
import { type DueEvent, dueEvents } from '../machines/simulation/dueEvents.ts';
import { externalEventOf } from '../machines/simulation/nextEvents.ts';
import { simulator } from '../machines/simulation/simulator.ts';
import { type SupervisorState, stateOf } from '../machines/state/supervisorState.ts';
import type { Entry } from './entry.ts';
import { newReplayer } from './replayer.ts';
import { newTimeline, type Timeline } from './timeline.ts';

export interface Branch {
	timeline: Timeline;
	/** The number of the fact after which it continues; null if it started from an empty state. */
	after: number | null;
	/** The state with which the simulation began; null if it began with the first fact of a supervisor. */
	from: SupervisorState | null;
	/** All simulated external events. `after` is the time between the previous event and this one, in milliseconds. */
	told: { external: ExternalEvent; after: number }[];
	/** The steps of the reader: the number of events that were told before it, and the child that it silences. */
	steps: { before: number; silenced: number | null }[];
	/** Sends an external event after a simulated time, whatever is due before it. */
	tell: (external: ExternalEvent, after: number) => void;
	/**
	 * A step of the reader: an external event after a simulated time, and before it all that is due, in order.
	 * @param choose the event, as it is possible then; null if it is not
	 */
	act: (choose: (state: SupervisorState) => ExternalEvent | null, after: number) => void;
	/** What is due next by itself. */
	due: () => DueEvent[];
	/** Lets the next timer elapse, and before it all that is due. */
	runNextTimer: () => void;
	/** Lets programs do what they do by themselves within a moment. */
	settle: () => void;
	/** A step of the reader: the child will not be seen to accept. */
	silence: (child: number) => void;
	/** The simulation without its last step; null if there is none. */
	undone: () => Branch | null;
	/** The simulated time, in milliseconds since boot. */
	now: () => number;
	/** The supervisor's state, as tests compare it. */
	state: () => string;
	phases: () => Record<number, string>;
	/** The whole state on one line. */
	describe: () => string;
	/** The state of the upgrade statechart. */
	upgrade: () => string;
	supervisorState: () => SupervisorState | null;
	/** Children of a killed supervisor: only the parent of a process receives its exit status. */
	nonChildren: ReadonlySet<number>;
}

/** Simulates a supervisor from its start. @param at the time of the start, in milliseconds since 1970 */
export function branchFromNothing(plan: Plan, at: number): Branch {
	const branch = newBranch({ after: null, from: null, seq: 0, at, boot: at - uptime, known: [] });
	branch.tell({ type: 'supervisor.started', pid: 1, plan }, 0);
	return branch;
}

/** Simulates what follows an entry. The simulation begins after the last decision of the step of this entry. */
export function branchFrom(timeline: Timeline, index: number): Branch {
	const end = timeline.endOfStep(index);
	const first = beginningBefore(timeline, end);
	const { fact, isLife } = timeline.entries[first] as Entry;
	const supervisorState = isLife ? null : timeline.stateAt(first);
	const branch = newBranch({
		after: timeline.entries[end]?.fact.seq ?? null,
		from: supervisorState,
		seq: fact.seq - (isLife ? 1 : 0),
		at: fact.at,
		boot: fact.at - timeline.sinceBoot(first, fact.at),
		known: nonChildrenAt(timeline, end),
	});
	branch.tell(
		isLife
			? beginningOf(fact)
			: { type: 'supervisor.recovered', pid: 1, by: 'upgrade', state: supervisorState as SupervisorState },
		0,
	);
	// Repeat the external events since then.
	let before = fact.at;
	for (const { fact, kind } of timeline.entries.slice(first + 1, end + 1)) {
		if (kind !== 'external') continue;
		branch.tell(externalEventOf(fact as Fact), fact.at - before);
		before = fact.at;
	}
	return branch;
}

/**
 * The index of the last entry, up to `index`, after which the supervisor's state is complete: every request is
 * answered, every child has a process, and no upgrade is in progress. If there is no such entry, the first one of that
 * supervisor.
 */
export function beginningBefore(timeline: Timeline, index: number): number {
	/** The number of the earliest external event that caused one of the entries after `at`. */
	let earliest = Number.POSITIVE_INFINITY;
	for (let at = index; at > 0; at -= 1) {
		earliest = Math.min(earliest, timeline.entries[at + 1]?.upon ?? earliest);
		const { fact, isLife } = timeline.entries[at] as Entry;
		if (isLife) return at;
		// An external event can be recorded in the middle of a step.
		if (timeline.endOfStep(at) !== at || earliest <= fact.seq) continue;
		const supervisorState = timeline.stateAt(at);
		if (!supervisorState || supervisorState.unanswered !== null || stateOf(supervisorState) === 'stopped') continue;
		// The supervisor's state does not record an upgrade in progress.
		if ((timeline.standingsAt(at).get('upgrade')?.state ?? 'idle') !== 'idle') continue;
		if (supervisorState.children.every(({ pid }) => pid !== null)) return at;
	}
	return 0;
}

function beginningOf(fact: Entry['fact']): ExternalEvent {
	if (fact.type !== 'checkpoint') return externalEventOf(fact);
	return { type: 'supervisor.recovered', pid: 1, by: 'upgrade', state: fact.state };
}

/** The children that the supervisor took over from a killed supervisor. */
function nonChildrenAt({ entries }: Timeline, index: number): number[] {
	const life = entries.slice(0, index + 1).findLast(({ fact }) => isTakenOver(fact))?.fact;
	return life && 'state' in life ? life.state.children.map(({ child }) => child) : [];
}

function isTakenOver(fact: Entry['fact'] | ExternalEvent): boolean {
	return fact.type === 'supervisor.started' || (fact.type === 'supervisor.recovered' && fact.by === 'start');
}

/** More events than this in a row, without a step of the reader, are a loop: a restart without a wait. */
const mostInARow = 200;

/** The simulated time since boot when a supervisor starts from nothing, in milliseconds. */
const uptime = 1_000_000;

interface Begin extends Pick<Branch, 'after' | 'from'> {
	/** The number of the last fact before the simulation. */
	seq: number;
	/** When the simulation begins, and the time of the boot; in milliseconds since 1970. */
	at: number;
	boot: number;
	/** Children of a killed supervisor. */
	known: number[];
}

function newBranch(begin: Begin): Branch {
	const { after, from, seq, at, boot, known } = begin;
	const timeline = newTimeline();
	const replay = newReplayer();
	const told: Branch['told'] = [];
	const steps: Branch['steps'] = [];
	const nonChildren = new Set(known);
	const mute = new Set<number>();
	let time = at - boot;
	// The simulator records an event before the statecharts process it, so the entries are in the order of a journal.
	const world = simulator({ seq, at, boot, told: (fact) => timeline.append(replay(fact)) });
	const { supervisor, supervisorState } = world;
	const upgrade = () => upgradeStateOf(supervisor());

	function tell(external: ExternalEvent, millis: number) {
		told.push({ external, after: millis });
		time += millis;
		world.wait(millis);
		world.tell(external);
		if (external.type !== 'supervisor.recovered' || external.by !== 'start') return;
		for (const { child } of external.state.children) nonChildren.add(child);
	}

	function due(): DueEvent[] {
		const state = supervisorState();
		if (state === null || supervisor().getSnapshot().status !== 'active') return [];
		return dueEvents(state, { now: time, upgrade: upgrade(), nonChildren, mute });
	}

	/** Tells what is due until a time, or until `isLast` says so. */
	function runDue(until: number, isLast: (event: DueEvent) => boolean = () => false) {
		for (let count = 0; count < mostInARow; count += 1) {
			const [next] = due();
			if (!next || next.at > until) return;
			tell(next.external, next.at - time);
			if (isLast(next)) return;
		}
	}

	return {
		timeline,
		after,
		from,
		told,
		steps,
		tell,
		act(choose, millis) {
			steps.push({ before: told.length, silenced: null });
			const end = time + millis;
			runDue(end);
			const state = supervisorState();
			const external = state && supervisor().getSnapshot().status === 'active' ? choose(state) : null;
			if (external) tell(external, end - time);
			runDue(time + soonest);
		},
		due,
		runNextTimer() {
			steps.push({ before: told.length, silenced: null });
			runDue(Number.POSITIVE_INFINITY, ({ isTimer }) => isTimer);
			runDue(time + soonest);
		},
		settle: () => runDue(time + soonest),
		silence(child) {
			steps.push({ before: told.length, silenced: child });
			mute.add(child);
		},
		undone() {
			const last = steps.at(-1);
			if (!last) return null;
			const kept = steps.slice(0, -1);
			const before = newBranch(begin);
			for (const { external, after: millis } of told.slice(0, last.before)) before.tell(external, millis);
			for (const { silenced } of kept) if (silenced !== null) before.silence(silenced);
			before.steps.splice(0, before.steps.length, ...kept);
			return before;
		},
		now: () => time,
		state: () => leafOf(supervisor().getSnapshot().value),
		phases: () => phasesOf(supervisor()),
		describe: () => describeState(supervisor()),
		upgrade,
		supervisorState,
		nonChildren,
	};
}

/** What programs do by themselves within this time follows each step at once, in milliseconds. */
const soonest = 50;
