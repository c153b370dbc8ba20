/** Rotations: what became of each rotation. A fold over facts that decides nothing. */
import type { Fact, FactOf, FailureCode, Holder, ReadySource, Trigger } from '../facts/facts.ts';
import { isLeaving, isUnverified, type SupervisorState } from './supervisorState.ts';

export type Result = 'pending' | 'promoted' | 'failed' | 'stopped';

export interface Rotation {
	generation: number;
	/** `serving` came up, whatever became of it later; `stopped`: a stop came first. */
	result: Result;
	trigger: Trigger;
	/** Milliseconds since 1970, null while unknown. */
	requestedAt: number | null;
	spawnedAt: number | null;
	finishedAt: number | null;
	/** Its children, in the order of their births. */
	pids: number[];
	/** How it was known to be up; null when it never was. Of several children, the weakest word. */
	readyBy: ReadySource | null;
	/** Its children were not seen to accept, or that could not be seen. */
	unverified: boolean;
	/** The generations that were told to leave for it. */
	replaced: number[];
	/** Processes of those that have outlived the first ones of their children, and hold listeners still: their fds. */
	survivors: (Holder & { generation: number })[];
	/** A sentence; null unless `failed`. */
	reason: string | null;
	/** The same for scripts, also where it was `stopped`; null where an earlier program has not told. */
	code: FailureCode | null;
	/** The real paths of what was started and of where it was started; null where they are not known. */
	program: string | null;
	directory: string | null;
	/** Of its children that ended before the result; `signal` in libc's words, as the log has it. */
	exits: { pid: number; code: number | null; signal: string | null }[];
	/** What its children printed last before it failed; empty otherwise. */
	lastOutput: string[];
	/** The generation that was started instead: the supervisor was killed before this one had its processes. */
	supersededBy: number | null;
}

export interface Rotations {
	/** Oldest first: those that are pending, and the last that are not. */
	kept: Rotation[];
	/** When the last rotation was asked for. */
	requestedAt: number | null;
}

/** So many with a result are kept. */
const mostSettled = 20;

/** Of a rotation: what crash-looping children add to it does not grow with time. Characters are those of all lines. */
const [mostLines, mostCharacters, mostChildren] = [20, 8192, 4096];

export const noRotations: Rotations = { kept: [], requestedAt: null };

/**
 * Adds one fact. What is passed in is left as it was.
 * @param before what all earlier facts amount to
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
			const settled = withoutLooked(rotations, fact, before);
			const updated = withSurvivors(withLastOutput(settled, fact, before), fact, before);
			return ofChild(updated, fact, before, ({ exits }) => ({
				exits: [...exits, { pid, code, signal }].slice(-mostChildren),
			}));
		}
		case 'child.spawnFailed':
		case 'child.signalled':
			return withoutLooked(rotations, fact, before);
		case 'group.gone':
			return withoutSurvivors(rotations, fact, before);
		case 'child.stopped':
		case 'child.unverified':
		case 'timer.elapsed':
			return withLastOutput(rotations, fact, before);
		case 'generation.degraded':
			return outlived(
				change(rotations, fact.generation, ({ replaced }) => ({
					replaced: [...replaced, ...toldFor(fact, before)],
					code: fact.code ?? null,
				})),
				fact,
			);
		case 'generation.promoted': {
			const known = rotations.kept.find(({ generation }) => generation === fact.generation);
			// A start is looked at only when it serves, and so is one that was promoted as nobody else served: its result waits for that.
			const isAwaited = known?.trigger !== 'start' && isLookedAt(before, fact.generation);
			const promoted = change(rotations, fact.generation, ({ trigger, replaced }) => ({
				code: null,
				unverified: trigger !== 'start' && isUnverified(before, fact.generation),
				readyBy: weakestSource(before, fact.generation),
				replaced: [...replaced, ...toldFor(fact, before)],
			}));
			return outlived(isAwaited ? promoted : settleServing(promoted, fact, fact.generation), fact);
		}
		case 'child.verified':
		case 'child.unseen':
			return seen(rotations, fact, before);
		case 'generation.failed':
			return abandoned(
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

/** The rotations whose result came between two moments. */
export function finishedBetween(before: Rotations, after: Rotations): Rotation[] {
	if (before.kept === after.kept) return [];
	const pending = new Set(pendingIn(before));
	return after.kept.filter(
		({ generation, result }) => result !== 'pending' && (pending.has(generation) || !has(before, generation)),
	);
}

/** Whether one that serves is looked at still, whether it accepts. */
function isLookedAt(state: SupervisorState | null, generation: number, but: number | null = null): boolean {
	return (
		state?.plan.verify !== 'none' &&
		(state?.children ?? []).some(
			(each) => each.generation === generation && each.child !== but && !isLeaving(each) && each.isSeen === null,
		)
	);
}

/** Of one that was promoted as nobody else served it is known now whether it accepts. */
function seen(
	rotations: Rotations,
	fact: FactOf<'child.verified' | 'child.unseen'>,
	before: SupervisorState | null,
): Rotations {
	const { generation = 0 } = before?.children.find(({ child }) => child === fact.child) ?? {};
	if (before?.serving !== generation || !before.isComplete) return rotations;
	if (fact.type === 'child.unseen')
		return settleServing(rotations, fact, generation, { unverified: true, code: 'not-accepting', reason: fact.reason });
	if (isLookedAt(before, generation, fact.child)) return rotations;
	const others = before.children.filter((each) => each.generation === generation && each.child !== fact.child);
	const isSeen = fact.isSeen && others.every((each) => isLeaving(each) || each.isSeen === true);
	return settleServing(rotations, fact, generation, { unverified: !isSeen });
}

