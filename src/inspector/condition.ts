/** The condition of the service at a moment: what serves, what failed last, who drains, when the last deploy was. */
import type { Report } from '../machines/facts/feed.ts';
import { killTimeoutFor } from '../machines/rules/killTimeout.ts';
import { type HealthState, healthOf } from '../machines/state/health.ts';
import type { Rotation } from '../machines/state/rotations.ts';
import { isNoGood, killPlanOf, type SupervisorState } from '../machines/state/supervisorState.ts';
import { duration } from '../machines/text/duration.ts';
import { type GenerationLife, kindOf, phaseAt, resultAt } from './lifespans.ts';
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
	/** What a supervisor that runs says of itself; null if it was not asked. */
	report: Report | null;
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
	const health = healthOf(state, now);
	if (health.state === 'stopped')
		return { word: 'STOPPED', tone: 'off', counts: null, reasons: [howItStopped(state, timeline.timeAt(index))] };
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
		? `at ${clockTime(at)}: the last child exited, ${exit}`
		: `at ${clockTime(at)} by SIG${stopSignal}, ${exit}`;
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
	const failure =
		last && last.record.result === 'failed' ? { ...last, text: failureText(last.record, moment.now) } : null;
	return {
		sentences: isOver
			? []
			: [
					servingText(moment, state),
					...candidateText(moment, state),
					...drainingText(moment, state),
					...unknownText(state),
				],
		failure,
	};
}

/** The last rotation that has a result at the moment. */
export function lastRotation({
	timeline,
	index,
	report,
}: Pick<Moment, 'timeline' | 'index' | 'report'>): { life: GenerationLife | null; record: Rotation } | null {
	const life = timeline.lives.generations.findLast(
		(each) => each.record !== null && !['pending', null].includes(resultAt(each, index)),
	);
	if (life?.record) return { life, record: life.record };
	const record = report?.rotations.findLast(({ result }) => result !== 'pending');
	return record ? { life: null, record } : null;
}

export function failureText({ generation, finishedAt, reason }: Rotation, now: number): string {
	const when = finishedAt === null ? '' : `, ${timeBeside(finishedAt, now)}, ${duration(now - finishedAt)} ago`;
	return `Last rotation FAILED: #${generation}${when}: ${reason ?? 'its reason is not known'}`;
}

/** `Generation 11 serves since 20:13:30 (ready in 0.9 s)`. */
function servingText({ timeline, index, now, report }: Moment, { serving, children }: SupervisorState): string {
	const own = children.filter((child) => child.generation === serving && child.phase === 'serving');
	if (serving === 0 || own.length === 0) return 'Nobody serves.';
	const life = timeline.lives.generationAt(serving, index);
	const record = life?.record ?? report?.rotations.find(({ generation }) => generation === serving) ?? null;
	const took = record && readyTime(record);
	const since = record?.finishedAt ?? Math.max(...own.map((child) => child.since));
	const isLast = record && lastRotation({ timeline, index, report })?.record.generation === serving;
	const notes = [...(isLast ? ['the last rotation'] : []), ...(took === null ? [] : [`ready in ${duration(took)}`])];
	return `Generation ${serving} serves since ${timeBeside(since, now)}, ${duration(now - since)}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}.`;
}

/** From the first process of the generation to its result, in milliseconds, as the command line says it. */
export function readyTime({ spawnedAt, finishedAt }: Rotation): number | null {
	return spawnedAt === null || finishedAt === null ? null : finishedAt - spawnedAt;
}

function candidateText({ now }: Moment, state: SupervisorState): string[] {
	const { candidate, checks, bake, plan, children, queued, serving } = state;
	const next = queued === null ? [] : ['One more rotation will follow.'];
	if (candidate === null) return next;
	if (checks.candidate !== null) {
		const left = duration(checks.candidate.at + checks.candidate.millis - now);
		const problem = checks.candidate.problem === null ? '' : `: ${checks.candidate.problem} so far`;
		return [`Generation ${candidate} must pass -check=${plan.check} within ${left}${problem}.`, ...next];
	}
	if (bake !== null)
		return [`Generation ${candidate} bakes for ${duration(bake.at + bake.millis - now)} more.`, ...next];
	const coming = children.filter(
		(child) => child.generation === candidate && child.pid !== null && kindOf(child.phase) === 'coming',
	);
	const end = Math.max(...coming.map(({ since }) => since + plan.start));
	const left =
		coming.length === 0 || serving === 0
			? ''
			: plan.ready === 'wait'
				? `: ready in ${duration(end - now)} if it stays alive`
				: `: must be ready within ${duration(end - now)}`;
	return [`Generation ${candidate} is starting${left}.`, ...next];
}

function drainingText({ now, report }: Moment, { children, serving, candidate, plan }: SupervisorState): string[] {
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
		const kills = own.flatMap((child) => {
			const limit = killTimeoutFor(killPlanOf(plan, child), isNoGood(child));
			return limit === null || child.phase !== 'draining' ? [] : child.since + limit;
		});
		return [
			listOf(own.map(({ pid, child }) => String(pid ?? `child ${child}`))),
			...(count === null ? [] : [count === 1 ? '1 connection' : `${count} connections`]),
			...(kills.length === 0 ? [] : [`SIGKILL in ${duration(Math.min(...kills) - now)}`]),
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
