import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Chart, waysOn } from '../../src/diagram/chart.ts';
import { chartFiles, charts } from '../../src/diagram/chartFiles.ts';
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

	it('shows every way between them, in words for its event, its condition and what is done', () => {
		const shown = [...picture.matchAll(/data-ways="([^"]*)"/g)].flatMap(([, ids = '']) => ids.split(' '));
		const escaped = (text: string) => text.replaceAll(' ', '_');
		expect(shown.map(escaped).sort()).toEqual(ways.map((way) => escaped(way.id)).sort());
		for (const { event, guard, actions } of ways) {
			if (event !== '') expect(describeEvent(event)).toMatch(/^[A-Z].*\.$/);
			if (event !== '') expect(eventText(event)).not.toBe('');
			if (guard !== null) expect(guardText(guard)).not.toBe('');
			for (const action of actions) expect(actionText(action)).toBeDefined();
		}
	});

	it('has no text that leaves its picture or lies over another one', () => {
		const [, width = 0, height = 0] = picture.match(/viewBox="0 0 (\d+) (\d+)"/)?.map(Number) ?? [];
		const texts = [...picture.matchAll(/<text class="\w+" x="([\d.]+)" y="([\d.]+)" textLength="(\d+)"/g)].map(
			(match) => {
				const [, x = 0, y = 0, length = 0] = match.map(Number);
				return { left: x, right: x + length, top: y - 8, bottom: y };
			},
		);
		expect(texts.length).toBeGreaterThan(states.length);
		for (const [index, text] of texts.entries()) {
			expect(text.left).toBeGreaterThanOrEqual(0);
			expect(text.right).toBeLessThanOrEqual(width);
			expect(text.bottom).toBeLessThanOrEqual(height);
			for (const other of texts.slice(index + 1)) {
				const isOver =
					text.left < other.right && other.left < text.right && text.top < other.bottom && other.top < text.bottom;
				expect(isOver).toBe(false);
			}
		}
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
