/** Each rotation and its result: a pure fold over the facts. */
import type { Fact, FactOf } from '../facts/facts.ts';
import {
	weakestSource,
	withExit,
	withFound,
	withLastOutput,
	withLines,
	withoutSurvivors,
	withSpawned,
	withSurvivors,
} from './rotationChildren.ts';
import {
	change,
	newRotation,
	noRotations,
	pendingIn,
	type Rotation,
	type Rotations,
	settle,
	withRotation,
} from './rotations.ts';
import { isLeaving, isUnverified, type SupervisorState } from './supervisorState.ts';

/**
 * Adds one fact. The rotations that are passed in stay unchanged.
 * @param before the fold of all earlier facts
 */
export function evolveRotations(rotations: Rotations, fact: Fact, before: SupervisorState | null): Rotations {
	switch (fact.type) {
		case 'supervisor.started':
			return noRotations;
		case 'supervisor.recovered':
			return recovered(rotations, fact);
		case 'signal.HUP':
		case 'rotate.requested':
			return { ...rotations, requestedAt: fact.at };
		case 'rotation.queued':
			if (before?.queued) return rotations;
			return withRotation(
				rotations,
				newRotation((before?.lastGeneration ?? 0) + 1, fact.trigger, rotations.requestedAt),
			);
		case 'generation.started':
			return started(rotations, fact, before?.candidate ?? null);
		case 'child.spawned':
			return withSpawned(rotations, fact, before);
		case 'child.exited': {
			const settled = withoutPendingCheck(rotations, fact, before);
			return withExit(withSurvivors(withLastOutput(settled, fact, before), fact, before), fact, before);
		}
		case 'child.spawnFailed':
		case 'child.signalled':
			return withoutPendingCheck(rotations, fact, before);
		case 'group.gone':
			return withoutSurvivors(rotations, fact, before);
		case 'check.tried':
			return withRecheckFailed(
				change(rotations, fact.generation, () => ({ check: fact.problem })),
				fact,
				before,
			);
		case 'check.passed':
			return change(rotations, fact.generation, () => ({ check: String(fact.status) }));
		case 'check.failed': {
			const { generation, problem, lastOutput = [] } = fact;
			return change(rotations, generation, (rotation) => ({ check: problem, ...withLines(rotation, lastOutput) }));
		}
		case 'child.stopped':
		case 'child.unverified':
		case 'timer.elapsed':
			return withLastOutput(rotations, fact, before);
		case 'generation.degraded': {
			const next = change(rotations, fact.generation, ({ replaced }) => ({
				replaced: [...replaced, ...drainedFor(fact, before)],
				code: fact.code ?? null,
			}));
			return withOlderFailed(withCheckFailed(next, fact), fact);
		}
		case 'generation.promoted':
			return promoted(rotations, fact, before);
		case 'child.verified':
		case 'child.unseen':
			return checked(rotations, fact, before);
		case 'generation.failed':
			return withGoneFailed(
				settle(rotations, fact, [fact.generation], () => ({
					result: 'failed',
					reason: fact.reason,
					code: fact.code ?? null,
				})),
				fact,
				before,
			);
		case 'generation.exhausted':
			return settle(rotations, fact, [fact.generation], () => ({
				result: 'failed',
				reason: `${fact.deaths} of its children have died, and none was ever up`,
				code: 'exited',
			}));
		case 'service.lost':
			return settle(rotations, fact, [before?.serving ?? 0], ({ code }) => ({
				result: 'failed',
				reason: 'none of its children is left',
				code: code ?? 'exited',
			}));
		case 'stop.begun':
			return settle(rotations, fact, pendingIn(rotations), () => ({ result: 'stopped', code: 'stopped' }));
		default:
			return rotations;
	}
}

