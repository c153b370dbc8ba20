/** The events that one page receives of a source. */
import { describe, expect, it } from 'vitest';
import { lastEventOf, PageEvents } from '../../../src/effects/inspect/pageEvents.ts';
import type { Item } from '../../../src/effects/inspect/source.ts';
import type { Fact } from '../../../src/machines/facts/facts.ts';

const source = (run: string | null) => ({
	name: 'a journal',
	isImagined: false,
	run,
	program: null,
	pid: null,
	listeners: [],
	isWritten: true,
});
const begins = (run: string | null): Item => ({ type: 'begins', source: source(run) });
const lines = (...seqs: number[]): Item => ({
	type: 'lines',
	lines: seqs.map((seq): Fact => ({ seq, at: 0, type: 'signal.HUP' })),
	progress: 1,
});

/** The fields of an event. */
function fieldsOf(text: string | null) {
	const field = (name: string) => text?.match(new RegExp(`^${name}: (.*)$`, 'm'))?.[1] ?? null;
	const data = JSON.parse(field('data') ?? 'null');
	return { id: field('id'), event: field('event'), seqs: data?.lines?.map(({ seq }: Fact) => seq) };
}

describe('the id of the last event', () => {
	const read = (last: string | undefined, url = '/facts') =>
		lastEventOf({ headers: last === undefined ? {} : { 'last-event-id': last }, url });

	it('names a run, which is URI-encoded, and a fact of it', () => {
		expect(read('a%20run 12')).toEqual({ run: 'a run', seq: 12 });
	});

	it('is read from the query where the header is missing', () => {
		expect(read(undefined, '/facts?after=one%203')).toEqual({ run: 'one', seq: 3 });
		expect(read('two 4', '/facts?after=one%203')).toEqual({ run: 'two', seq: 4 });
	});

	it('is ignored if it is not of this form', () => {
		for (const last of [undefined, '', 'one', 'one -1', 'one 1 2', 'one 1234567890123456', ' 1'])
			expect(read(last)).toBeNull();
	});

	it('names no run if the run is not URI-encoded', () => {
		expect(read('%E0%A4%A 3')).toEqual({ run: '', seq: 3 });
	});
});

describe('a page', () => {
	it('that has nothing receives a beginning and all facts, with the run and the last fact as the id', () => {
		const events = new PageEvents(0);
		expect(fieldsOf(events.textOf(begins('a run')))).toMatchObject({ event: 'begins' });
		expect(fieldsOf(events.textOf(lines(1, 2)))).toEqual({ id: 'a%20run 2', event: 'lines', seqs: [1, 2] });
	});

	it('that has facts of the timeline receives those after them', () => {
		const events = new PageEvents(2);
		expect(fieldsOf(events.textOf(begins('one')))).toMatchObject({ event: 'goesOn' });
		expect(events.textOf(lines(1, 2))).toBeNull();
		expect(fieldsOf(events.textOf(lines(2, 3)))).toMatchObject({ seqs: [3] });
	});

	it('receives all facts of a timeline that begins after its own', () => {
		const events = new PageEvents(2);
		events.textOf(begins('one'));
		expect(fieldsOf(events.textOf(begins('two')))).toMatchObject({ event: 'begins' });
		expect(fieldsOf(events.textOf(lines(1, 2)))).toMatchObject({ id: 'two 2', seqs: [1, 2] });
	});

	it('is told once that it is live', () => {
		const events = new PageEvents(0);
		expect(events.textOf({ type: 'live' })).toBe('event: live\ndata: null\n\n');
		expect(events.textOf({ type: 'live' })).toBeNull();
	});

	it('is told why nothing follows', () => {
		expect(new PageEvents(0).textOf({ type: 'ended', why: 'it is gone' })).toBe('event: ended\ndata: "it is gone"\n\n');
	});
});
