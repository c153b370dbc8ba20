/** Receipts: what became of each rotation. A fold over facts that decides nothing. */
import type { Asker, Fact, FactOf, FailureCode, Holder, Word } from '../facts/facts.ts';
import { isLeaving, isUnverified, type Roster } from './supervisorState.ts';

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
	/** Its children were not seen to accept, or that could not be seen. */
	unproven: boolean;
	/** The generations that were told to leave for it. */
	replaced: number[];
	/** Processes of those that have outlived the first ones of their children, and hold listeners still: their fds. */
	survivors: (Holder & { generation: number })[];
	/** A sentence; null unless `givenUp`. */
	reason: string | null;
	/** The same for scripts, also where it was `stopped`; null where an earlier program has not told. */
	code: FailureCode | null;
	/** The real paths of what was started and of where it was started; null where they are not known. */
	program: string | null;
	directory: string | null;
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
				...(spawnedAt === null ? { program: fact.program ?? null, directory: fact.directory ?? null } : {}),
			}));
		case 'child.exited': {
			const { pid, code, signal } = fact;
			const settled = withoutLooked(receipts, fact, before);
			const heard = withSurvivors(withWords(settled, fact, before), fact, before);
			return ofChild(heard, fact, before, ({ exits }) => ({
				exits: [...exits, { pid, code, signal }].slice(-mostChildren),
			}));
		}
		case 'child.spawnFailed':
		case 'child.signalled':
			return withoutLooked(receipts, fact, before);
		case 'group.gone':
			return withoutSurvivors(receipts, fact, before);
		case 'child.stopped':
		case 'child.unproved':
		case 'timer.elapsed':
			return withWords(receipts, fact, before);
		case 'generation.kept':
			return outlived(
				change(receipts, fact.generation, ({ replaced }) => ({
					replaced: [...replaced, ...toldFor(fact, before)],
					code: fact.code ?? null,
				})),
				fact,
			);
		case 'generation.promoted': {
			const known = receipts.kept.find(({ generation }) => generation === fact.generation);
			// A start is looked at only when it serves, and so is one that was promoted as nobody else served: its verdict waits for that.
			const isAwaited = known?.asked !== 'start' && isLookedAt(before, fact.generation);
			const promoted = change(receipts, fact.generation, ({ asked, replaced }) => ({
				code: null,
				unproven: asked !== 'start' && isUnverified(before, fact.generation),
				ready: weakestWord(before, fact.generation),
				replaced: [...replaced, ...toldFor(fact, before)],
			}));
			return outlived(isAwaited ? promoted : settleServing(promoted, fact, fact.generation), fact);
		}
		case 'child.proved':
		case 'child.unseen':
			return seen(receipts, fact, before);
		case 'generation.givenUp':
			return abandoned(
				settle(receipts, fact, [fact.generation], () => ({
					verdict: 'givenUp',
					reason: fact.reason,
					code: fact.code ?? null,
				})),
				fact,
				before,
			);
		case 'generation.exhausted':
			return settle(receipts, fact, [fact.generation], () => ({
				verdict: 'givenUp',
				reason: `${fact.deaths} of its children have died, and none was ever up`,
				code: 'exited',
			}));
		case 'service.lost':
			return settle(receipts, fact, [before?.serving ?? 0], ({ code }) => ({
				verdict: 'givenUp',
				reason: 'none of its children is left',
				code: code ?? 'exited',
			}));
		case 'stop.begun':
			return settle(receipts, fact, pendingIn(receipts), () => ({ verdict: 'stopped', code: 'stopped' }));
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

/** Whether one that serves is looked at still, whether it accepts. */
function isLookedAt(roster: Roster | null, generation: number, but: number | null = null): boolean {
	return (
		roster?.plan.verify !== 'none' &&
		(roster?.children ?? []).some(
			(each) => each.generation === generation && each.child !== but && !isLeaving(each) && each.isSeen === null,
		)
	);
}

/** Of one that was promoted as nobody else served it is known now whether it accepts. */
function seen(receipts: Receipts, fact: FactOf<'child.proved' | 'child.unseen'>, before: Roster | null): Receipts {
	const { generation = 0 } = before?.children.find(({ child }) => child === fact.child) ?? {};
	if (before?.serving !== generation || !before.isWhole) return receipts;
	if (fact.type === 'child.unseen')
		return settleServing(receipts, fact, generation, { unproven: true, code: 'not-accepting', reason: fact.reason });
	if (isLookedAt(before, generation, fact.child)) return receipts;
	const others = before.children.filter((each) => each.generation === generation && each.child !== fact.child);
	const isSeen = fact.isSeen && others.every((each) => isLeaving(each) || each.isSeen === true);
	return settleServing(receipts, fact, generation, { unproven: !isSeen });
}

