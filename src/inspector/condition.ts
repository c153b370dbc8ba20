/** The condition of the service at a moment: what serves, what failed last, who drains, when the last deploy was. */
import type { Report } from '../machines/facts/feed.ts';
import { nextKill, readinessOf } from '../machines/state/deadlines.ts';
import { type HealthState, healthOf } from '../machines/state/health.ts';
import type { Rotation } from '../machines/state/rotations.ts';
import { isNoGood, type SupervisorState } from '../machines/state/supervisorState.ts';
import { duration } from '../machines/text/duration.ts';
import { type GenerationLife, phaseAt, resultAt } from './lifespans.ts';
import type { Timeline } from './timeline.ts';
import { clockTime, timeBeside } from './times.ts';

/** Good: takes traffic. Warn: will resolve by itself. Bad: a user may notice. Off: no supervisor lives. */
export type Tone = 'good' | 'warn' | 'bad' | 'off';

export interface Condition {
	/** In capitals: `OK`, `DEGRADED`, `DOWN`, `STARTING`, `STOPPING`, `STOPPED`, `GONE`. */
	word: string;
	tone: Tone;
	/** `3/3 serving`; null if nobody lives to count. */
	counts: string | null;
	reasons: string[];
}

/** What the condition is derived from. */
export interface Moment {
	timeline: Timeline;
	/** The index of the entry after which it is told. */
	index: number;
	/** In milliseconds since 1970. */
	now: number;
	/** The newest entry is shown, and the supervisor that wrote it does not live. Null: it lives, or is imagined. */
	goneSupervisor: { pid: number | null } | null;
	/** What a supervisor that runs says of its children now; null at another moment, or if it was not asked. */
	report: Report | null;
	/** The rotations that a running supervisor has told of, oldest first. */
	kept: Rotation[];
}

const tones: Record<HealthState, Tone> = {
	ok: 'good',
	degraded: 'warn',
	down: 'bad',
	starting: 'warn',
	stopping: 'warn',
	stopped: 'off',
};

export function conditionAt({ timeline, index, now, goneSupervisor }: Moment): Condition | null {
	const state = timeline.stateAt(index);
	if (!state) return null;
	const health = healthOf(state, timeline.sinceBoot(index, now));
	if (health.state === 'stopped')
		return {
			word: 'STOPPED',
			tone: state.stopSignal === null ? 'bad' : 'off',
			counts: null,
			reasons: [howItStopped(state, timeline.timeAt(index))],
		};
	if (goneSupervisor !== null) {
		const pids = state.children.flatMap(({ pid }) => pid ?? []);
		const who = goneSupervisor.pid === null ? 'the supervisor' : `supervisor ${goneSupervisor.pid}`;
		const left = pids.length === 0 ? '' : `; ${listOf(pids.map(String))} may run on`;
		const reason = `${who} exited without a stop, after ${clockTime(timeline.timeAt(index))}${left}`;
		return { word: 'GONE', tone: 'bad', counts: null, reasons: [reason] };
	}
	const counts = `${health.serving}/${health.size} serving`;
	return { word: health.state.toUpperCase(), tone: tones[health.state], counts, reasons: health.reasons };
}

function howItStopped({ stopSignal, status }: SupervisorState, at: number): string {
	const exit = `status ${stopSignal === null ? status : 0}`;
	return stopSignal === null
		? `at ${clockTime(at)}: the last child exited, ${exit}; nobody had asked for a stop`
		: `at ${clockTime(at)}, as requested (the children got SIG${stopSignal}), ${exit}`;
}

/** The sentences of the health strip. `failure` is the last rotation's, if it failed. */
export function sentencesAt(moment: Moment): {
	sentences: string[];
	failure: { life: GenerationLife | null; record: Rotation; text: string } | null;
} {
	const { timeline, index, goneSupervisor } = moment;
	const state = timeline.stateAt(index);
	if (!state) return { sentences: [], failure: null };
	const isOver = goneSupervisor !== null || healthOf(state).state === 'stopped';
	const last = lastRotation(moment);
	// A generation that failed its check at first, and passed it later, serves.
	const isMended = last !== null && last.record.generation === state.serving && state.isComplete;
	const failure =
		last && last.record.result === 'failed' && !isMended
			? { ...last, text: failureText(last.record, moment.now) }
			: null;
	return {
		sentences: isOver
			? downBefore(moment)
			: [
					servingText(moment, state),
					...candidateText(moment, state),
					...drainingText(moment, state),
					...unknownText(state),
				],
		failure,
	};
}

