/** The children of a generation in the status for people. */
import type { ChildStatus, Status } from '../effects/control/statusReport.ts';
import { harmless } from '../effects/terminal/format.ts';
import { column } from '../effects/terminal/textCells.ts';
import { duration } from '../machines/text/duration.ts';
import { ordinal } from '../machines/text/ordinal.ts';

export type Generation = Status['generations'][number];

/** The lines of a generation: of each child, or of all in one with the exceptions. @param isEach each child has a line */
export function generationLines(
	generation: Generation,
	{ respawns, generations }: Status,
	now: number,
	isEach: boolean,
): string[] {
	const { generation: number, state, program, directory, children } = generation;
	const own = respawns.filter((each) => each.generation === number);
	const exceptions = children.filter((child) => isException(child, state));
	const listed = isEach ? children : exceptions;
	const summary = isEach ? [] : [summaryLine(generation, now)];
	const lines = [
		...summary,
		...listed.map((child, order) => eachLine(isEach && order === 0 ? String(number) : '', child, now)),
		...own.map(({ index, at, attempt }) =>
			childLine(
				isEach && children.length === 0 ? String(number) : '',
				String(index),
				'–',
				'waiting',
				'',
				'',
				`${ordinal(attempt)} restart in ${duration(Math.max(0, at - now))}`,
			),
		),
	];
	const origins = new Set(generations.map((each) => `${each.directory} ${each.program}`));
	const areDirectoriesEqual = new Set(generations.map((each) => each.directory)).size <= 1;
	const origin =
		origins.size > 1 && (directory ?? program) !== null
			? [`     from ${harmless(directory ?? '')}${areDirectoriesEqual ? ` (${harmless(program ?? '')})` : ''}`]
			: [];
	const why = longestIdle(state, children);
	return [...lines, ...origin, ...(why === null ? [] : [`     ${why}`])];
}

/** A child that is not as its generation is. */
function isException({ phase, hung, unseen, accepting, status }: ChildStatus, state: Generation['state']): boolean {
	const usual = state === 'draining' ? 'draining' : 'serving';
	return phase !== usual || hung || unseen !== null || accepting === true || status !== null;
}

function summaryLine({ generation, state, children }: Generation, now: number): string {
	const counts = new Map<string, number>();
	for (const { phase } of children) counts.set(phase, (counts.get(phase) ?? 0) + 1);
	const phases = [...counts].map(([phase, count]) => `${count} ${phase}`).join(', ');
	const since = children.length === 0 ? '' : duration(now - Math.max(...children.map((child) => child.since)));
	const known = children.map(({ connections }) => connections);
	const connections = known.includes(null) ? '–' : String(known.reduce((sum: number, each) => sum + (each ?? 0), 0));
	return childLine(String(generation), 'all', '', state, since, connections, phases);
}

function eachLine(generation: string, child: ChildStatus, now: number): string {
	const { index, pid, phase, since, connections } = child;
	return childLine(
		generation,
		String(index),
		String(pid ?? '–'),
		phase,
		duration(now - since),
		connections === null ? '–' : String(connections),
		noteOf(child, now),
	);
}

/** The columns of a line. */
export function childLine(
	gen: string,
	worker: string,
	pid: string,
	phase: string,
	since: string,
	conns: string,
	note: string,
) {
	const fixed = [
		column(gen, 5),
		column(worker, 8),
		column(pid, 8),
		column(phase, 10),
		column(since, 11, 'right'),
		column(conns, 7, 'right'),
		'  ',
	].join('');
	return `${fixed}${note}`.trimEnd();
}

function noteOf(
	{ phase, deadline, status, stopping, accepting, seen, unseen, survivors, hung }: ChildStatus,
	now: number,
): string {
	const left = deadline === null ? '' : duration(Math.max(0, deadline - now));
	const wait =
		deadline === null || phase === 'serving'
			? ''
			: phase === 'booting'
				? `must be ready in ${left}`
				: phase === 'verifying'
					? `must accept in ${left}`
					: `SIGKILL in ${left}`;
	return [
		phase === 'orphaned' ? `left ${survivors.join(', ')} behind` : '',
		hung ? 'hangs (-watchdog): SIGABRT was sent' : '',
		wait,
		accepting ? 'still accepts: does it leave on this signal (-signal)?' : '',
		phase === 'serving' && seen === false ? 'unverified' : '',
		unseen === null ? '' : harmless(unseen),
		stopping ? 'is stopping' : '',
		status ? harmless(status) : '',
	]
		.filter(Boolean)
		.join('; ');
}

/** The connection of a draining generation that is idle for longest: it explains why the generation has not ended. */
function longestIdle(state: string, children: ChildStatus[]): string | null {
	if (state !== 'draining') return null;
	const [idle] = children.flatMap(({ peers }) => peers).sort((a, b) => (b.silent ?? 0) - (a.silent ?? 0));
	if (!idle?.address || idle.silent === null) return null;
	return `longest idle: ${harmless(idle.address)}, ${duration(idle.silent)}`;
}
