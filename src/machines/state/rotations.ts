/** Each rotation and its result: a pure fold over the facts. */
import type { Fact, FactOf, FailureCode, Holder, ReadySource, Trigger } from '../facts/facts.ts';
import { isLeaving, isUnverified, type SupervisorState } from './supervisorState.ts';

export type Result = 'pending' | 'promoted' | 'failed' | 'stopped';

export interface Rotation {
	generation: number;
	/** `promoted`: all its children were up, whatever happened later. `stopped`: a stop came before another result. */
	result: Result;
	trigger: Trigger;
	/** These three are in milliseconds since 1970; null while unknown. */
	requestedAt: number | null;
	spawnedAt: number | null;
	finishedAt: number | null;
	/** Its children, in the order of their spawns. */
	pids: number[];
	/** What made its children ready; null if the generation was never up. Of several children, the weakest source. */
	readyBy: ReadySource | null;
	/** The listener check did not see its children accept, or was impossible. */
	unverified: boolean;
	/** The generations that were stopped for it. */
	replaced: number[];
	/** Surviving processes of the replaced generations that still hold, or may hold, listeners. */
	survivors: (Holder & { generation: number })[];
	/** A sentence. Set if the result is `failed`, or if a promoted generation was not seen to accept; else null. */
	reason: string | null;
	/**
	 * The reason as a code, also set for `stopped` and for a generation that is degraded. Null without a reason, or if an
	 * earlier program version did not record the code.
	 */
	code: FailureCode | null;
	/** The real paths of the program and of its working directory; null if they are unknown. */
	program: string | null;
	directory: string | null;
	/** The exits of its children before the result. `signal` is the text of strsignal(3), as in the log. */
	exits: { pid: number; code: number | null; signal: string | null }[];
	/** The output tail of its children before it failed; empty for any other result. */
	lastOutput: string[];
	/**
	 * The generation that was started instead, as the supervisor was killed before this one had its processes; else null.
	 */
	supersededBy: number | null;
}

export interface Rotations {
	/** Oldest first: all pending rotations, and the last `mostSettled` with a result. */
	kept: Rotation[];
	/** When the last rotation was requested, in milliseconds since 1970. */
	requestedAt: number | null;
}

/** The number of rotations with a result that are kept. */
const mostSettled = 20;

/**
 * Limits per rotation, so that crash-looping children can't grow it forever. The characters are those of all lines
 * together.
 */
const [mostLines, mostCharacters, mostChildren] = [20, 8192, 4096];

export const noRotations: Rotations = { kept: [], requestedAt: null };

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
			return ofChild(rotations, fact, before, ({ pids, spawnedAt }) => ({
				pids: [...pids, fact.pid].slice(-mostChildren),
				spawnedAt: spawnedAt ?? fact.at,
				...(spawnedAt === null ? { program: fact.program ?? null, directory: fact.directory ?? null } : {}),
			}));
		case 'child.exited': {
			const { pid, code, signal } = fact;
			const settled = withoutPendingCheck(rotations, fact, before);
			const updated = withSurvivors(withLastOutput(settled, fact, before), fact, before);
			return ofChild(updated, fact, before, ({ exits }) => ({
				exits: [...exits, { pid, code, signal }].slice(-mostChildren),
			}));
		}
		case 'child.spawnFailed':
		case 'child.signalled':
			return withoutPendingCheck(rotations, fact, before);
		case 'group.gone':
			return withoutSurvivors(rotations, fact, before);
		case 'child.stopped':
		case 'child.unverified':
		case 'timer.elapsed':
			return withLastOutput(rotations, fact, before);
		case 'generation.degraded':
			return withOlderFailed(
				change(rotations, fact.generation, ({ replaced }) => ({
					replaced: [...replaced, ...drainedFor(fact, before)],
					code: fact.code ?? null,
				})),
				fact,
			);
		case 'generation.promoted': {
			const known = rotations.kept.find(({ generation }) => generation === fact.generation);
			// If no other generation serves, a generation is promoted as soon as it is ready, and its listener check runs
			// while it serves. The result of a rotation waits for that check; the result of a start does not.
			const isAwaited = known?.trigger !== 'start' && isCheckPending(before, fact.generation);
			const promoted = change(rotations, fact.generation, ({ trigger, replaced }) => ({
				code: null,
				unverified: trigger !== 'start' && isUnverified(before, fact.generation),
				readyBy: weakestSource(before, fact.generation),
				replaced: [...replaced, ...drainedFor(fact, before)],
			}));
			return withOlderFailed(isAwaited ? promoted : settleServing(promoted, fact, fact.generation), fact);
		}
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

