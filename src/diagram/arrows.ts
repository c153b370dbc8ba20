/** What stands on the arrows: which ways share a box, and what is written into it. */
import type { Way } from './chart.ts';
import { describeEvent } from './descriptions.ts';
import { actionText, eventText, guardText } from './phrases.ts';
import { type Font, wrap } from './textWidth.ts';

export interface Line {
	text: string;
	style: 'name' | 'event' | 'if' | 'does' | 'code' | 'note';
}

/** Ways that differ in their event, or in where they come from, alone are one. */
export interface JoinedWay {
	ids: string[];
	from: string[];
	to: string | null;
	events: string[];
	/** All of it in one sentence or more. */
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

/** So wide a box's text may be, in pixels. */
const widest = 152;

/** Ways that differ in their event, or in the state beside it that they come from, alone are one. */
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

/** `SIGHUP asks for a rotation. If a rotation waits its turn: start a generation.` */
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

/** What happens in an operator's words, and the code's names small. */
function linesOf({ from, to, guard, actions, description }: Way, events: string[]): Line[] {
	const isAnywhere = to !== null && to !== from && isWithin(to, from);
	const lines = (text: string, style: Line['style']) =>
		text === '' ? [] : wrap(text, fonts[style], widest).map((line): Line => ({ text: line, style }));
	const words = events.map(eventText).filter((text) => text !== '');
	const condition = guard === null ? '' : `if ${guardText(guard)}`;
	const done = actions.flatMap((action) => actionText(action) || []);
	const code = [
		events.filter((event) => event !== '').join(' '),
		guard === null ? '' : `[${guard}]`,
		actions.length > 0 ? `/ ${actions.join(', ')}` : '',
	];
	return [
		...(isAnywhere ? lines('at any time', 'note') : []),
		...lines(words.join(' · ') || condition || description || '', 'event'),
		...(words.length > 0 ? lines(condition, 'if') : []),
		...(done.length > 0 ? lines(`→ ${done.join(', ')}`, 'does') : []),
		...(done.length === 0 && to === null ? lines(description ?? 'noted', 'does') : []),
		...lines(code.filter((part) => part !== '').join(' '), 'code'),
	];
}

/** The state around a state. */
export function outerOf(id: string): string {
	return id.split('.').slice(0, -1).join('.');
}

/** Whether a state is another one, or within it. */
export function isWithin(inner: string, outer: string): boolean {
	return outer === '' || inner === outer || inner.startsWith(`${outer}.`);
}
