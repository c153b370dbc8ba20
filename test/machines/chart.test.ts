import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fonts } from '../../src/diagram/arrows.ts';
import { type Chart, waysOn } from '../../src/diagram/chart.ts';
import { chartFiles, charts, overviewWays } from '../../src/diagram/chartFiles.ts';
import { describeEvent } from '../../src/diagram/descriptions.ts';
import { actionText, eventText, guardText } from '../../src/diagram/phrases.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const drawn = await chartFiles(read('src/diagram/chart.css'));

describe('docs/statecharts', () => {
	it.each(Object.keys(drawn))('has %s as it follows from the machine (npm run statecharts writes it anew)', (name) => {
		expect(read(`docs/statecharts/${name}`)).toBe(drawn[name]);
	});

	it('has nothing else', () => {
		expect(readdirSync(new URL('../../docs/statecharts', import.meta.url)).sort()).toEqual(Object.keys(drawn).sort());
	});
});

describe.each(charts)('the picture of the $id', ({ id, states, ways }) => {
	const picture = drawn[`${id}.svg`] ?? '';

	it('shows every state, and each says in a sentence what it is', () => {
		for (const { id, description } of states) {
			expect(description).toMatch(/^[A-Z].*[.?]$/);
			if (id !== '') expect(picture).toContain(`data-state="${id}"`);
		}
	});

	it('shows every way that changes the state, in words for its event, its condition and what is done', () => {
		const shown = [...picture.matchAll(/data-ways="([^"]*)"/g)].flatMap(([, ids = '']) => ids.split(' '));
		const escaped = (text: string) => text.replaceAll(' ', '_');
		const between = ways.filter(({ from, to }) => to !== null && to !== from);
		expect(shown.map(escaped).sort()).toEqual(between.map((way) => escaped(way.id)).sort());
		for (const { event, guard, actions } of ways) {
			if (event !== '') expect(describeEvent(event)).toMatch(/^[A-Z].*\.$/);
			if (event !== '') expect(eventText(event, id)).not.toBe('');
			if (guard !== null) expect(guardText(guard)).not.toBe('');
			for (const action of actions) expect(actionText(action)).toBeDefined();
		}
	});

	it('is legible where it is 838 pixels wide: no text is smaller than 11 pixels', () => {
		const [, width = 0] = picture.match(/viewBox="0 0 (\d+)/)?.map(Number) ?? [];
		const scale = Math.min(1, 838 / width);
		for (const { size } of Object.values(fonts)) expect(size * scale).toBeGreaterThanOrEqual(11);
		expect(picture).not.toContain('textLength');
	});

	it('has no line through a label, a state or a text, and no box that leaves the picture', () => {
		const [, width = 0, height = 0] = picture.match(/viewBox="0 0 (\d+) (\d+)"/)?.map(Number) ?? [];
		const boxes = [
			...picture.matchAll(
				/<g class="(way|state atomic|state final)[^>]*>.*?<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"/g,
			),
		]
			.filter(([whole]) => !whole.includes('legend'))
			.map(([, , ...numbers]) => {
				const [x = 0, y = 0, wide = 0, high = 0] = numbers.map(Number);
				return { left: x, top: y, right: x + wide, bottom: y + high };
			});
		expect(boxes.length).toBeGreaterThan(states.length);
		for (const { left, top, right, bottom } of boxes) {
			expect(Math.min(left, top)).toBeGreaterThanOrEqual(0);
			expect(right).toBeLessThanOrEqual(width);
			expect(bottom).toBeLessThanOrEqual(height);
		}
		const lines = [...picture.matchAll(/<path class="(?:arrow|begin)[^"]*"[^>]* d="([^"]*)"/g)].map(([, d = '']) =>
			[...d.matchAll(/([\d.]+) ([\d.]+)/g)].map(([, x, y]) => ({ x: Number(x), y: Number(y) })),
		);
		expect(lines.length).toBeGreaterThan(5);
		const crossings = lines.flatMap((points) =>
			points.slice(1).flatMap((to, order) => {
				const from = points[order] as { x: number; y: number };
				// A line begins and ends at the edge of a box.
				return boxes.filter(
					({ left, top, right, bottom }) =>
						Math.max(from.x, to.x) > left + 1.5 &&
						Math.min(from.x, to.x) < right - 1.5 &&
						Math.max(from.y, to.y) > top + 1.5 &&
						Math.min(from.y, to.y) < bottom - 1.5,
				);
			}),
		);
		expect(crossings).toEqual([]);
	});
});

describe('the overview of the supervisor', () => {
	const { states, ways } = charts[0] as Chart;

	it('shows only ways that the machine has, through states that it leaves out', () => {
		const idOf = (key: string) => states.find((state) => state.key === key)?.id ?? '';
		for (const [from, to] of overviewWays) {
			const hidden = ['settling', 'checking', 'baking', 'unserved'].map(idOf);
			const seen = new Set([idOf(from)]);
			for (const at of seen)
				for (const way of ways) {
					const isFrom = way.from === at || at.startsWith(`${way.from}.`);
					if (isFrom && way.to !== null && (hidden.includes(way.to) || way.to === idOf(to))) seen.add(way.to);
				}
			expect(seen).toContain(idOf(to));
		}
	});

	it('is no wider than a page of text', () => {
		const [, width = 0] = drawn['overview.svg']?.match(/viewBox="0 0 (\d+)/)?.map(Number) ?? [];
		expect((838 / width) * 12).toBeGreaterThanOrEqual(11);
	});
});

describe('the ways that are possible', () => {
	const supervisor = charts[0] as Chart;
	const on = (state: string, event: string) => waysOn(supervisor, state, event).map(({ id }) => id);

	it('are those of the innermost state that takes the event without a condition', () => {
		expect(on('alive.stopping', 'signal.USR1')).toEqual(['alive.stopping|signal.USR1|0']);
		expect(on('alive.running', 'signal.USR1')).toEqual(['alive|signal.USR1|0']);
		expect(on('stopped', 'signal.HUP')).toEqual([]);
	});

	it('are those of the states around it too, where each has a condition', () => {
		expect(on('alive.starting', 'xstate.done.actor.*')).toEqual([
			'alive.starting|xstate.done.actor.*|0',
			'alive|xstate.done.actor.*|0',
			'alive|xstate.done.actor.*|1',
			'alive|xstate.done.actor.*|2',
		]);
	});
});

it('a page says for each state and each event what happens', () => {
	const page = drawn['supervisor.md'] ?? '';
	const header = page.split('\n').find((line) => line.startsWith('|') && line.includes('**running**')) ?? '';
	const column = header.split(' | ').indexOf('**running**');
	const cell = (event: string) =>
		page
			.split('\n')
			.find((line) => line.startsWith(`| \`${event}\` |`))
			?.split(' | ')[column];
	expect(cell('signal.HUP')).toBe('→ rotating');
	expect(cell('signal.TERM')).toBe('→ stopping');
	expect(cell('signal.QUIT')).toBe('stays');
	expect(cell('supervisor.started')).toBe('·');
});
