/** A branch: a simulated supervisor that continues from an entry of a timeline, or starts from an empty state. */

import { describeState, leafOf, phasesOf, upgradeStateOf } from '../machines/charts/world.ts';
import type { ExternalEvent, Fact, Plan } from '../machines/facts/facts.ts';
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
	tell: (external: ExternalEvent, after: number) => void;
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
	const branch = newBranch(null, null, 0, at, []);
	branch.tell({ type: 'supervisor.started', pid: 1, plan }, 0);
	return branch;
}

/** Simulates what follows an entry. The simulation begins after the last decision of the step of this entry. */
export function branchFrom(timeline: Timeline, index: number): Branch {
	const end = timeline.endOfStep(index);
	const first = beginningBefore(timeline, end);
	const { fact, isLife } = timeline.entries[first] as Entry;
	const supervisorState = isLife ? null : timeline.stateAt(first);
	const branch = newBranch(
		timeline.entries[end]?.fact.seq ?? null,
		supervisorState,
		fact.seq - (isLife ? 1 : 0),
		fact.at,
		nonChildrenAt(timeline, end),
	);
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

function newBranch(
	after: number | null,
	from: SupervisorState | null,
	seq: number,
	at: number,
	known: number[],
): Branch {
	const timeline = newTimeline();
	const replay = newReplayer();
	const told: Branch['told'] = [];
	const nonChildren = new Set(known);
	// The simulator records an event before the statecharts process it, so the entries are in the order of a journal.
	const world = simulator({ seq, at, told: (fact) => timeline.append(replay(fact)) });
	const { supervisor } = world;
	return {
		timeline,
		after,
		from,
		told,
		tell(external, millis) {
			told.push({ external, after: millis });
			world.wait(millis);
			world.tell(external);
			if (external.type !== 'supervisor.recovered' || external.by !== 'start') return;
			for (const { child } of external.state.children) nonChildren.add(child);
		},
		state: () => leafOf(supervisor().getSnapshot().value),
		phases: () => phasesOf(supervisor()),
		describe: () => describeState(supervisor()),
		upgrade: () => upgradeStateOf(supervisor()),
		supervisorState: world.supervisorState,
		nonChildren,
	};
}
