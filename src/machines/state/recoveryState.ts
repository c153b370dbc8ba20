/** What one supervisor leaves to the next, when it was killed or failed in the middle of a step. */

import { isHealthy, respawnWait } from '../rules/respawn.ts';
import { vacated } from '../rules/slots.ts';
import { isLeaving, type Roster, type RosterChild, withoutChild, withRespawn } from './supervisorState.ts';

/** What a supervisor that was killed leaves to the next: a child that had no process yet never was. */
export function withoutUnborn(roster: Roster): Roster {
	const decided = withLastEnd(roster);
	const unborn = decided.children.filter(({ pid }) => pid === null);
	return unborn.reduce(withoutChildThatNeverWas, { ...decided, unanswered: null });
}

/** What follows from the last end of a child, as the statecharts would have decided it: its place is to be filled again. */
export function withLastEnd({ ended, ...left }: Roster): Roster {
	const roster: Roster = { ...left, ended: null };
	if (ended === null) return roster;
	const { generation, index, endedBy: seq, endedAt: at, endedClock: clock } = ended;
	const upAt = ended.phase === 'serving' ? ended.clock : null;
	const isLast = roster.children.every((each) => each.generation !== generation);
	if (generation === roster.serving && isLast && isHealthy(upAt, clock ?? 0)) roster.restarts = 0;
	const isWanted = generation === roster.serving || generation === roster.candidate;
	if (!isWanted || ended.wasForwarded || roster.plan.respawn < 0 || roster.stopSignal !== null) return roster;
	const { attempt, wasUp } = vacated(ended, { upAt, endedAt: clock ?? 0, seq });
	const millis = respawnWait(roster.plan.respawn, attempt, seq);
	return withRespawn(roster, { generation, index, attempt, wasUp, millis, at, clock, isDue: false });
}

/** Its place is to be filled, where that is done; a candidate beside one that serves begins again instead. */
export function withoutChildThatNeverWas(
	roster: Roster,
	{ child, generation, index, attempt, wasUp, since }: RosterChild,
): Roster {
	const rest = withoutChild(roster, child);
	const isWanted = generation === roster.serving || (generation === roster.candidate && roster.serving === 0);
	if ((roster.plan.respawn < 0 && attempt === 0) || !isWanted) return rest;
	return {
		...rest,
		respawns: [...rest.respawns, { generation, index, attempt, wasUp, millis: 0, at: since, clock: null, isDue: true }],
	};
}

/** Whether each child of the candidate has a process, or had one; where nobody else serves, one is better than none. */
export function isCandidateBorn({ candidate, serving, lastSize, children, respawns }: Roster): boolean {
	if (candidate === null) return true;
	const present = children.filter((child) => !isLeaving(child) && !child.isRejected);
	const born = [...present, ...respawns].filter(({ generation }) => generation === candidate).length;
	return born >= (serving === 0 ? 1 : lastSize);
}

/** No generation serves and older ones drain, and another one has not been scheduled yet. */
export function isServiceLost({ serving, candidate, isQuitting, restart, children, respawns }: Roster): boolean {
	const isServed = [...children, ...respawns].some(({ generation }) => generation === serving);
	return candidate === null && restart === null && !isQuitting && !isServed && children.length > 0;
}

/**
 * What can go on when the statecharts failed in the middle of a step: what had begun and has no process yet never was,
 * and the request that they had before them is not made again, as it may be what they failed on.
 */
export function withoutUnfinished(roster: Roster): Roster {
	const born = withoutUnborn(roster);
	return { ...born, candidate: isCandidateBorn(born) ? roster.candidate : null };
}