function promoted(
	rotations: Rotations,
	fact: FactOf<'generation.promoted'>,
	before: SupervisorState | null,
): Rotations {
	const known = rotations.kept.find(({ generation }) => generation === fact.generation);
	// If no other generation serves, a generation is promoted as soon as it is ready, and its listener check runs
	// while it serves. The result of a rotation waits for that check; the result of a start does not.
	const isAwaited = known?.trigger !== 'start' && isCheckPending(before, fact.generation);
	const next = change(rotations, fact.generation, ({ trigger, replaced }) => ({
		code: null,
		unverified: trigger !== 'start' && isUnverified(before, fact.generation),
		readyBy: weakestSource(before, fact.generation),
		replaced: [...replaced, ...drainedFor(fact, before)],
	}));
	return withOlderFailed(isAwaited ? next : settleServing(next, fact, fact.generation), fact);
}

/** Whether the listener check of a child of this generation is pending. @param but a child that is not counted */
function isCheckPending(state: SupervisorState | null, generation: number, but: number | null = null): boolean {
	return (
		state?.plan.verify !== 'none' &&
		(state?.children ?? []).some(
			(each) => each.generation === generation && each.child !== but && !isLeaving(each) && each.isSeen === null,
		)
	);
}

/** Applies the listener check of a generation that was promoted while no other generation served. */
function checked(
	rotations: Rotations,
	fact: FactOf<'child.verified' | 'child.unseen'>,
	before: SupervisorState | null,
): Rotations {
	const { generation = 0 } = before?.children.find(({ child }) => child === fact.child) ?? {};
	if (before?.serving !== generation || !before.isComplete) return rotations;
	if (fact.type === 'child.unseen')
		return settleServing(rotations, fact, generation, { unverified: true, code: 'not-accepting', reason: fact.reason });
	if (isCheckPending(before, generation, fact.child)) return rotations;
	const others = before.children.filter((each) => each.generation === generation && each.child !== fact.child);
	const isSeen = fact.isSeen && others.every((each) => isLeaving(each) || each.isSeen === true);
	return settleServing(rotations, fact, generation, { unverified: !isSeen });
}

/**
 * Applies the end or the stop of a serving child whose listener check was pending. If no other check of the generation
 * is pending, the remaining children determine the result.
 */
function withoutPendingCheck(
	rotations: Rotations,
	fact: FactOf<'child.exited' | 'child.spawnFailed' | 'child.signalled'>,
	before: SupervisorState | null,
): Rotations {
	if (!before?.isComplete || (fact.type === 'child.signalled' && fact.reason === 'forward')) return rotations;
	const own = before.children.find(({ child }) => child === fact.child);
	if (own?.generation !== before.serving || own.isSeen !== null) return rotations;
	const rest = before.children.filter(
		(each) => each.generation === own.generation && each.child !== fact.child && !isLeaving(each),
	);
	if (rest.length === 0 && fact.type !== 'child.signalled')
		return settle(rotations, fact, [own.generation], () => ({
			result: 'failed',
			reason: 'none of its children is left',
			code: 'exited',
		}));
	if (rest.length === 0 || isCheckPending(before, own.generation, fact.child)) return rotations;
	return settleServing(rotations, fact, own.generation, { unverified: rest.some(({ isSeen }) => isSeen !== true) });
}

function settleServing(rotations: Rotations, fact: Fact, generation: number, more: Partial<Rotation> = {}): Rotations {
	return settle(rotations, fact, [generation], () => ({ ...more, result: 'promoted' }));
}

function started(
	rotations: Rotations,
	{ generation, trigger, at }: FactOf<'generation.started'>,
	candidate: number | null,
) {
	const known = rotations.kept.find((each) => each.generation === generation && each.result === 'pending');
	const requestedAt = trigger === 'start' ? at : (rotations.requestedAt ?? at);
	const next = withRotation(rotations, known ?? newRotation(generation, trigger, requestedAt));
	if (candidate === null) return next;
	// The candidate was starting when the supervisor was killed; this generation fulfils the same request.
	const kept = next.kept.map((each) =>
		each.result === 'pending' && (each.generation === candidate || each.supersededBy === candidate)
			? { ...each, supersededBy: generation }
			: each,
	);
	return { ...next, kept };
}

