/** The list of events, each with the decisions that it led to folded into it. Only the visible rows are rendered. */
import { computed, effect, signal } from '@preact/signals';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef } from 'preact/hooks';
import { plainText } from './detail.tsx';
import { actorOf, type Entry } from './entry.ts';
import { branch, dropped, goTo, index, onDrop, filterText as text, timeline, total } from './store.ts';
import { clockTime, date } from './times.ts';

const rowHeight = 26;

const kind = signal<'' | Entry['kind']>('');
const type = signal('');
const actor = signal('');

/** The events whose decisions are shown, by the number of their fact. */
const unfolded = signal<ReadonlySet<number>>(new Set());

effect(() => {
	onDrop.value;
	unfolded.value = new Set();
});

const isFiltered = computed(() => text.value !== '' || kind.value !== '' || type.value !== '' || actor.value !== '');

/** The rows so far. While the filter and the folds are unchanged, only entries after `upTo` are added. */
let found: { key: string; of: unknown; upTo: number; places: number[] } = { key: '', of: null, upTo: 0, places: [] };

/** The indexes of the entries that have a row: those that match the filter; without one, all that no event folds away. */
const rowPlaces = computed<readonly number[]>(() => {
	const { entries } = timeline();
	const length = total.value;
	const key = JSON.stringify([text.value, kind.value, type.value, actor.value, [...unfolded.value]]);
	if (found.key !== key || found.of !== entries) found = { key, of: entries, upTo: 0, places: [] };
	const words = text.value.toLowerCase();
	const places = [...found.places];
	for (let at = found.upTo; at < length; at += 1) {
		const entry = entries[at] as Entry;
		if (!isFiltered.value) {
			if (entry.kind !== 'decision' || entry.upon === null || unfolded.value.has(entry.upon)) places.push(at);
			continue;
		}
		if (kind.value !== '' && entry.kind !== kind.value) continue;
		if (type.value !== '' && entry.fact.type !== type.value) continue;
		if (actor.value !== '' && actorOf(entry.fact) !== actor.value) continue;
		if (words !== '' && !textOf(entry).includes(words)) continue;
		places.push(at);
	}
	found = { key, of: entries, upTo: length, places };
	return places;
});

function textOf({ fact, says }: Entry): string {
	return `${JSON.stringify(fact)} ${says?.text ?? ''}`.toLowerCase();
}

export function Events() {
	const count = rowPlaces.value.length;
	return (
		<section class="events" aria-labelledby="events-title">
			<h2 id="events-title">
				Events{' '}
				<span class="quiet">
					{isFiltered.value ? `${count} of ${total.value}` : total.value}
					{branch.value ? ', what if' : ''}
					{dropped.value > 0 ? `; the ${dropped.value} oldest were dropped` : ''}
				</span>
			</h2>
			<Filters />
			{count === 0 && isFiltered.value ? (
				<p class="none" role="status">
					No event matches{text.value === '' ? '' : ` “${text.value}”`}.{' '}
					<button type="button" onClick={clear}>
						Clear
					</button>
				</p>
			) : (
				<List />
			)}
		</section>
	);
}

function clear() {
	for (const each of [text, kind, type, actor]) each.value = '';
}

function Filters() {
	const types = new Set(timeline().types);
	if (type.value !== '') types.add(type.value);
	return (
		<form class="filters" onSubmit={(event) => event.preventDefault()}>
			<input
				id="filter"
				type="search"
				placeholder="Filter ( / )"
				aria-label="Show only events with this text"
				value={text.value}
				onInput={(event) => {
					text.value = event.currentTarget.value;
				}}
			/>
			<select
				aria-label="Show only events of this kind"
				value={kind.value}
				onChange={(event) => {
					kind.value = event.currentTarget.value as typeof kind.value;
				}}
			>
				<option value="">all kinds</option>
				<option value="external">▶ events from outside</option>
				<option value="decision">◆ decisions</option>
			</select>
			<select
				aria-label="Show only events of this type"
				value={type.value}
				onChange={(event) => {
					type.value = event.currentTarget.value;
				}}
			>
				<option value="">all types</option>
				{[...types].sort().map((each) => (
					<option key={each} value={each}>
						{each}
					</option>
				))}
			</select>
			<input
				aria-label="Show only events about this actor, for example child.2"
				placeholder="actor: child.2"
				value={actor.value}
				onInput={(event) => {
					actor.value = event.currentTarget.value.trim().replace(' ', '.');
				}}
			/>
		</form>
	);
}

