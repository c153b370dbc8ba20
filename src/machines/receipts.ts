/** Receipts: what became of each rotation. A fold over facts that decides nothing. */
import type { Asker, Fact, FactOf, Word } from './facts.ts';
import { isLeaving, type Roster } from './roster.ts';

export type Verdict = 'pending' | 'serving' | 'givenUp' | 'stopped';

export interface Receipt {
	generation: number;
	/** `serving` came up, whatever became of it later; `stopped`: a stop came first. */
	verdict: Verdict;
	asked: Asker;
	/** Milliseconds since 1970, null while unknown. */
	askedAt: number | null;
	spawnedAt: number | null;
	verdictAt: number | null;
	/** Its children, in the order of their births. */
	pids: number[];
	/** How it was known to be up; null when it never was. Of several children, the weakest word. */
	ready: Word | null;
	/** It could not be seen whether its children hold their sockets. */
	unproven: boolean;
	/** The generations that were told to leave for it. */
	replaced: number[];
	/** A sentence; null unless `givenUp`. */
	reason: string | null;
	/** Of its children that ended before the verdict; `signal` in libc's words, as the log has it. */
	exits: { pid: number; code: number | null; signal: string | null }[];
	/** What its children printed last before it was given up; empty otherwise. */
	lastWords: string[];
	/** The generation that was started instead: the supervisor was killed before this one had its processes. */
	continuedAs: number | null;
}

export interface Receipts {
	/** Oldest first: those that are pending, and the last that are not. */
	kept: Receipt[];
	/** When the last rotation was asked for. */
	askedAt: number | null;
}

/** So many with a verdict are kept. */
const mostSettled = 20;

/** Of a receipt: what crash-looping children add to it does not grow with time. Characters are those of all lines. */
const [mostLines, mostCharacters, mostChildren] = [20, 8192, 4096];

export const noReceipts: Receipts = { kept: [], askedAt: null };

/**
 * Adds one fact. What is passed in is left as it was.
 * @param before what all earlier facts amount to
 */
export function evolveReceipts(receipts: Receipts, fact: Fact, before: Roster | null): Receipts {
	switch (fact.type) {
		case 'supervisor.started':
			return noReceipts;
		case 'supervisor.recovered':
			return recovered(receipts, fact);
		case 'signal.HUP':
		case 'rotate.requested':
			return { ...receipts, askedAt: fact.at };
		case 'rotation.queued':
			if (before?.queued) return receipts;
			return withReceipt(receipts, newReceipt((before?.lastGeneration ?? 0) + 1, fact.asked, receipts.askedAt));
		case 'generation.started':
			return started(receipts, fact, before?.candidate ?? null);
		case 'child.spawned':
			return ofChild(receipts, fact, before, ({ pids, spawnedAt }) => ({
				pids: [...pids, fact.pid].slice(-mostChildren),
				spawnedAt: spawnedAt ?? fact.at,
			}));
		case 'child.proved':
			return fact.isSeen ? receipts : ofChild(receipts, fact, before, () => ({ unproven: true }));
		case 'child.exited': {
			const { pid, code, signal } = fact;
			const heard = withWords(receipts, fact, before);
			return ofChild(heard, fact, before, ({ exits }) => ({
				exits: [...exits, { pid, code, signal }].slice(-mostChildren),
			}));
		}
		case 'child.stopped':
		case 'child.unproved':
		case 'timer.elapsed':
			return withWords(receipts, fact, before);
		case 'generation.kept':
			return outlived(
				change(receipts, fact.generation, ({ replaced }) => ({ replaced: [...replaced, ...toldFor(fact, before)] })),
				fact,
			);
		case 'generation.promoted': {
			const settled = settle(receipts, fact, [fact.generation], ({ replaced }) => ({
				verdict: 'serving',
				ready: weakestWord(before, fact.generation),
				replaced: [...replaced, ...toldFor(fact, before)],
			}));
			return outlived(settled, fact);
		}
		case 'generation.givenUp':
			return abandoned(
				settle(receipts, fact, [fact.generation], () => ({ verdict: 'givenUp', reason: fact.reason })),
				fact,
				before,
			);
		case 'generation.exhausted':
			return settle(receipts, fact, [fact.generation], () => ({
				verdict: 'givenUp',
				reason: `${fact.deaths} of its children have died, and none was ever up`,
			}));
		case 'service.lost':
			return settle(receipts, fact, [before?.serving ?? 0], () => ({
				verdict: 'givenUp',
				reason: 'none of its children is left',
			}));
		case 'stop.begun':
			return settle(receipts, fact, pendingIn(receipts), () => ({ verdict: 'stopped' }));
		default:
			return receipts;
	}
}

