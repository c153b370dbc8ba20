/** Formats the status as lines that fit the width of the terminal. */
import type { ChildStatus, Status } from '../effects/control/statusReport.ts';
import { clockTime, harmless } from '../effects/terminal/format.ts';
import type { Colour } from '../effects/terminal/screen.ts';
import { column, cut } from '../effects/terminal/textCells.ts';
import type { Rotation } from '../machines/state/rotations.ts';
import { isServing } from '../machines/state/whoServes.ts';
import { duration } from '../machines/text/duration.ts';

interface Paper {
	isTerminal: boolean;
	width: () => number;
	colour: (text: string, ...colours: Colour[]) => string;
}

const stateColours: Record<string, Colour> = {
	running: 'green',
	serving: 'green',
	rotating: 'yellow',
	baking: 'yellow',
	checking: 'yellow',
	starting: 'yellow',
	draining: 'yellow',
	unserved: 'red',
	stopping: 'red',
};

/** @param now in milliseconds since 1970 */
export function statusTable(status: Status, path: string, now: number, { isTerminal, width, colour }: Paper): string[] {
	const { state, queued, pid, version, since, generations, listeners, respawns, restart, bake, check, last, journal } =
		status;
	const wide = Math.max(40, width());
	// Lines for a file or a pipe are not cut.
	const limit = isTerminal ? wide : Number.POSITIVE_INFINITY;
	const paint = (text: string) => colour(text, stateColours[text.trim()] ?? 'bold');
	const head = cut(
		`   up ${duration(now - since)}   pid ${pid}   version ${harmless(version)}   ${harmless(path)}`,
		limit - state.length,
	);
	const lines = [`${paint(harmless(state))}${head}`];
	const isServed = generations.some(({ children }) => isServing(children));
	if (!isServed && ['running', 'rotating', 'checking', 'baking', 'draining', 'unserved'].includes(state))
		lines.push(colour('no generation serves', 'red'));
	if (restart !== null)
		lines.push(colour(`a new generation is started in ${duration(Math.max(0, restart - now))}`, 'red'));
	const baking = generations.find(({ state }) => state === 'baking')?.generation;
	if (bake !== null && baking !== undefined)
		lines.push(
			colour(
				`generation ${baking} bakes for ${duration(Math.max(0, bake - now))} more, then it replaces the old one`,
				'yellow',
			),
		);
	if (check !== null) {
		const problem = check.problem === null ? '' : `: ${harmless(check.problem)} so far`;
		const left = check.deadline === null ? '' : `, ${duration(Math.max(0, check.deadline - now))} left`;
		lines.push(
			colour(
				`generation ${check.generation} is checked: ${harmless(check.target)} must answer 2xx${problem}${left}`,
				'yellow',
			),
		);
	}
	if (queued) lines.push('one more rotation will follow');
	lines.push(
		'',
		colour(listenerHead(wide), 'faint'),
		...listeners.map((each) => listenerLine(each, wide, isTerminal, colour)),
	);
	lines.push('', colour(childLine('GEN', 'STATE', 'PID', 'PHASE', 'FOR', 'CONNS', 'NOTE', limit), 'faint'));
	const areDirectoriesEqual = new Set(generations.map(({ directory }) => directory)).size <= 1;
	const isOriginShown = !areDirectoriesEqual || new Set(generations.map(({ program }) => program)).size > 1;
	for (const { generation, state, program, directory, children } of generations) {
		const own = respawns.filter((each) => each.generation === generation);
		if (children.length === 0) lines.push(childLine(String(generation), state, '-', '', '', '', '', limit));
		for (const [index, child] of children.entries()) {
			const { pid, phase, connections } = child;
			const [first, second] = index === 0 ? [String(generation), state] : ['', ''];
			const text = childLine(
				first,
				second,
				String(pid ?? '-'),
				phase,
				duration(now - child.since),
				connections === null ? '-' : String(connections),
				noteOf(child, now),
				limit,
			);
			lines.push(second === '' ? text : text.replace(column(second, 9), (word) => paint(word)));
		}
		if (isOriginShown && (directory ?? program) !== null) {
			lines.push(
				cut(
					`     from ${harmless(directory ?? '')}${areDirectoriesEqual ? ` (${harmless(program ?? '')})` : ''}`,
					limit,
				),
			);
		}
		const why = generationState(state, children);
		if (why !== null) lines.push(cut(`     ${why}`, limit));
		for (const { index, at, attempt } of own) {
			lines.push(cut(`     place ${index} is filled again in ${duration(at - now)} (attempt ${attempt})`, limit));
		}
	}
	lines.push('');
	if (last) lines.push(...lastLines(last, now, limit, colour));
	lines.push(
		cut(
			journal
				? `journal         ${harmless(journal.path)}, ${Math.ceil(journal.size / 1024)} KiB, fact ${journal.seq}`
				: 'journal         none: a crash is not recovered from (-journal=PATH)',
			limit,
		),
	);
	return lines;
}