function List() {
	const room = useRef<HTMLDivElement>(null);
	const places = rowPlaces.value;
	const count = places.length;
	const rows = useVirtualizer({
		count,
		getScrollElement: () => room.current,
		estimateSize: () => rowHeight,
		overscan: 12,
	});
	const row = rowOf(index.value);
	useEffect(() => {
		if (row >= 0) rows.scrollToIndex(row, { align: 'auto' });
	}, [row, count === 0, isFiltered.value]);

	/** The row of an entry. If it has none, the row of the last entry before it that has one; -1 if there is none. */
	function rowOf(place: number): number {
		let [low, high] = [0, places.length];
		while (low < high) {
			const middle = (low + high) >> 1;
			if ((places[middle] ?? 0) <= place) low = middle + 1;
			else high = middle;
		}
		return low - 1;
	}

	const move = (event: KeyboardEvent) => {
		const fold = { ArrowRight: true, ArrowLeft: false }[event.key];
		const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15 }[event.key];
		if (step === undefined && fold === undefined) return;
		event.preventDefault();
		event.stopPropagation();
		if (fold !== undefined) return unfold(timeline().stepOf(index.value)?.fact.seq ?? 0, fold);
		const next = Math.max(0, Math.min(count - 1, row + (step ?? 0)));
		if (count > 0) goTo(places[next] ?? 0);
	};

	return (
		<div
			class="list"
			ref={room}
			role="listbox"
			tabIndex={0}
			aria-label="Events, oldest first"
			aria-activedescendant={row >= 0 ? `event-${row}` : undefined}
			onKeyDown={move}
		>
			<div class="whole" style={{ height: `${rows.getTotalSize()}px` }}>
				{rows.getVirtualItems().map((item) => {
					const place = places[item.index] ?? 0;
					const entry = timeline().entries[place];
					return (
						entry && (
							<Row
								key={item.key}
								entry={entry}
								place={place}
								row={item.index}
								top={item.start}
								count={count}
								isCurrent={item.index === row}
								isNewDay={item.index > 0 && isNewDay(places[item.index - 1] ?? 0, place)}
							/>
						)
					);
				})}
			</div>
		</div>
	);
}

function isNewDay(before: number, place: number): boolean {
	return date(timeline().timeAt(before)) !== date(timeline().timeAt(place));
}

function unfold(seq: number, isShown: boolean) {
	const next = new Set(unfolded.value);
	if (isShown) next.add(seq);
	else next.delete(seq);
	unfolded.value = next;
}

interface RowProps {
	entry: Entry;
	place: number;
	row: number;
	top: number;
	count: number;
	isCurrent: boolean;
	isNewDay: boolean;
}

function Row({ entry, place, row, top, count, isCurrent, isNewDay }: RowProps) {
	const { fact, kind, says, difference, isLife } = entry;
	const led = kind === 'external' && !isFiltered.value ? timeline().decidedUpon(place).length : 0;
	const isUnfolded = unfolded.value.has(fact.seq);
	const classes = [
		'row',
		kind,
		place > index.value ? 'later' : '',
		says?.level === 'error' ? 'bad' : says?.level === 'warn' ? 'warn' : '',
		isLife && place > 0 ? 'life' : '',
	];
	return (
		<div
			id={`event-${row}`}
			class={classes.join(' ')}
			role="option"
			tabIndex={-1}
			aria-selected={isCurrent}
			aria-posinset={row + 1}
			aria-setsize={count}
			style={{ transform: `translateY(${top}px)` }}
			title={`${fact.seq} ${fact.type}, ${date(fact.at)}`}
			onClick={(event) => {
				goTo(place);
				if ((event.target as Element).closest('.fold')) unfold(fact.seq, !isUnfolded);
			}}
		>
			<span class="seq">{fact.seq}</span>
			<span class="at">
				{isNewDay ? `${date(fact.at)} ` : ''}
				{clockTime(fact.at)}
			</span>
			<span class="fold" aria-hidden="true">
				{kind === 'decision' ? '◆' : led > 0 ? (isUnfolded ? '▾' : '▸') : kind === 'checkpoint' ? '■' : '▶'}
			</span>
			<span class="type">{fact.type}</span>
			<span class="words">{difference ? `⚠ ${difference}` : (says?.text ?? plainText(fact))}</span>
			{led > 0 && !isUnfolded && <span class="led quiet">→ {led === 1 ? '1 decision' : `${led} decisions`}</span>}
		</div>
	);
}