/** The receipts whose verdict came between two moments. */
export function settledBetween(before: Receipts, after: Receipts): Receipt[] {
	if (before.kept === after.kept) return [];
	const pending = new Set(pendingIn(before));
	return after.kept.filter(
		({ generation, verdict }) => verdict !== 'pending' && (pending.has(generation) || !has(before, generation)),
	);
}

function started(
	receipts: Receipts,
	{ generation, asked, at }: FactOf<'generation.started'>,
	candidate: number | null,
) {
	const known = receipts.kept.find((each) => each.generation === generation && each.verdict === 'pending');
	const askedAt = asked === 'start' ? at : (receipts.askedAt ?? at);
	const next = withReceipt(receipts, known ?? newReceipt(generation, asked, askedAt));
	if (candidate === null) return next;
	// It was being started when the supervisor was killed, and this one is what was asked for.
	const kept = next.kept.map((each) =>
		each.verdict === 'pending' && (each.generation === candidate || each.continuedAs === candidate)
			? { ...each, continuedAs: generation }
			: each,
	);
	return { ...next, kept };
}

/** Another one serves: those before it that never were whole will not be. */
function outlived(receipts: Receipts, fact: FactOf<'generation.promoted' | 'generation.kept'>): Receipts {
	const older = pendingIn(receipts).filter((generation) => generation < fact.generation);
	return settle(receipts, fact, older, () => ({
		verdict: 'givenUp',
		reason: `generation ${fact.generation} took its place before it was whole`,
	}));
}

/** One that never was whole, and of which nobody is left. */
function abandoned(receipts: Receipts, fact: FactOf<'generation.givenUp'>, before: Roster | null): Receipts {
	const { children = [], respawns = [] } = before ?? {};
	const isThere = (generation: number) => [...children, ...respawns].some((each) => each.generation === generation);
	const gone = pendingIn(receipts).filter((each) => each < fact.generation && !isThere(each));
	const settled = settle(receipts, fact, gone, () => ({ verdict: 'givenUp', reason: 'none of its children is left' }));
	if (children.length + respawns.length > 0) return settled;
	// With the last generation the supervisor ends, and what was to follow it will not.
	return settle(settled, fact, pendingIn(settled), () => ({
		verdict: 'givenUp',
		reason: `the supervisor has ended with generation ${fact.generation}`,
	}));
}

/** Of those that it replaced the ones of which somebody was there to be told. */
function toldFor({ replaced }: FactOf<'generation.promoted' | 'generation.kept'>, before: Roster | null): number[] {
	const told = (before?.children ?? []).filter((child) => !isLeaving(child));
	return replaced.filter((each) => told.some(({ generation }) => generation === each));
}

/** What the last supervisor failed on has no other verdict. */
function recovered(before: Receipts, fact: FactOf<'supervisor.recovered'>): Receipts {
	const receipts = withFound(before, fact);
	const { candidate, serving, isWhole, queued, lastGeneration } = fact.roster;
	const isUnderWay = (generation: number | null) =>
		(candidate !== null && generation === candidate) ||
		(!isWhole && generation === serving) ||
		(queued !== null && generation === lastGeneration + 1);
	const lost = receipts.kept.filter(
		({ verdict, generation, continuedAs }) =>
			verdict === 'pending' && !isUnderWay(generation) && !isUnderWay(continuedAs),
	);
	if (lost.length === 0) return receipts;
	return settle(
		receipts,
		fact,
		lost.map(({ generation }) => generation),
		() => ({ verdict: 'givenUp', reason: 'the supervisor failed while it was being started' }),
	);
}

