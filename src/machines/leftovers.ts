/** What one supervisor leaves to the next, when it was killed or failed in the middle of a step. */
import { type Roster, type RosterChild, withoutChild } from './roster.ts';

/** What a supervisor that was killed leaves to the next: a child that had no process yet never was. */
export function withoutUnborn(roster: Roster): Roster {
	const unborn = roster.children.filter(({ pid }) => pid === null);
	return unborn.reduce(withoutChildThatNeverWas, { ...roster, unanswered: null });
}

/** One that was to take the place of another leaves that to be filled. */
export function withoutChildThatNeverWas(
	roster: Roster,
	{ child, generation, index, attempt, wasUp, since }: RosterChild,
): Roster {
	const rest = withoutChild(roster, child);
	if (attempt === 0 || generation !== roster.serving) return rest;
	return {
		...rest,
		respawns: [...rest.respawns, { generation, index, attempt, wasUp, millis: 0, at: since, clock: null, isDue: true }],
	};
}

/** Whether each child of the candidate has a process, or had one; where nobody else serves, one is better than none. */
export function isCandidateBorn({ candidate, serving, lastSize, children, respawns }: Roster): boolean {
	if (candidate === null) return true;
	const born = [...children, ...respawns].filter(({ generation }) => generation === candidate).length;
	return born >= (serving === 0 ? 1 : lastSize);
}

/**
 * What can go on when the statecharts failed in the middle of a step: what had begun and has no process yet never was,
 * and the request that they had before them is not made again, as it may be what they failed on.
 */
export function withoutUnfinished(roster: Roster): Roster {
	const born = withoutUnborn(roster);
	return { ...born, candidate: isCandidateBorn(born) ? roster.candidate : null };
}
