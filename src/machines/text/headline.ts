/** A supervisor's status in one sentence: for the service manager and for operators. */
import { healthOf, healthText } from '../state/health.ts';
import type { Projections } from '../state/projections.ts';
import { candidateStepOf, isLeaving, type SupervisorState, stateOf } from '../state/supervisorState.ts';
import { whoServes } from '../state/whoServes.ts';

/** For example `generation 7 serves (2 workers); 1 older drains`. */
export function headlineOf({ state, rotations }: Pick<Projections, 'state' | 'rotations'>): string {
	if (!state) return 'starting';
	const phase = stateOf(state);
	if (phase === 'stopping') return `stopping; ${countOf(state.children.length, 'child is', 'children are')} left`;
	if (phase === 'stopped' && state.candidate === null) return 'the last child is gone';
	const last = rotations.kept.findLast(({ result }) => result !== 'pending');
	const failure =
		last?.result === 'failed' && state.candidate === null && last.generation > state.serving
			? [`generation ${last.generation} failed: ${last.reason}`]
			: [];
	const health = healthOf(state);
	const alarm = health.state === 'degraded' || health.state === 'down' ? [healthText({ ...health, reasons: [] })] : [];
	return [...alarm, ...failure, ...servingText(state), ...candidateText(state), ...drainingText(state)].join('; ');
}

function servingText({ serving, children, candidate, restart, isComplete }: SupervisorState): string[] {
	if (serving === 0) return [];
	const isUp = whoServes({ serving, children }) !== null;
	const count = isUp ? children.filter((child) => child.generation === serving && !isLeaving(child)).length : 0;
	if (count === 0 && restart !== null) return ['no generation serves, a new one will be started'];
	if (count === 0) return candidate === null || isComplete ? ['no generation serves'] : [];
	const workers = count === 1 ? '' : ` (${count} workers)`;
	return [`generation ${serving} serves${workers}${isComplete ? '' : ', and is degraded'}`];
}

const doing = { starting: 'starts', checking: 'is checked', baking: 'bakes' };

function candidateText(state: SupervisorState): string[] {
	const { candidate, queued } = state;
	const step = candidateStepOf(state);
	const starting = step === null ? [] : [`generation ${candidate} ${doing[step]}`];
	return queued === null ? starting : [...starting, 'one more rotation will follow'];
}

function drainingText({ children, serving, candidate }: SupervisorState): string[] {
	const others = children.filter(({ generation }) => generation !== serving && generation !== candidate);
	const older = new Set(others.map(({ generation }) => generation)).size;
	return older === 0 ? [] : [`${older} older ${older === 1 ? 'drains' : 'drain'}`];
}

function countOf(count: number, one: string, more: string): string {
	return `${count} ${count === 1 ? one : more}`;
}