/** Children whose birth was not recorded before the last supervisor died. */
function withFound(receipts: Receipts, { at, roster }: FactOf<'supervisor.recovered'>): Receipts {
	return roster.children.reduce((found, { generation, pid }) => {
		const own = found.kept.find((each) => each.generation === generation);
		if (pid === null || own?.pids.includes(pid)) return found;
		return change(found, generation, ({ pids, spawnedAt }) => ({ pids: [...pids, pid], spawnedAt: spawnedAt ?? at }));
	}, receipts);
}

/** Gives those generations that have none a verdict, and those that they were started instead of. */
function settle(
	receipts: Receipts,
	{ at }: Fact,
	generations: number[],
	verdictOf: (receipt: Receipt) => Partial<Receipt> & { verdict: Verdict },
): Receipts {
	let isChanged = false;
	const kept = receipts.kept.map((each) => {
		const own = each.continuedAs ?? each.generation;
		if (each.verdict !== 'pending' || !generations.includes(own)) return each;
		isChanged = true;
		const { generation, askedAt, asked, continuedAs } = each;
		const told = receipts.kept.find((other) => other.generation === own) ?? each;
		const settled = { ...told, verdictAt: at, ...verdictOf(told), generation, asked, askedAt, continuedAs };
		return settled.verdict === 'givenUp' ? settled : { ...settled, lastWords: [] };
	});
	return isChanged ? { ...receipts, kept: pruned(kept) } : receipts;
}

/** Those whose verdicts are the oldest go. */
function pruned(kept: Receipt[]): Receipt[] {
	const settled = kept.filter(({ verdict }) => verdict !== 'pending');
	if (settled.length <= mostSettled) return kept;
	const byVerdict = [...settled].sort((a, b) => (a.verdictAt ?? 0) - (b.verdictAt ?? 0));
	const surplus = new Set(byVerdict.slice(0, settled.length - mostSettled));
	return kept.filter((each) => !surplus.has(each));
}

/** One of the same number takes its place. */
function withReceipt(receipts: Receipts, receipt: Receipt): Receipts {
	return {
		...receipts,
		kept: [...receipts.kept.filter(({ generation }) => generation !== receipt.generation), receipt],
	};
}

function newReceipt(generation: number, asked: Asker, askedAt: number | null): Receipt {
	return {
		generation,
		verdict: 'pending',
		asked,
		askedAt,
		spawnedAt: null,
		verdictAt: null,
		pids: [],
		ready: null,
		unproven: false,
		replaced: [],
		reason: null,
		exits: [],
		lastWords: [],
		continuedAs: null,
	};
}

function withWords(receipts: Receipts, fact: Fact & { child: number; lastWords?: string[] }, before: Roster | null) {
	const { lastWords = [] } = fact;
	if (lastWords.length === 0) return receipts;
	return ofChild(receipts, fact, before, (receipt) => ({ lastWords: lastOf([...receipt.lastWords, ...lastWords]) }));
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
	receipts: Receipts,
	{ child }: { child: number },
	before: Roster | null,
	changeOf: (receipt: Receipt) => Partial<Receipt>,
): Receipts {
	const generation = before?.children.find((each) => each.child === child)?.generation;
	return generation === undefined ? receipts : change(receipts, generation, changeOf);
}

/** Changes what has no verdict yet. */
function change(receipts: Receipts, generation: number, changeOf: (receipt: Receipt) => Partial<Receipt>): Receipts {
	const isIts = (each: Receipt) => each.generation === generation && each.verdict === 'pending';
	if (!receipts.kept.some(isIts)) return receipts;
	return { ...receipts, kept: receipts.kept.map((each) => (isIts(each) ? { ...each, ...changeOf(each) } : each)) };
}

function weakestWord(roster: Roster | null, generation: number): Word | null {
	const words = (roster?.children ?? []).flatMap((each) => (each.generation === generation ? (each.ready ?? []) : []));
	return words.includes('wait') ? 'wait' : (words.at(-1) ?? null);
}

function pendingIn({ kept }: Receipts): number[] {
	return kept.flatMap(({ verdict, generation }) => (verdict === 'pending' ? generation : []));
}

function has({ kept }: Receipts, generation: number): boolean {
	return kept.some((each) => each.generation === generation);
}
