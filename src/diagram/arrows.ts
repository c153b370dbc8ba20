/** The boxes on the arrows: which transitions share a box, and its text. */
import type { Way } from './chart.ts';
import { describeEvent } from './descriptions.ts';
import { actionText, eventText, guardText } from './phrases.ts';
import { type Font, wrap } from './textWidth.ts';

export interface Line {
	text: string;
	style: 'name' | 'event' | 'if' | 'does' | 'code' | 'note';
}

/** Transitions that share a box: they differ only in their event or their source state. */
export interface JoinedWay {
	ids: string[];
	from: string[];
	to: string | null;
	events: string[];
	/** The whole description, as one or more sentences. */
	sentence: string;
	lines: Line[];
}

export const fonts: Record<Line['style'], Font> = {
	name: { size: 17, isBold: true },
	event: { size: 13, isBold: true },
	if: { size: 12 },
	does: { size: 12 },
	code: { size: 9.5, isMono: true },
	note: { size: 12 },
};

/** The maximum width of a box's text, in pixels. */
const widest = 152;

/** Joins transitions that differ only in their event or, between sibling source states, in their source. */
export function joined(ways: Way[]): JoinedWay[] {
	const groups = new Map<string, Way[]>();
	for (const way of ways) {
		const from = way.to === null ? way.from : outerOf(way.from);
		const key = JSON.stringify([from, way.to, way.guard, way.actions, way.description]);
		groups.set(key, [...(groups.get(key) ?? []), way]);
	}
	return [...groups.values()].map((group) => {
		const [first] = group as [Way];
		const events = [...new Set(group.map(({ event }) => event))];
		return {
			ids: group.map(({ id }) => id),
			from: [...new Set(group.map(({ from }) => from))],
			to: first.to,
			events,
			sentence: sentenceOf(first, events),
			lines: linesOf(first, events),
		};
	});
}

/** For example `SIGHUP asks for a rotation. If a rotation waits its turn: start a generation.` */
function sentenceOf({ guard, actions, description }: Way, events: string[]): string {
	const sentences = events.map(describeEvent).filter((sentence) => sentence !== '');
	const done = actions.flatMap((action) => actionText(action) || []).join(', ');
	const what = done || description || '';
	const then = guard === null ? capital(what) : `If ${guardText(guard)}${what === '' ? '' : `: ${what}`}`;
	return [...(sentences.length > 0 ? sentences : ['At once.']), ...(then === '' ? [] : [`${then}.`])].join(' ');
}

function capital(text: string): string {
	return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The lines of a box: event, condition and actions in plain text, then their names in the code in small type. */
function linesOf({ from, to, guard, actions, description }: Way, events: string[]): Line[] {
	const isAnywhere = to !== null && to !== from && isWithin(to, from);
	const lines = (text: string, style: Line['style']) =>
		text === '' ? [] : wrap(text, fonts[style], widest).map((line): Line => ({ text: line, style }));
	const eventTexts = events.map(eventText).filter((text) => text !== '');
	const condition = guard === null ? '' : `if ${guardText(guard)}`;
	const done = actions.flatMap((action) => actionText(action) || []);
	const code = [
		events.filter((event) => event !== '').join(' '),
		guard === null ? '' : `[${guard}]`,
		actions.length > 0 ? `/ ${actions.join(', ')}` : '',
	];
	return [
		...(isAnywhere ? lines('at any time', 'note') : []),
		...lines(eventTexts.join(' · ') || condition || description || '', 'event'),
		...(eventTexts.length > 0 ? lines(condition, 'if') : []),
		...(done.length > 0 ? lines(`→ ${done.join(', ')}`, 'does') : []),
		...(done.length === 0 && to === null ? lines(description ?? 'noted', 'does') : []),
		...lines(code.filter((part) => part !== '').join(' '), 'code'),
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
