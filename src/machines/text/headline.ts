/** How a supervisor stands, in one sentence: for its manager and for people. */
import type { Past } from '../state/projections.ts';
import { isLeaving, type Roster, stateOf } from '../state/supervisorState.ts';

/** `generation 7 serves (2 workers); 1 older drains`. */
export function headlineOf({ roster, receipts }: Pick<Past, 'roster' | 'receipts'>): string {
	if (!roster) return 'starting';
	const state = stateOf(roster);
	if (state === 'stopping') return `stopping; ${countOf(roster.children.length, 'child is', 'children are')} left`;
	if (state === 'stopped' && roster.candidate === null) return 'the last child is gone';
	const last = receipts.kept.findLast(({ verdict }) => verdict !== 'pending');
	const failure =
		last?.verdict === 'givenUp' && roster.candidate === null && last.generation > roster.serving
			? [`generation ${last.generation} was given up: ${last.reason}`]
			: [];
	return [...failure, ...servingWords(roster), ...candidateWords(roster), ...drainingWords(roster)].join('; ');
}

function servingWords({ serving, children, candidate, restart, isWhole }: Roster): string[] {
	if (serving === 0) return [];
	const count = children.filter((child) => child.generation === serving && !isLeaving(child)).length;
	if (count === 0 && restart !== null) return ['no generation serves, a new one will be started'];
	if (count === 0) return candidate === null || isWhole ? ['no generation serves'] : [];
	const workers = count === 1 ? '' : ` (${count} workers)`;
	return [`generation ${serving} serves${workers}${isWhole ? '' : ', and is not whole'}`];
}

function candidateWords({ candidate, queued }: Roster): string[] {
	const starting = candidate === null ? [] : [`generation ${candidate} starts`];
	return queued === null ? starting : [...starting, 'one more rotation will follow'];
}

function drainingWords({ children, serving, candidate }: Roster): string[] {
	const others = children.filter(({ generation }) => generation !== serving && generation !== candidate);
	const older = new Set(others.map(({ generation }) => generation)).size;
	return older === 0 ? [] : [`${older} older ${older === 1 ? 'drains' : 'drain'}`];
}

function countOf(count: number, one: string, more: string): string {
	return `${count} ${count === 1 ? one : more}`;
}
