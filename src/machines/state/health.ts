/** The health of the service: how many of its children serve. It follows from the slots, not from a state's name. */
import { isLeaving, type SupervisorState } from './supervisorState.ts';

/**
 * `ok`: all children serve. `degraded`: some serve, or all of them and a check fails. `down`: no child serves.
 * `starting`: no generation has served yet. `stopping`, `stopped`: a stop was requested, or the last child has exited.
 */
export const healthStates = ['ok', 'degraded', 'down', 'starting', 'stopping', 'stopped'] as const;

export type HealthState = (typeof healthStates)[number];

export interface Health {
	state: HealthState;
	/** The children that serve, and the children that should. */
	serving: number;
	size: number;
	/** Why it is not `ok`, as parts of a sentence; may be empty. */
	reasons: string[];
}

export function healthOf(state: SupervisorState): Health {
	const { serving, candidate, children, respawns, lastGeneration, stopSignal, plan } = state;
	const up = (generation: number | null) =>
		children.filter(
			(child) => child.generation === generation && child.phase === 'serving' && child.hungClock === null,
		);
	// A candidate serves alone where the serving generation has ended.
	const own = up(serving).length > 0 ? up(serving) : up(candidate);
	const counts = { serving: own.length, size: plan.size };
	if (stopSignal !== null) {
		const left = children.length === 1 ? '1 child left' : `${children.length} children left`;
		return { state: 'stopping', ...counts, reasons: [left] };
	}
	if (lastGeneration > 0 && children.length === 0 && respawns.length === 0)
		return { state: 'stopped', ...counts, reasons: [] };
	if (serving === 0) return { state: 'starting', ...counts, reasons: [] };
	const reasons = [...failing(state, own), ...missing(state)];
	if (own.length === 0) return { state: 'down', ...counts, reasons };
	return { state: own.length < plan.size || reasons.length > 0 ? 'degraded' : 'ok', ...counts, reasons };
}

/** What serves and does not do so well. */
function failing(
	{ checks, isComplete, serving, plan, children }: SupervisorState,
	own: { generation: number; pid: number | null; unseen: string | null }[],
): string[] {
	const isServing = own.some(({ generation }) => generation === serving);
	// A degraded generation with -check is complete when it passes; a candidate that serves alone has not passed yet.
	const check = isServing || own.length === 0 ? (isComplete ? null : checks.serving) : checks.candidate;
	const isUnchecked = plan.check !== '' && own.length > 0 && (isServing ? !isComplete : checks.candidate !== null);
	const hung = children.flatMap((child) =>
		child.hungClock === null || child.generation !== serving || isLeaving(child) ? [] : `${child.pid} hangs`,
	);
	const unseen = own.flatMap(({ pid, unseen }) => (unseen === null ? [] : `${pid} was not seen to accept`));
	return [...hung, ...unseen, ...(isUnchecked ? [`-check=${plan.check}: ${check?.problem ?? 'not passed yet'}`] : [])];
}

/** What becomes of children that do not serve. */
function missing({ children, respawns, serving, restart }: SupervisorState): string[] {
	const waiting = respawns.filter(({ generation }) => generation === serving).length;
	const coming = children.filter(
		(child) => child.generation === serving && child.phase !== 'serving' && !isLeaving(child),
	).length;
	const count = waiting + coming;
	const attempts = Math.max(0, ...respawns.map(({ attempt }) => attempt), ...children.map(({ attempt }) => attempt));
	return [
		...(count > 0 ? [`${count} restarting${attempts > 1 ? ` (attempt ${attempts})` : ''}`] : []),
		...(restart === null ? [] : ['a new generation will be started']),
	];
}

/** `OK 3/3 serving`, `DEGRADED 1/3 serving, 2 restarting (attempt 4)`. */
export function healthText({ state, serving, size, reasons }: Health): string {
	return [`${state.toUpperCase()} ${serving}/${size} serving`, ...reasons].join(', ');
}

const ranks: Partial<Record<HealthState, number>> = { ok: 0, degraded: 1, down: 2 };

/** Whether the health got worse or better between two facts; null if neither, or if it is not known. */
export function healthChange(before: Health | null, now: Health): 'worse' | 'better' | null {
	const [old, next] = [before === null ? undefined : ranks[before.state], ranks[now.state]];
	if (old === undefined || next === undefined || old === next) return null;
	return next > old ? 'worse' : 'better';
}
