/** What the pages of a browser are told by the worker that they share. */
import { describe, expect, it } from 'vitest';
import { newPages } from '../../src/inspector/pages.ts';
import { newTimeline } from '../../src/inspector/timeline.ts';
import type { Told } from '../../src/inspector/worker.ts';
import type { Source } from '../../src/machines/facts/feed.ts';
import { running } from '../support/simulation.ts';
import { storyOf } from './history.ts';

const source: Source = {
	name: '/run/app/journal',
	isImagined: false,
	run: 'a',
	program: '1',
	pid: 1,
	listeners: [],
	isWritten: true,
};
const { entries } = storyOf(running().signal('HUP').spawned(2).wait(3000).up(2).exited(1).history);

function page() {
	const told: Told[] = [];
	return { told, postMessage: (message: Told) => void told.push(message) };
}

const begun = (limits?: Parameters<typeof newPages>[0]) => {
	const pages = newPages(limits);
	pages.tell({ type: 'begins', source, dropped: 0 });
	pages.tell({ type: 'entries', entries, progress: 1 });
	pages.tell({ type: 'live' });
	return pages;
};

describe('a page that comes later', () => {
	it('is told all entries and that they are all, also after the supervisor has exited', () => {
		const pages = begun();
		pages.tell({ type: 'goesOn', source: { ...source, isWritten: false } });
		const late = page();
		pages.welcome(late);
		expect(late.told.map(({ type }) => type)).toEqual(['begins', 'entries', 'live']);
		expect(late.told[0]).toMatchObject({ source: { isWritten: false } });
		expect(late.told[1]).toMatchObject({ entries, progress: 1 });
	});

	it.each<Told>([
		{ type: 'lost' },
		{ type: 'ended', why: 'line 9 is no fact' },
		{ type: 'waits', why: 'no supervisor answers' },
	])('is told %o', (state) => {
		const pages = newPages();
		pages.tell(state);
		const late = page();
		pages.welcome(late);
		expect(late.told).toEqual([state]);
	});

	it('can go on from a snapshot where the oldest entries were dropped, and is told how many', () => {
		const pages = begun({ most: 10, kept: 6 });
		const late = page();
		pages.welcome(late);
		const [first, second] = late.told;
		expect(first).toMatchObject({ type: 'begins', dropped: entries.length - 6 });
		if (second?.type !== 'entries') throw new Error('no entries');
		const timeline = newTimeline();
		for (const entry of second.entries) timeline.append(entry);
		const whole = storyOf(entries.map(({ fact }) => fact));
		expect(timeline.stateAt(timeline.entries.length - 1)).toEqual(whole.stateAt(entries.length - 1));
		expect([...timeline.standingsAt(timeline.entries.length - 1)]).toEqual([...whole.standingsAt(entries.length - 1)]);
	});

	it('is told what follows, until it leaves', () => {
		const pages = begun();
		const late = page();
		pages.welcome(late);
		pages.tell({ type: 'lost' });
		pages.leave(late);
		pages.tell({ type: 'live' });
		expect(late.told.at(-1)).toEqual({ type: 'lost' });
	});
});