/** One that was looked at still is so no more: with the last of them it is known of the others. */
function withoutLooked(
	receipts: Receipts,
	fact: FactOf<'child.exited' | 'child.spawnFailed' | 'child.signalled'>,
	before: Roster | null,
): Receipts {
	if (!before?.isWhole || (fact.type === 'child.signalled' && fact.reason === 'forward')) return receipts;
	const own = before.children.find(({ child }) => child === fact.child);
	if (own?.generation !== before.serving || own.isSeen !== null) return receipts;
	const rest = before.children.filter(
		(each) => each.generation === own.generation && each.child !== fact.child && !isLeaving(each),
	);
	if (rest.length === 0 && fact.type !== 'child.signalled')
		return settle(receipts, fact, [own.generation], () => ({
			verdict: 'givenUp',
			reason: 'none of its children is left',
			code: 'exited',
		}));
	if (rest.length === 0 || isLookedAt(before, own.generation, fact.child)) return receipts;
	return settleServing(receipts, fact, own.generation, { unproven: rest.some(({ isSeen }) => isSeen !== true) });
}

function settleServing(receipts: Receipts, fact: Fact, generation: number, more: Partial<Receipt> = {}): Receipts {
	return settle(receipts, fact, [generation], () => ({ ...more, verdict: 'serving' }));
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
	return settle(receipts, fact, older, ({ code }) => ({
		verdict: 'givenUp',
		reason: `generation ${fact.generation} took its place before it was whole`,
		code: code ?? 'exited',
	}));
}

/** One that never was whole, and of which nobody is left. */
function abandoned(receipts: Receipts, fact: FactOf<'generation.givenUp'>, before: Roster | null): Receipts {
	const { children = [], respawns = [] } = before ?? {};
	const isThere = (generation: number) => [...children, ...respawns].some((each) => each.generation === generation);
	const gone = pendingIn(receipts).filter((each) => each < fact.generation && !isThere(each));
	const settled = settle(receipts, fact, gone, ({ code }) => ({
		verdict: 'givenUp',
		reason: 'none of its children is left',
		code: code ?? 'exited',
	}));
	if (children.length + respawns.length > 0) return settled;
	// With the last generation the supervisor ends, and what was to follow it will not.
	return settle(settled, fact, pendingIn(settled), () => ({
		verdict: 'givenUp',
		reason: `the supervisor has ended with generation ${fact.generation}`,
		code: 'stopped',
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
		((!isWhole || isLookedAt(fact.roster, serving)) && generation === serving) ||
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
		() => ({
			verdict: 'givenUp',
			reason: 'the supervisor failed while it was being started',
			code: 'spawn-failed',
		}),
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
		survivors: [],
		reason: null,
		code: null,
		program: null,
		directory: null,
		exits: [],
		lastWords: [],
		continuedAs: null,
	};
}

/** Of a generation that was replaced: known to the rotation that replaced it. */
function withSurvivors(receipts: Receipts, { child: id, holders = [] }: FactOf<'child.exited'>, before: Roster | null) {
	const known = before?.children.find(({ child }) => child === id);
	if (holders.length === 0 || !known || !isLeaving(known)) return receipts;
	const { generation } = known;
	const found = receipts.kept.findLast(({ replaced }) => replaced.includes(generation));
	const added = holders.map((holder) => ({ ...holder, generation }));
	return withSurvivorsOf(receipts, found, (survivors) => [...survivors, ...added].slice(-mostChildren));
}

function withoutSurvivors(receipts: Receipts, { child: id }: FactOf<'group.gone'>, before: Roster | null): Receipts {
	const gone = before?.children.find(({ child }) => child === id)?.left ?? [];
	const found = receipts.kept.find(({ survivors }) => survivors.some(({ pid }) => gone.includes(pid)));
	return withSurvivorsOf(receipts, found, (survivors) => survivors.filter(({ pid }) => !gone.includes(pid)));
}

/** They come and go after the verdict. */
function withSurvivorsOf(
	receipts: Receipts,
	found: Receipt | undefined,
	changeOf: (survivors: Receipt['survivors']) => Receipt['survivors'],
): Receipts {
	if (!found) return receipts;
	const kept = receipts.kept.map((each) => (each === found ? { ...each, survivors: changeOf(each.survivors) } : each));
	return { ...receipts, kept };
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
	if (words.includes('wait')) return 'wait';
	return words.includes('accept') ? 'accept' : (words.at(-1) ?? null);
}

function pendingIn({ kept }: Receipts): number[] {
	return kept.flatMap(({ verdict, generation }) => (verdict === 'pending' ? generation : []));
}

function has({ kept }: Receipts, generation: number): boolean {
	return kept.some((each) => each.generation === generation);
}