/** One that was looked at still is so no more: with the last of them it is known of the others. */
function withoutLooked(
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
	if (rest.length === 0 || isLookedAt(before, own.generation, fact.child)) return rotations;
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
	// It was being started when the supervisor was killed, and this one is what was asked for.
	const kept = next.kept.map((each) =>
		each.result === 'pending' && (each.generation === candidate || each.supersededBy === candidate)
			? { ...each, supersededBy: generation }
			: each,
	);
	return { ...next, kept };
}

/** Another one serves: those before it that never were whole will not be. */
function outlived(rotations: Rotations, fact: FactOf<'generation.promoted' | 'generation.degraded'>): Rotations {
	const older = pendingIn(rotations).filter((generation) => generation < fact.generation);
	return settle(rotations, fact, older, ({ code }) => ({
		result: 'failed',
		reason: `generation ${fact.generation} took its place before it was complete`,
		code: code ?? 'exited',
	}));
}

/** One that was never complete, and of which nobody is left. */
function abandoned(rotations: Rotations, fact: FactOf<'generation.failed'>, before: SupervisorState | null): Rotations {
	const { children = [], respawns = [] } = before ?? {};
	const isThere = (generation: number) => [...children, ...respawns].some((each) => each.generation === generation);
	const gone = pendingIn(rotations).filter((each) => each < fact.generation && !isThere(each));
	const settled = settle(rotations, fact, gone, ({ code }) => ({
		result: 'failed',
		reason: 'none of its children is left',
		code: code ?? 'exited',
	}));
	if (children.length + respawns.length > 0) return settled;
	// With the last generation the supervisor ends, and what was to follow it will not.
	return settle(settled, fact, pendingIn(settled), () => ({
		result: 'failed',
		reason: `the supervisor has ended with generation ${fact.generation}`,
		code: 'stopped',
	}));
}

/** Of those that it replaced the ones of which somebody was there to be told. */
function toldFor(
	{ replaced }: FactOf<'generation.promoted' | 'generation.degraded'>,
	before: SupervisorState | null,
): number[] {
	const told = (before?.children ?? []).filter((child) => !isLeaving(child));
	return replaced.filter((each) => told.some(({ generation }) => generation === each));
}

/** What the last supervisor failed on has no other result. */
function recovered(before: Rotations, fact: FactOf<'supervisor.recovered'>): Rotations {
	const rotations = withFound(before, fact);
	const { candidate, serving, isComplete, queued, lastGeneration } = fact.state;
	const isUnderWay = (generation: number | null) =>
		(candidate !== null && generation === candidate) ||
		((!isComplete || isLookedAt(fact.state, serving)) && generation === serving) ||
		(queued !== null && generation === lastGeneration + 1);
	const lost = rotations.kept.filter(
		({ result, generation, supersededBy }) =>
			result === 'pending' && !isUnderWay(generation) && !isUnderWay(supersededBy),
	);
	if (lost.length === 0) return rotations;
	return settle(
		rotations,
		fact,
		lost.map(({ generation }) => generation),
		() => ({
			result: 'failed',
			reason: 'the supervisor failed while it was being started',
			code: 'spawn-failed',
		}),
	);
}

/** Children whose birth was not recorded before the last supervisor died. */
function withFound(rotations: Rotations, { at, state }: FactOf<'supervisor.recovered'>): Rotations {
	return state.children.reduce((found, { generation, pid }) => {
		const own = found.kept.find((each) => each.generation === generation);
		if (pid === null || own?.pids.includes(pid)) return found;
		return change(found, generation, ({ pids, spawnedAt }) => ({ pids: [...pids, pid], spawnedAt: spawnedAt ?? at }));
	}, rotations);
}

/** Gives those generations that have none a result, and those that they were started instead of. */
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
		const told = rotations.kept.find((other) => other.generation === own) ?? each;
		const settled = { ...told, finishedAt: at, ...resultOf(told), generation, trigger, requestedAt, supersededBy };
		return settled.result === 'failed' ? settled : { ...settled, lastOutput: [] };
	});
	return isChanged ? { ...rotations, kept: pruned(kept) } : rotations;
}

/** Those whose results are the oldest go. */
function pruned(kept: Rotation[]): Rotation[] {
	const settled = kept.filter(({ result }) => result !== 'pending');
	if (settled.length <= mostSettled) return kept;
	const byFinish = [...settled].sort((a, b) => (a.finishedAt ?? 0) - (b.finishedAt ?? 0));
	const surplus = new Set(byFinish.slice(0, settled.length - mostSettled));
	return kept.filter((each) => !surplus.has(each));
}

/** One of the same number takes its place. */
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

/** Of a generation that was replaced: known to the rotation that replaced it. */
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

/** They come and go after the result. */
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

/** The last lines, as far as they are not too much. */
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

/** Changes what has no result yet. */
function change(
	rotations: Rotations,
	generation: number,
	changeOf: (rotation: Rotation) => Partial<Rotation>,
): Rotations {
	const isIts = (each: Rotation) => each.generation === generation && each.result === 'pending';
	if (!rotations.kept.some(isIts)) return rotations;
	return { ...rotations, kept: rotations.kept.map((each) => (isIts(each) ? { ...each, ...changeOf(each) } : each)) };
}

function weakestSource(state: SupervisorState | null, generation: number): ReadySource | null {
	const words = (state?.children ?? []).flatMap((each) => (each.generation === generation ? (each.readyBy ?? []) : []));
	if (words.includes('wait')) return 'wait';
	return words.includes('accept') ? 'accept' : (words.at(-1) ?? null);
}

function pendingIn({ kept }: Rotations): number[] {
	return kept.flatMap(({ result, generation }) => (result === 'pending' ? generation : []));
}

function has({ kept }: Rotations, generation: number): boolean {
	return kept.some((each) => each.generation === generation);
}
