/** The list of facts. Only the visible rows are rendered, as a list can be long. */
import { computed, signal } from '@preact/signals';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef } from 'preact/hooks';
import { Detail, errorText } from './detail.tsx';
import { actorOf, type Entry } from './entry.ts';
import { branch, goTo, index, timeline, total } from './store.ts';
import { clockTime } from './times.ts';

const rowHeight = 28;

const text = signal('');
const kind = signal<'' | Entry['kind']>('');
const type = signal('');
const actor = signal('');

const isFiltered = computed(() => text.value !== '' || kind.value !== '' || type.value !== '' || actor.value !== '');

/** The matches so far. While the filter is unchanged, only entries after `upTo` are tested. */
let found: { key: string; of: unknown; upTo: number; slots: number[] } = { key: '', of: null, upTo: 0, slots: [] };

/** The indexes of the entries that match the filter; null if there is no filter. */
const slots = computed<number[] | null>(() => {
	const { entries } = timeline();
	const length = total.value;
	if (!isFiltered.value) return null;
	const key = JSON.stringify([text.value, kind.value, type.value, actor.value]);
	if (found.key !== key || found.of !== entries) found = { key, of: entries, upTo: 0, slots: [] };
	const words = text.value.toLowerCase();
	const matched = [...found.slots];
	for (let at = found.upTo; at < length; at += 1) {
		const entry = entries[at] as Entry;
		if (kind.value !== '' && entry.kind !== kind.value) continue;
		if (type.value !== '' && entry.fact.type !== type.value) continue;
		if (actor.value !== '' && actorOf(entry.fact) !== actor.value) continue;
		if (words !== '' && !textOf(entry).includes(words)) continue;
		matched.push(at);
	}
	found = { key, of: entries, upTo: length, slots: matched };
	return matched;
});

function textOf({ fact, says }: Entry): string {
	return `${JSON.stringify(fact)} ${says?.text ?? ''}`.toLowerCase();
}

export function Facts() {
	const count = slots.value?.length ?? total.value;
	return (
		<section class="facts" aria-labelledby="facts-title">
			<h2 id="facts-title">
				Facts{' '}
				<span class="quiet">
					{isFiltered.value ? `${count} of ${total.value}` : total.value}
					{branch.value ? ', imagined' : ''}
				</span>
			</h2>
			<Filters />
			<List />
			<Detail />
		</section>
	);
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
				aria-label="Show only facts with this text"
				value={text.value}
				onInput={(event) => {
					text.value = event.currentTarget.value;
				}}
			/>
			<select
				aria-label="Show only facts of this kind"
				value={kind.value}
				onChange={(event) => {
					kind.value = event.currentTarget.value as typeof kind.value;
				}}
			>
				<option value="">all kinds</option>
				<option value="external">▶ external events</option>
				<option value="decision">◆ decisions</option>
			</select>
			<select
				aria-label="Show only facts of this type"
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
				aria-label="Show only facts about this actor, for example child.2"
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
	const shown = slots.value;
	const count = shown?.length ?? total.value;
	const rows = useVirtualizer({
		count,
		getScrollElement: () => room.current,
		estimateSize: () => rowHeight,
		overscan: 12,
	});
	const row = rowOf(index.value);
	useEffect(() => {
		if (row >= 0) rows.scrollToIndex(row, { align: 'auto' });
	}, [row, count === 0, shown === null]);

	/** The row of an entry. If the filter hides the entry, the row of the last visible entry before it; -1 if none. */
	function rowOf(place: number): number {
		if (!shown) return place;
		let [low, high] = [0, shown.length];
		while (low < high) {
			const middle = (low + high) >> 1;
			if ((shown[middle] ?? 0) <= place) low = middle + 1;
			else high = middle;
		}
		return low - 1;
	}

	const move = (event: KeyboardEvent) => {
		const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15 }[event.key];
		if (step === undefined) return;
		event.preventDefault();
		const next = Math.max(0, Math.min(count - 1, row + step));
		if (count > 0) goTo(shown ? (shown[next] ?? 0) : next);
	};

	return (
		<div
			class="list"
			ref={room}
			role="listbox"
			tabIndex={0}
			aria-label="Facts, oldest first"
			aria-activedescendant={row >= 0 ? `fact-${row}` : undefined}
			onKeyDown={move}
		>
			<div class="whole" style={{ height: `${rows.getTotalSize()}px` }}>
				{rows.getVirtualItems().map((item) => {
					const place = shown ? (shown[item.index] ?? 0) : item.index;
					const entry = timeline().entries[place];
					return (
						entry && <Row key={item.key} entry={entry} place={place} row={item.index} top={item.start} count={count} />
					);
				})}
			</div>
		</div>
	);
}

interface RowProps {
	entry: Entry;
	place: number;
	row: number;
	top: number;
	count: number;
}

function Row({ entry, place, row, top, count }: RowProps) {
	const { fact, kind, says, difference } = entry;
	const classes = [
		'row',
		kind,
		place > index.value ? 'later' : '',
		says?.level === 'error' ? 'bad' : says?.level === 'warn' ? 'warn' : '',
	];
	return (
		<div
			id={`fact-${row}`}
			class={classes.join(' ')}
			role="option"
			tabIndex={-1}
			aria-selected={place === index.value}
			aria-posinset={row + 1}
			aria-setsize={count}
			style={{ transform: `translateY(${top}px)` }}
			onClick={() => goTo(place)}
		>
			<span class="seq">{fact.seq}</span>
			<span class="at">{clockTime(fact.at)}</span>
			<span class="mark" role="img" aria-label={kind}>
				{kind === 'decision' ? '◆' : kind === 'external' ? '▶' : '■'}
			</span>
			<span class="type">{fact.type}</span>
			<span class="words">{difference ? `⚠ ${difference}` : (says?.text ?? errorText(fact))}</span>
		</div>
	);
}
