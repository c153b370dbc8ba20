/**
 * The state with which a supervisor continues after an earlier supervisor was killed, or failed in the middle of a
 * step.
 */

import { isHealthy, isRespawned, respawnWait } from '../rules/respawn.ts';
import { vacated } from '../rules/slots.ts';
import { type ChildState, isLeaving, type SupervisorState, withoutChild, withRespawn } from './supervisorState.ts';

/** The recovery state after a supervisor was killed: a child without a process is removed. */
export function withoutUnborn(state: SupervisorState): SupervisorState {
	const decided = withLastEnd(state);
	const unborn = decided.children.filter(({ pid }) => pid === null);
	return unborn.reduce(withoutChildThatNeverWas, { ...decided, unanswered: null });
}

/**
 * Applies the consequences of the last exit of a child that the statecharts had not decided yet, as they would have
 * decided them: the child's slot is to be filled again.
 */
export function withLastEnd({ ended, ...left }: SupervisorState): SupervisorState {
	const state: SupervisorState = { ...left, ended: null };
	if (ended === null) return state;
	const { generation, index, endedBy: seq, endedAt: at, endedClock: clock } = ended;
	const upAt = ended.phase === 'serving' ? ended.clock : null;
	const isLast = state.children.every((each) => each.generation !== generation);
	if (generation === state.serving && isLast && isHealthy(upAt, clock ?? 0)) state.restarts = 0;
	const isWanted = generation === state.serving || generation === state.candidate;
	// `ended` is a child that was lost, or rejected. Whether its generation is exhausted is decided at the next exit.
	if (!isWanted || !isRespawned(state.plan, { ...ended, wasLost: true }) || state.stopSignal !== null) return state;
	const { attempt, wasUp } = vacated(ended, { upAt, endedAt: clock ?? 0, seq });
	const millis = respawnWait(state.plan.respawn, attempt, seq);
	return withRespawn(state, { generation, index, attempt, wasUp, millis, at, clock, isDue: false });
}

/**
 * Removes a child that has no process. Its slot becomes due if its generation serves, or is a candidate while no
 * generation serves. Without -respawn, this applies only to a slot that was being filled again. A candidate beside a
 * serving generation is started again as a new generation instead.
 */
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

/** Whether each child of the candidate has, or had, a process. While no generation serves, one child is enough. */
export function isCandidateBorn({ candidate, serving, lastSize, children, respawns }: SupervisorState): boolean {
	if (candidate === null) return true;
	const present = children.filter((child) => !isLeaving(child) && !child.isRejected);
	const spawnedCount = [...present, ...respawns].filter(({ generation }) => generation === candidate).length;
	return spawnedCount >= (serving === 0 ? 1 : lastSize);
}

/** Whether no generation serves, older generations drain, and no new generation is scheduled. */
export function isServiceLost({
	serving,
	candidate,
	queued,
	isQuitting,
	restart,
	children,
	respawns,
}: SupervisorState): boolean {
	const isServed = [...children, ...respawns].some(({ generation }) => generation === serving);
	return candidate === null && queued === null && restart === null && !isQuitting && !isServed && children.length > 0;
}

/**
 * The recovery state after the statecharts failed in the middle of a step. Children without a process are removed. The
 * unanswered request is dropped, as it may be what made the statecharts fail.
 */
export function withoutUnfinished(state: SupervisorState): SupervisorState {
	const spawned = withoutUnborn(state);
	return { ...spawned, candidate: isCandidateBorn(spawned) ? state.candidate : null };
}