/** The rotations that received their result between `before` and `after`. */
export function finishedBetween(before: Rotations, after: Rotations): Rotation[] {
	if (before.kept === after.kept) return [];
	const pending = new Set(pendingIn(before));
	return after.kept.filter(
		({ generation, result }) => result !== 'pending' && (pending.has(generation) || !has(before, generation)),
	);
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

/**
 * Adds children that the recovery found, whose `child.spawned` an earlier supervisor did not record before it exited.
 */
function withFound(rotations: Rotations, { at, state }: FactOf<'supervisor.recovered'>): Rotations {
	return state.children.reduce((found, { generation, pid }) => {
		const own = found.kept.find((each) => each.generation === generation);
		if (pid === null || own?.pids.includes(pid)) return found;
		return change(found, generation, ({ pids, spawnedAt }) => ({ pids: [...pids, pid], spawnedAt: spawnedAt ?? at }));
	}, rotations);
}

/** Sets the result of pending rotations: those of `generations`, and those that one of `generations` superseded. */
function settle(
	rotations: Rotations,
	{ at }: Fact,
	generations: number[],
	resultOf: (rotation: Rotation) => Partial<Rotation> & { result: Result },
): Rotations {
	let isChanged = false;
	const kept = rotations.kept.map((each) => {
		const own = each.supersededBy ?? each.generation;
		if (each.result !== 'pending' || !generations.includes(own)) return each;
		isChanged = true;
		const { generation, requestedAt, trigger, supersededBy } = each;
		const base = rotations.kept.find((other) => other.generation === own) ?? each;
		const settled = { ...base, finishedAt: at, ...resultOf(base), generation, trigger, requestedAt, supersededBy };
		return settled.result === 'failed' ? settled : { ...settled, lastOutput: [] };
	});
	return isChanged ? { ...rotations, kept: pruned(kept) } : rotations;
}

/** Drops the rotations with the oldest results beyond `mostSettled`. */
function pruned(kept: Rotation[]): Rotation[] {
	const settled = kept.filter(({ result }) => result !== 'pending');
	if (settled.length <= mostSettled) return kept;
	const byFinish = [...settled].sort((a, b) => (a.finishedAt ?? 0) - (b.finishedAt ?? 0));
	const surplus = new Set(byFinish.slice(0, settled.length - mostSettled));
	return kept.filter((each) => !surplus.has(each));
}

/** Adds a rotation; replaces a rotation of the same generation. */
function withRotation(rotations: Rotations, rotation: Rotation): Rotations {
	return {
		...rotations,
		kept: [...rotations.kept.filter(({ generation }) => generation !== rotation.generation), rotation],
	};
}

function newRotation(generation: number, trigger: Trigger, requestedAt: number | null): Rotation {
	return {
		generation,
		result: 'pending',
		trigger,
		requestedAt,
		spawnedAt: null,
		finishedAt: null,
		pids: [],
		readyBy: null,
		unverified: false,
		replaced: [],
		survivors: [],
		reason: null,
		code: null,
		program: null,
		directory: null,
		exits: [],
		lastOutput: [],
		supersededBy: null,
	};
}

/** Adds the surviving processes of a replaced generation to the rotation that replaced it. */
function withSurvivors(
	rotations: Rotations,
	{ child: id, holders = [] }: FactOf<'child.exited'>,
	before: SupervisorState | null,
) {
	const known = before?.children.find(({ child }) => child === id);
	if (holders.length === 0 || !known || !isLeaving(known)) return rotations;
	const { generation } = known;
	const found = rotations.kept.findLast(({ replaced }) => replaced.includes(generation));
	const added = holders.map((holder) => ({ ...holder, generation }));
	return withSurvivorsOf(rotations, found, (survivors) => [...survivors, ...added].slice(-mostChildren));
}

function withoutSurvivors(
	rotations: Rotations,
	{ child: id }: FactOf<'group.gone'>,
	before: SupervisorState | null,
): Rotations {
	const gone = before?.children.find(({ child }) => child === id)?.survivors ?? [];
	const found = rotations.kept.find(({ survivors }) => survivors.some(({ pid }) => gone.includes(pid)));
	return withSurvivorsOf(rotations, found, (survivors) => survivors.filter(({ pid }) => !gone.includes(pid)));
}

/** Changes the survivors of a rotation, also after its result. */
function withSurvivorsOf(
	rotations: Rotations,
	found: Rotation | undefined,
	changeOf: (survivors: Rotation['survivors']) => Rotation['survivors'],
): Rotations {
	if (!found) return rotations;
	const kept = rotations.kept.map((each) => (each === found ? { ...each, survivors: changeOf(each.survivors) } : each));
	return { ...rotations, kept };
}

function withLastOutput(
	rotations: Rotations,
	fact: Fact & { child: number; lastOutput?: string[] },
	before: SupervisorState | null,
) {
	const { lastOutput = [] } = fact;
	if (lastOutput.length === 0) return rotations;
	return ofChild(rotations, fact, before, (rotation) => ({
		lastOutput: lastOf([...rotation.lastOutput, ...lastOutput]),
	}));
}

/**
 * At most `mostLines` lines from the end, within `mostCharacters` characters together; the last line is always kept.
 */
function lastOf(lines: string[]): string[] {
	let left = mostCharacters;
	const kept = lines.slice(-mostLines).reverse();
	return kept
		.filter(({ length }, index) => {
			left -= length;
			return left >= 0 || index === 0;
		})
		.reverse();
}

function ofChild(
	rotations: Rotations,
	{ child }: { child: number },
	before: SupervisorState | null,
	changeOf: (rotation: Rotation) => Partial<Rotation>,
): Rotations {
	const generation = before?.children.find((each) => each.child === child)?.generation;
	return generation === undefined ? rotations : change(rotations, generation, changeOf);
}

/** Changes the rotation of a generation, if it is pending. */
function change(
	rotations: Rotations,
	generation: number,
	changeOf: (rotation: Rotation) => Partial<Rotation>,
): Rotations {
	const isPending = (each: Rotation) => each.generation === generation && each.result === 'pending';
	if (!rotations.kept.some(isPending)) return rotations;
	return {
		...rotations,
		kept: rotations.kept.map((each) => (isPending(each) ? { ...each, ...changeOf(each) } : each)),
	};
}

function weakestSource(state: SupervisorState | null, generation: number): ReadySource | null {
	const sources = (state?.children ?? []).flatMap((each) =>
		each.generation === generation ? (each.readyBy ?? []) : [],
	);
	if (sources.includes('wait')) return 'wait';
	return sources.includes('accept') ? 'accept' : (sources.at(-1) ?? null);
}

function pendingIn({ kept }: Rotations): number[] {
	return kept.flatMap(({ result, generation }) => (result === 'pending' ? generation : []));
}

function has({ kept }: Rotations, generation: number): boolean {
	return kept.some((each) => each.generation === generation);
}
