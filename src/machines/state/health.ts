/** The health of the service: how many of its children serve. It follows from the slots, not from a state's name. */
import { duration } from '../text/duration.ts';
import { ordinal } from '../text/ordinal.ts';
import { nextKill, readinessOf } from './deadlines.ts';
import { isComing, isLeaving, type SupervisorState, stateOf } from './supervisorState.ts';

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

/** @param now with it the reasons name times that are left; in milliseconds since boot */
export function healthOf(state: SupervisorState, now: number | null = null): Health {
	const { serving, candidate, children, stopSignal, plan } = state;
	const up = (generation: number | null) =>
		children.filter(
			(child) => child.generation === generation && child.phase === 'serving' && child.hungClock === null,
		);
	// A candidate serves alone where the serving generation has ended.
	const own = up(serving).length > 0 ? up(serving) : up(candidate);
	const counts = { serving: own.length, size: plan.size };
	// A candidate that has no child yet is about to have one.
	if (stateOf(state) === 'stopped' && candidate === null) return { state: 'stopped', ...counts, reasons: [] };
	if (stopSignal !== null) return { state: 'stopping', ...counts, reasons: stopping(state, now) };
	if (serving === 0) return { state: 'starting', ...counts, reasons: now === null ? [] : starting(state, now) };
	const reasons = [...failing(state, own), ...missing(state, own.length === 0, now)];
	if (own.length === 0) return { state: 'down', ...counts, reasons };
	return { state: own.length < plan.size || reasons.length > 0 ? 'degraded' : 'ok', ...counts, reasons };
}

function leftUntil(end: number, now: number): string {
	return duration(Math.max(0, end - now));
}

/** What the first generation waits for. */
function starting(state: SupervisorState, now: number): string[] {
	const { checks, plan } = state;
	const { candidate: check } = checks;
	if (check !== null)
		return check.clock === null
			? []
			: [`must pass -check=${plan.check} within ${leftUntil(check.clock + check.millis, now)}`];
	const end = readinessOf(state);
	if (end === null) return [];
	if (plan.ready === 'wait') return [`ready in ${leftUntil(end, now)} if it stays alive`];
	return [`first generation has ${leftUntil(end, now)} left to become ready`];
}

function stopping(state: SupervisorState, now: number | null): string[] {
	const { children } = state;
	const left = children.length === 1 ? '1 child left' : `${children.length} children left`;
	const kill = nextKill(children, state);
	return now === null || kill === null ? [left] : [left, `SIGKILL in ${leftUntil(kill, now)}`];
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
function missing(state: SupervisorState, isDown: boolean, now: number | null): string[] {
	const { serving, restart, status } = state;
	const respawns = state.respawns.filter(({ generation }) => generation === serving);
	const coming = state.children.filter((child) => child.generation === serving && isComing(child));
	const exits = [...respawns, ...coming].reduce((sum, { attempt }) => sum + attempt, 0);
	const endOf = ({ clock, millis }: { clock: number | null; millis: number }) => (clock ?? 0) + millis;
	const [next] = respawns.filter(({ isDue }) => !isDue).sort((a, b) => endOf(a) - endOf(b));
	const isLoop = isDown && exits > respawns.length + coming.length;
	const when = next && next.clock !== null && now !== null ? ` in ${leftUntil(endOf(next), now)}` : '';
	const which =
		next && (next.attempt > 1 || when !== '')
			? ` (${ordinal(next.attempt)} restart of worker ${next.index}${when}${next.attempt > 1 ? `, last exit status ${status}` : ''})`
			: '';
	return [
		...(isLoop ? [`crash loop: ${exits} exits (last status ${status})${when && `, next restart${when}`}`] : []),
		...(!isLoop && respawns.length + coming.length > 0
			? [`${respawns.length + coming.length} restarting${which}`]
			: []),
		...(restart === null
			? []
			: [
					`a new generation will be started${now === null || restart.clock === null ? '' : ` in ${leftUntil(endOf(restart), now)}`}`,
				]),
	];
}

/** `OK 3/3 serving`, `DEGRADED 1/3 serving, 2 restarting (4th restart of worker 0)`. */
export function healthText({ state, serving, size, reasons }: Health): string {
	return [`${state.toUpperCase()} ${serving}/${size} serving`, ...reasons].join(', ');
}

const ranks: Partial<Record<HealthState, number>> = { ok: 0, degraded: 1, down: 2 };

/** A service that starts can get worse, and does not get better by being up. */
const ranksBefore: typeof ranks = { ...ranks, starting: 0 };

/** Whether the health got worse or better between two facts; null if neither, or if it is not known. */
export function healthChange(before: Health | null, now: Health): 'worse' | 'better' | null {
	const [old, next] = [before === null ? undefined : ranksBefore[before.state], ranks[now.state]];
	if (old === undefined || next === undefined || old === next) return null;
	return next > old ? 'worse' : 'better';
}
