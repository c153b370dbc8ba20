/** Formats the status for people: the service's condition first, then the last rotation, the listeners and the children. */
import type { Status } from '../effects/control/statusReport.ts';
import { clockTime, harmless } from '../effects/terminal/format.ts';
import type { Colour } from '../effects/terminal/screen.ts';
import { column, cut } from '../effects/terminal/textCells.ts';
import type { HealthState } from '../machines/state/health.ts';
import type { Rotation } from '../machines/state/rotations.ts';
import { duration } from '../machines/text/duration.ts';
import { childLine, type Generation, generationLines } from './generationLines.ts';

export interface Paper {
	isTerminal: boolean;
	width: () => number;
	colour: (text: string, ...colours: Colour[]) => string;
}

/** With more children than this, a generation is one line, and only exceptions are listed by themselves. */
const most = 8;

const marks: Record<HealthState, { mark: string; colour: Colour }> = {
	ok: { mark: '●', colour: 'green' },
	degraded: { mark: '▲', colour: 'yellow' },
	down: { mark: '✘', colour: 'red' },
	starting: { mark: '▲', colour: 'yellow' },
	stopping: { mark: '▲', colour: 'yellow' },
	stopped: { mark: '■', colour: 'faint' },
};

interface Options {
	/** The path of the control socket. */
	path: string;
	/** In milliseconds since 1970. */
	now: number;
	/** Every child has a line. */
	isVerbose: boolean;
}

export function statusTable(
	status: Status,
	{ path, now, isVerbose }: Options,
	{ isTerminal, width, colour }: Paper,
): string[] {
	const wide = Math.max(40, width());
	// Lines for a file or a pipe are not cut.
	const limit = isTerminal ? wide : Number.POSITIVE_INFINITY;
	const fitted = (text: string) => cut(text, limit);
	const { pid, version, since, journal, listeners, generations, last } = status;
	const count = generations.reduce((sum, { children }) => sum + children.length, 0);
	return [
		...headLines(status, now, limit, colour),
		'',
		...(last ? lastLines(last, now, limit, colour) : []),
		'',
		colour(fitted(`${column('LISTENER', Math.min(wide, 80) - 20)}${column('WAITING', 20, 'right')}`), 'faint'),
		...listeners.map((each) => listenerLine(each, wide, isTerminal, colour)),
		'',
		colour(fitted(childLine('GEN', 'WORKER', 'PID', 'PHASE', 'FOR', 'CONNS', 'NOTE')), 'faint'),
		...generations.flatMap((each) => generationLines(each, status, now, isVerbose || count <= most).map(fitted)),
		'',
		colour(
			fitted(`supervisor ${pid}, up ${duration(now - since)}, version ${harmless(version)}, ${harmless(path)}`),
			'faint',
		),
		colour(
			fitted(
				journal
					? `journal ${harmless(journal.path)}, ${Math.ceil(journal.size / 1024)} KiB, event ${journal.seq}`
					: 'no journal: a crash of the supervisor is not recovered from (-journal=PATH)',
			),
			'faint',
		),
	];
}

/** The condition of the service; then, indented, why it is not OK and what goes on beside it. */
function headLines(status: Status, now: number, limit: number, colour: Paper['colour']): string[] {
	const { health, generations, last } = status;
	const { mark, colour: tone } = marks[health.state];
	const isUp = ({ children }: Generation) => children.some(({ phase, hung }) => phase === 'serving' && !hung);
	// A candidate serves alone where no child of the old generation does.
	const own = generations.filter(({ state }) => state !== 'draining');
	const serving = own.find((each) => each.state === 'serving' && isUp(each)) ?? own.find(isUp) ?? own[0];
	const since = last?.result === 'promoted' && last.generation === serving?.generation ? last.finishedAt : null;
	const up =
		since ?? (serving && serving.children.length > 0 ? Math.max(...serving.children.map((each) => each.since)) : null);
	const parts = [
		...(serving ? [`generation ${serving.generation}`] : []),
		`${health.serving}/${health.size} serving`,
		...(up !== null && health.serving > 0 ? [duration(Math.max(0, now - up))] : []),
	];
	const word = `${mark} ${health.state.toUpperCase()}`;
	const { reasons } = health;
	const lines = [...reasons, ...otherLines(status, now)];
	return [
		`${colour(word, tone, 'bold')}${cut(`  ${parts.join(' · ')}`, limit - word.length)}`,
		...lines.map((line, order) => {
			const text = cut(`  ${harmless(line)}`, limit);
			return order < reasons.length && health.state !== 'ok' ? colour(text, tone) : text;
		}),
	];
}

