/** The boxes on the arrows: which transitions share a box, and its text. */
import type { Chart, Way } from './chart.ts';
import { describeEvent } from './descriptions.ts';
import { actionText, eventText, guardText } from './phrases.ts';
import { type Font, wrap } from './textWidth.ts';

export interface Line {
	text: string;
	style: 'name' | 'event' | 'if' | 'note';
}

/** Transitions that share a box: they lead from the same states to the same state. */
export interface JoinedWay {
	ids: string[];
	from: string[];
	to: string | null;
	events: string[];
	/** The source states from which it is the way that a supervisor goes when all is well. */
	main: string[];
	/** The whole description: a sentence or more for each transition. */
	sentence: string;
	lines: Line[];
}

export const fonts: Record<Line['style'], Font> = {
	name: { size: 16, isBold: true },
	event: { size: 12.5 },
	if: { size: 12 },
	note: { size: 12 },
};

/** The maximum width of a box's text, in pixels. */
const widest = 124;

/** The event of a supervisor that goes on where an earlier one was: drawn once, as a history pseudo-state. */
export const resumed = 'supervisor.recovered';

/**
 * Joins all transitions between two states into one; then those of sibling states to the same state that say the same.
 * Transitions that stay in their state are left out: the tables have them.
 */
export function joined({ id: chart, ways }: Chart, isMain: (way: Pick<Way, 'from' | 'to'>) => boolean): JoinedWay[] {
	const between = new Map<string, Way[]>();
	for (const way of ways) {
		if (way.to === null || way.to === way.from || isResumed(way)) continue;
		const key = JSON.stringify([way.from, way.to]);
		between.set(key, [...(between.get(key) ?? []), way]);
	}
	const groups = new Map<string, Way[]>();
	for (const group of between.values()) {
		const [first] = group as [Way];
		const key = JSON.stringify([outerOf(first.from), first.to, linesOf(chart, group).map(({ text }) => text)]);
		groups.set(key, [...(groups.get(key) ?? []), ...group]);
	}
	return [...groups.values()].map((group) => {
		const [first] = group as [Way];
		const own = group.filter(({ from }) => from === first.from);
		return {
			ids: group.map(({ id }) => id),
			from: [...new Set(group.map(({ from }) => from))],
			to: first.to,
			events: [...new Set(group.map(({ event }) => event))],
			main: group.filter(isMain).map(({ from }) => from),
			sentence: own.map(sentenceOf).join(' '),
			lines: linesOf(chart, own),
		};
	});
}

/** Whether the transition leads to where an earlier supervisor was. */
export function isResumed({ event, from, to }: Way): boolean {
	return event === resumed && to !== null && isWithin(to, from) && to !== from;
}

/** For example `SIGHUP asks for a rotation. If a rotation waits its turn: start a generation.` */
function sentenceOf({ event, guard, actions, description }: Way): string {
	const sentence = describeEvent(event);
	const done = actions.flatMap((action) => actionText(action) || []).join(', ');
	const what = done || description || '';
	const then = guard === null ? capital(what) : `If ${guardText(guard)}${what === '' ? '' : `: ${what}`}`;
	return [sentence || 'At once.', ...(then === '' ? [] : [`${then}.`])].join(' ');
}

function capital(text: string): string {
	return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The lines of a box: its events, and the condition if there is one alone. */
function linesOf(chart: string, group: Way[]): Line[] {
	const [{ from, to, guard, description }] = group as [Way];
	const isAnywhere = to !== null && to !== from && isWithin(to, from);
	const lines = (text: string, style: Line['style']) =>
		text === '' ? [] : wrap(text, fonts[style], widest).map((line): Line => ({ text: line, style }));
	const events = [...new Set(group.map(({ event }) => eventText(event, chart)).filter((text) => text !== ''))];
	const isAlone = group.length === 1;
	const condition = isAlone && guard !== null ? `[${guardText(guard)}]` : '';
	return [
		...(isAnywhere ? lines('at any time', 'note') : []),
		...lines(events.join(', ') || (isAlone ? '' : 'at once'), 'event'),
		...(condition === '' && events.length === 0 && isAlone ? lines(description ?? 'at once', 'event') : []),
		...lines(condition, 'if'),
	];
}

/** The id of the parent state. */
export function outerOf(id: string): string {
	return id.split('.').slice(0, -1).join('.');
}

/** Whether `inner` is `outer` or a descendant of it, by their ids. */
export function isWithin(inner: string, outer: string): boolean {
	return outer === '' || inner === outer || inner.startsWith(`${outer}.`);
}