function listenerHead(wide: number): string {
	return `${column('FD', 4)}${column('LISTENER', wide - 24)}${column('WAITING', 20, 'right')}`;
}

function listenerLine(
	{ uri, address, fd, queue, backlog }: Status['listeners'][number],
	wide: number,
	isCut: boolean,
	colour: Paper['colour'],
) {
	const name = harmless(uri.endsWith(address) ? uri : `${uri} (${address})`);
	const place = isCut ? wide - 24 : Math.max(wide - 24, name.length + 1);
	// The kernel queues one connection more than the backlog before it drops connections (listen(2), sk_acceptq_is_full).
	const isFull = queue !== null && backlog !== null && queue > 0 && queue >= backlog;
	const waiting = queue === null ? '-' : `${queue} of ${backlog}${isFull ? ' FULL' : ''}`;
	const text = column(waiting, 20, 'right');
	return `${column(String(fd), 4)}${column(name, place)}${isFull ? colour(text, 'red') : text}`;
}

function childLine(
	gen: string,
	state: string,
	pid: string,
	phase: string,
	since: string,
	conns: string,
	note: string,
	wide: number,
) {
	const fixed = [
		column(gen, 5),
		column(state, 9),
		' ',
		column(pid, 8),
		column(phase, 10),
		column(since, 7, 'right'),
		column(conns, 7, 'right'),
		'  ',
	].join('');
	return `${fixed}${cut(note, Math.max(1, wide - fixed.length))}`.trimEnd();
}

function noteOf(
	{ phase, deadline, status, stopping, accepting, seen, unseen, survivors, hung }: ChildStatus,
	now: number,
): string {
	const wait =
		deadline === null || phase === 'serving'
			? ''
			: phase === 'booting'
				? `up within ${duration(deadline - now)}`
				: phase === 'verifying'
					? `ready; to be seen to accept within ${duration(deadline - now)}`
					: `killed in ${duration(deadline - now)}`;
	const behind = phase === 'orphaned' ? `has left ${survivors.join(', ')} behind` : '';
	const accepts = accepting ? 'still accepts: does it leave on this signal (-signal)?' : '';
	const unverified = phase === 'serving' && seen === false ? 'unverified' : '';
	const notAccepting = unseen === null ? '' : harmless(unseen);
	return [
		behind,
		hung ? 'hangs (-watchdog): SIGABRT was sent' : '',
		wait,
		accepts,
		unverified,
		notAccepting,
		stopping ? 'is stopping' : '',
		status ? harmless(status) : '',
	]
		.filter(Boolean)
		.join('; ');
}

/**
 * Describes the open connections of a draining generation: they explain why it has not exited. Null if there are none.
 */
function generationState(state: string, children: ChildStatus[]): string | null {
	if (state !== 'draining') return null;
	const count = children.reduce((sum, { connections }) => sum + (connections ?? 0), 0);
	if (count === 0) return null;
	const [quiet] = children.flatMap(({ peers }) => peers).sort((a, b) => (b.silent ?? 0) - (a.silent ?? 0));
	const connections = count === 1 ? '1 connection' : `${count} connections`;
	if (!quiet?.address || quiet.silent === null) return `has ${connections} left`;
	return `has ${connections} left; the quietest, from ${harmless(quiet.address)}, silent for ${duration(quiet.silent)}`;
}

const triggerTexts = { start: 'the start', SIGHUP: 'SIGHUP', rotate: 'rotate' };

function lastLines(rotation: Rotation, now: number, wide: number, colour: Paper['colour']): string[] {
	const { generation, result, trigger, finishedAt, spawnedAt, reason, lastOutput } = rotation;
	const took = finishedAt !== null && spawnedAt !== null ? ` after ${duration(finishedAt - spawnedAt)}` : '';
	const when = finishedAt === null ? '' : `, ${duration(now - finishedAt)} ago at ${clockTime(finishedAt)}`;
	const head = 'last rotation   ';
	const by = trigger === 'start' && generation > 1 ? 'by itself' : triggerTexts[trigger];
	if (result === 'promoted')
		return [
			cut(
				`${head}generation ${generation} (${by}) was up${took}${when}${rotation.unverified ? '; not seen to accept' : ''}`,
				wide,
			),
		];
	if (result === 'stopped') return [cut(`${head}generation ${generation} (${by}): a stop came first${when}`, wide)];
	return [
		colour(cut(`${head}generation ${generation} (${by}) failed${took}${when}`, wide), 'red'),
		cut(`                ${harmless(reason ?? '')}`, wide),
		...lastOutput.slice(-3).map((line) => cut(`                | ${harmless(line)}`, wide)),
	];
}