/** What goes on beside the serving generation. */
function otherLines({ generations, queued, bake, check }: Status, now: number): string[] {
	const candidate = generations.find(({ state }) => ['starting', 'checking', 'baking'].includes(state));
	const newest = Math.max(
		0,
		...generations.filter(({ state }) => state === 'serving').map(({ generation }) => generation),
	);
	const leaving = generations.filter(({ state }) => state === 'draining');
	// One that is newer than the serving generation has failed.
	const failed = leaving.filter(({ generation }) => newest > 0 && generation > newest);
	const draining = leaving.filter((each) => !failed.includes(each));
	// Of a serving generation the health says it.
	const serving = generations.find(({ state }) => state === 'serving')?.generation;
	const own = candidate && serving !== undefined ? candidate : null;
	const problem = check?.problem == null ? '' : `: ${check.problem} so far`;
	const left = (at: number | null) => (at === null ? '' : `, ${duration(Math.max(0, at - now))} left`);
	return [
		...(own?.state === 'starting' ? [`generation ${own.generation} is starting${left(deadlineOf(own))}`] : []),
		...(check !== null && check.generation !== serving
			? [`generation ${check.generation} must answer ${check.target} with 2xx${problem}${left(check.deadline)}`]
			: []),
		...(bake !== null && own?.state === 'baking' ? [`generation ${own.generation} bakes${left(bake)}`] : []),
		...failed.map(({ generation }) => `generation ${generation} failed and is leaving`),
		...(draining.length === 0 ? [] : [drainingText(draining, now)]),
		...(queued ? ['one more rotation will follow'] : []),
	];
}

function deadlineOf({ children }: Generation): number | null {
	const ends = children.flatMap(({ deadline, phase }) => (deadline === null || phase === 'serving' ? [] : deadline));
	return ends.length === 0 ? null : Math.max(...ends);
}

/** `1 old generation draining (1 connection, SIGKILL in 16 s)`. */
function drainingText(draining: Generation[], now: number): string {
	const children = draining.flatMap((each) => each.children);
	const known = children.map(({ connections }) => connections);
	const count = known.includes(null) ? null : known.reduce((sum: number, each) => sum + (each ?? 0), 0);
	const kills = children.flatMap(({ deadline }) => deadline ?? []);
	const notes = [
		...(count === null ? [] : [count === 1 ? '1 connection' : `${count} connections`]),
		...(kills.length === 0 ? [] : [`SIGKILL in ${duration(Math.max(0, Math.min(...kills) - now))}`]),
	];
	const what = draining.length === 1 ? '1 old generation draining' : `${draining.length} old generations draining`;
	return notes.length === 0 ? what : `${what} (${notes.join(', ')})`;
}

const triggers = { start: 'start', SIGHUP: 'SIGHUP', rotate: 'rotate' };

function lastLines(rotation: Rotation, now: number, limit: number, colour: Paper['colour']): string[] {
	const { generation, result, trigger, finishedAt, spawnedAt, reason, lastOutput } = rotation;
	const took = finishedAt !== null && spawnedAt !== null ? duration(finishedAt - spawnedAt) : null;
	const when =
		finishedAt === null ? '' : ` · ${clockTime(finishedAt)} (${duration(now - finishedAt)} ago, ${triggers[trigger]})`;
	const head = 'last rotation  ';
	const line = (mark: string, tone: Colour, text: string) =>
		`${head}${colour(mark, tone)} ${cut(`#${generation} ${text}${when}`, limit - head.length - 2)}`;
	if (result === 'promoted') {
		const unverified = rotation.unverified ? ', not seen to accept' : '';
		return [line('✔', 'green', `ready${took === null ? '' : ` in ${took}`}${unverified}`)];
	}
	if (result === 'stopped') return [line('■', 'faint', 'a stop came first')];
	const indent = ' '.repeat(head.length);
	return [
		line('✘', 'red', `failed${took === null ? '' : ` after ${took}`}`),
		colour(cut(`${indent}${harmless(reason ?? 'its reason is not known')}`, limit), 'red'),
		...lastOutput.slice(-3).map((each) => cut(`${indent}| ${harmless(each)}`, limit)),
	];
}

function listenerLine(
	{ uri, address, queue, backlog }: Status['listeners'][number],
	wide: number,
	isCut: boolean,
	colour: Paper['colour'],
) {
	const name = harmless(uri.endsWith(address) ? uri : `${uri} (${address})`);
	const room = Math.min(wide, 80) - 20;
	const place = isCut ? room : Math.max(room, name.length + 1);
	// The kernel queues one connection more than the backlog before it drops connections (listen(2), sk_acceptq_is_full).
	const isFull = queue !== null && backlog !== null && queue > 0 && queue >= backlog;
	const waiting = queue === null ? '–' : `${queue} of ${backlog}${isFull ? ' FULL' : ''}`;
	const text = column(waiting, 20, 'right');
	return `${column(name, place)}${isFull ? colour(text, 'red') : text}`;
}