/** How long nobody had served before the supervisor stopped or was gone. */
function downBefore({ timeline, index }: Moment): string[] {
	const { service } = timeline.lives;
	const order = service.findLastIndex((each) => each.index <= index && each.state === 'down');
	const after = service.slice(order + 1).filter((each) => each.index <= index);
	const down = service[order];
	if (!down || after.some(({ state }) => state !== 'stopping' && state !== 'stopped')) return [];
	return [`Nobody had served for ${duration((after[0]?.at ?? timeline.timeAt(index)) - down.at)} before.`];
}

/** The last rotation that has a result at the moment. */
export function lastRotation({
	timeline,
	index,
	now,
	kept,
}: Pick<Moment, 'timeline' | 'index' | 'now' | 'kept'>): { life: GenerationLife | null; record: Rotation } | null {
	const life = timeline.lives.generations.findLast(
		(each) => each.record !== null && !['pending', null].includes(resultAt(each, index)),
	);
	const known = kept.findLast(
		({ result, finishedAt }) => result !== 'pending' && finishedAt !== null && finishedAt <= now,
	);
	// The facts may begin after the last rotation.
	if (known && (known.finishedAt ?? 0) > (life?.record?.finishedAt ?? 0)) return { life: null, record: known };
	return life?.record ? { life, record: life.record } : null;
}

export function failureText({ generation, finishedAt, reason }: Rotation, now: number): string {
	const when = finishedAt === null ? '' : `, ${timeBeside(finishedAt, now)}, ${duration(now - finishedAt)} ago`;
	return `Last rotation FAILED: #${generation}${when}: ${reason ?? 'its reason is not known'}`;
}

/** Since when the serving generation serves, in milliseconds since 1970; null if nobody serves. */
export function servingSince({ timeline, index, now, kept }: Moment): number | null {
	const state = timeline.stateAt(index);
	const generation = state && whoServesNow(state);
	if (!state || generation == null) return null;
	const own = state.children.filter((child) => child.generation === generation && isUp(child));
	return (
		promotionOf(generation, { timeline, index, now, kept })?.finishedAt ?? Math.max(...own.map((child) => child.since))
	);
}

/** The serving generation or, where no child of it serves, the candidate; null if nobody serves, as in the health. */
export function whoServesNow({ serving, candidate, children }: SupervisorState): number | null {
	const has = (generation: number | null) => children.some((child) => child.generation === generation && isUp(child));
	if (serving !== 0 && has(serving)) return serving;
	return serving !== 0 && candidate !== null && has(candidate) ? candidate : null;
}

function isUp({ phase, hungClock }: { phase: string; hungClock: number | null }): boolean {
	return phase === 'serving' && hungClock === null;
}

/** What is reported of a generation that was promoted; null if it was not, or if that is not known. */
function promotionOf(
	generation: number,
	{ timeline, index, kept }: Pick<Moment, 'timeline' | 'index' | 'now' | 'kept'>,
): Rotation | null {
	const life = timeline.lives.generationAt(generation, index);
	const record = life?.record ?? kept.find((each) => each.generation === generation) ?? null;
	return record?.result === 'promoted' ? record : null;
}

/** `Generation 11 serves since 20:13:30, 4 min (the last rotation, ready in 0.9 s)`. */
function servingText(moment: Moment, state: SupervisorState): string {
	const [since, serving] = [servingSince(moment), whoServesNow(state)];
	if (since === null || serving === null) return 'Nobody serves.';
	const record = promotionOf(serving, moment);
	const took = record && readyTime(record);
	const isLast = record !== null && lastRotation(moment)?.record.generation === serving;
	const notes = [...(isLast ? ['the last rotation'] : []), ...(took === null ? [] : [`ready in ${duration(took)}`])];
	const text = notes.length === 0 ? '' : ` (${notes.join(', ')})`;
	return `Generation ${serving} serves since ${timeBeside(since, moment.now)}, ${duration(Math.max(0, moment.now - since))}${text}.`;
}

/** From the first process of the generation to its result, in milliseconds, as the command line says it. */
export function readyTime({ spawnedAt, finishedAt }: Rotation): number | null {
	return spawnedAt === null || finishedAt === null ? null : finishedAt - spawnedAt;
}

