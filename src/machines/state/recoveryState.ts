/** What one supervisor leaves to the next, when it was killed or failed in the middle of a step. */

import { isHealthy, respawnWait } from '../rules/respawn.ts';
import { vacated } from '../rules/slots.ts';
import { type ChildState, isLeaving, type SupervisorState, withoutChild, withRespawn } from './supervisorState.ts';

/** What a supervisor that was killed leaves to the next: a child that had no process yet never was. */
export function withoutUnborn(state: SupervisorState): SupervisorState {
	const decided = withLastEnd(state);
	const unborn = decided.children.filter(({ pid }) => pid === null);
	return unborn.reduce(withoutChildThatNeverWas, { ...decided, unanswered: null });
}

/** What follows from the last end of a child, as the statecharts would have decided it: its place is to be filled again. */
export function withLastEnd({ ended, ...left }: SupervisorState): SupervisorState {
	const state: SupervisorState = { ...left, ended: null };
	if (ended === null) return state;
	const { generation, index, endedBy: seq, endedAt: at, endedClock: clock } = ended;
	const upAt = ended.phase === 'serving' ? ended.clock : null;
	const isLast = state.children.every((each) => each.generation !== generation);
	if (generation === state.serving && isLast && isHealthy(upAt, clock ?? 0)) state.restarts = 0;
	const isWanted = generation === state.serving || generation === state.candidate;
	if (!isWanted || ended.wasForwarded || state.plan.respawn < 0 || state.stopSignal !== null) return state;
	const { attempt, wasUp } = vacated(ended, { upAt, endedAt: clock ?? 0, seq });
	const millis = respawnWait(state.plan.respawn, attempt, seq);
	return withRespawn(state, { generation, index, attempt, wasUp, millis, at, clock, isDue: false });
}

/** Its place is to be filled, where that is done; a candidate beside one that serves begins again instead. */
export function withoutChildThatNeverWas(
	state: SupervisorState,
	{ child, generation, index, attempt, wasUp, since }: ChildState,
): SupervisorState {
	const rest = withoutChild(state, child);
	const isWanted = generation === state.serving || (generation === state.candidate && state.serving === 0);
	if ((state.plan.respawn < 0 && attempt === 0) || !isWanted) return rest;
	return {
		...rest,
		respawns: [...rest.respawns, { generation, index, attempt, wasUp, millis: 0, at: since, clock: null, isDue: true }],
	};
}

/** Whether each child of the candidate has a process, or had one; where nobody else serves, one is better than none. */
export function isCandidateBorn({ candidate, serving, lastSize, children, respawns }: SupervisorState): boolean {
	if (candidate === null) return true;
	const present = children.filter((child) => !isLeaving(child) && !child.isRejected);
	const born = [...present, ...respawns].filter(({ generation }) => generation === candidate).length;
	return born >= (serving === 0 ? 1 : lastSize);
}

/** No generation serves and older ones drain, and another one has not been scheduled yet. */
export function isServiceLost({
	serving,
	candidate,
	isQuitting,
	restart,
	children,
	respawns,
}: SupervisorState): boolean {
	const isServed = [...children, ...respawns].some(({ generation }) => generation === serving);
	return candidate === null && restart === null && !isQuitting && !isServed && children.length > 0;
}

/**
 * What can go on when the statecharts failed in the middle of a step: what had begun and has no process yet never was,
 * and the request that they had before them is not made again, as it may be what they failed on.
 */
export function withoutUnfinished(state: SupervisorState): SupervisorState {
	const born = withoutUnborn(state);
	return { ...born, candidate: isCandidateBorn(born) ? state.candidate : null };
}
