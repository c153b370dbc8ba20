/** What would happen: a supervisor that is imagined from a moment on, or from nothing. */

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
	/** The number of the fact that it begins after; null for nothing. */
	after: number | null;
	/** What all facts before amount to, where it goes on from there. */
	from: SupervisorState | null;
	/** Every happening that was told, with the time that passes before. */
	told: { external: ExternalEvent; after: number }[];
	tell: (external: ExternalEvent, after: number) => void;
	/** Where the charts stand, as a test asks for it. */
	state: () => string;
	phases: () => Record<number, string>;
	/** The same in one line. */
	describe: () => string;
	/** The state of the supervisor's own replacement. */
	upgrade: () => string;
	supervisorState: () => SupervisorState | null;
	/** Children of a supervisor that was killed: nobody learns how they end. */
	nonChildren: ReadonlySet<number>;
}

/** Imagines a supervisor from its start on. */
export function branchFromNothing(plan: Plan, at: number): Branch {
	const branch = newBranch(null, null, 0, at, []);
	branch.tell({ type: 'supervisor.started', pid: 1, plan }, 0);
	return branch;
}

/** Imagines what follows a moment of a story, after all that was decided upon what happened there. */
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
	// What happened since then happens again.
	let before = fact.at;
	for (const { fact, kind } of timeline.entries.slice(first + 1, end + 1)) {
		if (kind !== 'external') continue;
		branch.tell(externalEventOf(fact as Fact), fact.at - before);
		before = fact.at;
	}
	return branch;
}

/**
 * The last moment up to which everything was answered and every child had a process, as a supervisorState tells all of it; or the
 * beginning of that life.
 */
export function beginningBefore(timeline: Timeline, index: number): number {
	/** Of all that follows: the happening upon which the earliest of it was decided. */
	let earliest = Number.POSITIVE_INFINITY;
	for (let at = index; at > 0; at -= 1) {
		earliest = Math.min(earliest, timeline.entries[at + 1]?.upon ?? earliest);
		const { fact, isLife } = timeline.entries[at] as Entry;
		if (isLife) return at;
		// Happenings may come in the middle of a step.
		if (timeline.endOfStep(at) !== at || earliest <= fact.seq) continue;
		const supervisorState = timeline.stateAt(at);
		if (!supervisorState || supervisorState.unanswered !== null || stateOf(supervisorState) === 'stopped') continue;
		// A supervisorState knows nothing of an upgrade that is under way.
		if ((timeline.standingsAt(at).get('upgrade')?.state ?? 'idle') !== 'idle') continue;
		if (supervisorState.children.every(({ pid }) => pid !== null)) return at;
	}
	return 0;
}

function beginningOf(fact: Entry['fact']): ExternalEvent {
	if (fact.type !== 'checkpoint') return externalEventOf(fact);
	return { type: 'supervisor.recovered', pid: 1, by: 'upgrade', state: fact.state };
}

/** Whom the supervisor before has left to this one when it was killed. */
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
	// The charts are told of a happening only when it is a fact: what they decide is noted in its order.
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