/** A generation that is kept although its health check has failed has its result: nobody knows whether it will pass. */
function withCheckFailed(rotations: Rotations, fact: FactOf<'generation.degraded'>): Rotations {
	if (fact.code !== 'check-failed') return rotations;
	return settle(rotations, fact, [fact.generation], () => ({
		result: 'failed',
		reason: fact.reason,
		code: 'check-failed',
	}));
}

/** A generation that was kept as degraded for another reason has become complete, and fails its health check. */
function withRecheckFailed(
	rotations: Rotations,
	fact: FactOf<'check.tried'>,
	before: SupervisorState | null,
): Rotations {
	if (!before || before.serving !== fact.generation || before.candidate === fact.generation) return rotations;
	return settle(rotations, fact, [fact.generation], () => ({
		result: 'failed',
		reason: `it did not answer -check=${before.plan.check} with 2xx: ${fact.problem}`,
		code: 'check-failed',
	}));
}

/** A newer generation serves: older rotations without a result fail, as their generations can't become complete. */
function withOlderFailed(rotations: Rotations, fact: FactOf<'generation.promoted' | 'generation.degraded'>): Rotations {
	const older = pendingIn(rotations).filter((generation) => generation < fact.generation);
	return settle(rotations, fact, older, ({ code }) => ({
		result: 'failed',
		reason: `generation ${fact.generation} took its place before it was complete`,
		code: code ?? 'exited',
	}));
}

/**
 * After a generation failed, older pending rotations whose generations have no child and no pending respawn fail too.
 * If that was the last generation, all pending rotations fail.
 */
function withGoneFailed(
	rotations: Rotations,
	fact: FactOf<'generation.failed'>,
	before: SupervisorState | null,
): Rotations {
	const { children = [], respawns = [] } = before ?? {};
	const isThere = (generation: number) => [...children, ...respawns].some((each) => each.generation === generation);
	const gone = pendingIn(rotations).filter((each) => each < fact.generation && !isThere(each));
	const settled = settle(rotations, fact, gone, ({ code }) => ({
		result: 'failed',
		reason: 'none of its children is left',
		code: code ?? 'exited',
	}));
	if (children.length + respawns.length > 0) return settled;
	// The supervisor exits with the last generation: a queued rotation does not start.
	return settle(settled, fact, pendingIn(settled), () => ({
		result: 'failed',
		reason: `the supervisor has ended with generation ${fact.generation}`,
		code: 'stopped',
	}));
}

/** The replaced generations that have a child to stop. */
function drainedFor(
	{ replaced }: FactOf<'generation.promoted' | 'generation.degraded'>,
	before: SupervisorState | null,
): number[] {
	const stoppable = (before?.children ?? []).filter((child) => !isLeaving(child));
	return replaced.filter((each) => stoppable.some(({ generation }) => generation === each));
}

/** After a recovery, pending rotations that the recovered state does not continue fail. */
function recovered(before: Rotations, fact: FactOf<'supervisor.recovered'>): Rotations {
	const rotations = withFound(before, fact);
	const { candidate, serving, isComplete, queued, lastGeneration } = fact.state;
	const isUnderWay = (generation: number | null) =>
		(candidate !== null && generation === candidate) ||
		((!isComplete || isCheckPending(fact.state, serving)) && generation === serving) ||
		(queued !== null && generation === lastGeneration + 1);
	const discontinued = rotations.kept.filter(
		({ result, generation, supersededBy }) =>
			result === 'pending' && !isUnderWay(generation) && !isUnderWay(supersededBy),
	);
	if (discontinued.length === 0) return rotations;
	return settle(
		rotations,
		fact,
		discontinued.map(({ generation }) => generation),
		() => ({
			result: 'failed',
			reason: 'the supervisor failed while it was being started',
			code: 'spawn-failed',
		}),
	);
}