function candidateText(moment: Moment, state: SupervisorState): string[] {
	const { candidate, checks, bake, plan, queued, serving } = state;
	const next = queued === null ? [] : ['One more rotation will follow.'];
	if (candidate === null || state.stopSignal !== null) return next;
	if (checks.candidate !== null) {
		const problem = checks.candidate.problem === null ? '' : `: ${checks.candidate.problem} so far`;
		return [
			`Generation ${candidate} must pass -check=${plan.check} within ${leftOf(moment, checks.candidate)}${problem}.`,
			...next,
		];
	}
	if (bake !== null) return [`Generation ${candidate} bakes for ${leftOf(moment, bake)} more.`, ...next];
	const isVerifying = state.children.some(({ generation, phase }) => generation === candidate && phase === 'verifying');
	const end = readinessOf(state);
	const left = end === null ? '' : duration(end - moment.timeline.sinceBoot(moment.index, moment.now));
	const text =
		end === null || serving === 0
			? ''
			: plan.ready === 'wait'
				? isVerifying
					? `: must be seen to accept within ${left}`
					: `: ready in ${left} if it stays alive`
				: `: must be ready within ${left}`;
	return [`Generation ${candidate} is starting${text}.`, ...next];
}

/** The time that is left of a wait. */
function leftOf(
	{ timeline, index, now }: Moment,
	{ at, clock, millis }: { at: number; clock: number | null; millis: number },
): string {
	return duration(clock === null ? at + millis - now : clock + millis - timeline.sinceBoot(index, now));
}

function drainingText(
	{ timeline, index, now, report }: Moment,
	{ children, serving, candidate, plan }: SupervisorState,
): string[] {
	const leaving = children.filter(({ generation }) => generation !== serving && generation !== candidate);
	// A generation that failed leaves too, and is not an old one.
	const failed = leaving.filter(isNoGood);
	const others = leaving.filter((child) => !isNoGood(child));
	const generations = [...new Set(others.map(({ generation }) => generation))];
	const failure =
		failed.length === 0
			? []
			: [
					`Generation ${failed[0]?.generation} failed and is leaving: ${listOf(failed.map(({ pid, child }) => String(pid ?? `child ${child}`)))}.`,
				];
	if (others.length === 0) return failure;
	const known = new Map(report?.children.map((child) => [child.pid, child.connections]));
	const texts = generations.slice(0, 3).map((generation) => {
		const own = others.filter((child) => child.generation === generation);
		const counts = own.map(({ pid }) => known.get(pid) ?? null);
		const count = counts.includes(null) ? null : (counts as number[]).reduce((sum, each) => sum + each, 0);
		const kill = nextKill(own, { plan });
		return [
			listOf(own.map(({ pid, child }) => String(pid ?? `child ${child}`))),
			...(count === null ? [] : [count === 1 ? '1 connection' : `${count} connections`]),
			...(kill === null ? [] : [`SIGKILL in ${duration(kill - timeline.sinceBoot(index, now))}`]),
		].join(', ');
	});
	const more = generations.length > 3 ? `; ${generations.length - 3} more` : '';
	const head = generations.length === 1 ? '1 old generation drains' : `${generations.length} old generations drain`;
	return [`${head}: ${texts.join('; ')}${more}.`, ...failure];
}

function unknownText({ serving, children }: SupervisorState): string[] {
	const hung = children.filter((child) => child.generation === serving && child.hungClock !== null);
	return hung.length === 0 ? [] : [`${listOf(hung.map(({ pid }) => String(pid)))} hangs.`];
}

/** How a child stands at a moment: `serving`, `crashed (exit 70)`, `exited as requested`. */
export function childText(child: GenerationLife['children'][number], index: number): string {
	const phase = phaseAt(child, index);
	if (phase !== 'gone' || !child.end) return phase ?? '–';
	const { how, wasTold } = child.end;
	if (how === 'gone meanwhile') return 'gone, nobody saw how';
	if (how === 'left processes behind' || how === 'with its group')
		return how === 'with its group' ? 'exited, with its processes' : how;
	if (!wasTold) return `crashed (${how})`;
	return how === 'exit 0' ? 'exited as requested' : `exited as requested (${how})`;
}

function listOf(names: string[]): string {
	return names.length > 4 ? `${names.slice(0, 4).join(', ')} and ${names.length - 4} more` : names.join(', ');
}
