/** The rotations that are kept: what is known of each, and how one is added, changed, settled and dropped. */
import type { Fact, FailureCode, Holder, ReadySource, Trigger } from '../facts/facts.ts';

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
	/** The status of the last answer to the health check, or the last error: `503`; null without a health check. */
	check: string | null;
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

export const noRotations: Rotations = { kept: [], requestedAt: null };

/** The rotations that received their result between `before` and `after`. */
export function finishedBetween(before: Rotations, after: Rotations): Rotation[] {
	if (before.kept === after.kept) return [];
	const pending = new Set(pendingIn(before));
	return after.kept.filter(
		({ generation, result }) => result !== 'pending' && (pending.has(generation) || !has(before, generation)),
	);
}

/** Sets the result of pending rotations: those of `generations`, and those that one of `generations` superseded. */
export function settle(
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
export function withRotation(rotations: Rotations, rotation: Rotation): Rotations {
	return {
		...rotations,
		kept: [...rotations.kept.filter(({ generation }) => generation !== rotation.generation), rotation],
	};
}

export function newRotation(generation: number, trigger: Trigger, requestedAt: number | null): Rotation {
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
		check: null,
		program: null,
		directory: null,
		exits: [],
		lastOutput: [],
		supersededBy: null,
	};
}

/** Changes the rotation of a generation, if it is pending. */
export function change(
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

export function pendingIn({ kept }: Rotations): number[] {
	return kept.flatMap(({ result, generation }) => (result === 'pending' ? generation : []));
}

function has({ kept }: Rotations, generation: number): boolean {
	return kept.some((each) => each.generation === generation);
}
