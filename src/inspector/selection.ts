/** Selections, and their place in the page's address: `#seq=91&g=4&q=timer`. Back and reload return to them. */
import { batch, effect } from '@preact/signals';
import { chosen, connection, filterText, goTo, index, isFollowing, timeline, total } from './store.ts';

let isRestored = false;

/** Selects a generation, and a moment unless that is null. It is a step of the browser's history. */
export function select(generation: number | null, place: number | null): void {
	history.pushState(null, '', addressNow());
	batch(() => {
		chosen.value = { generation, child: null };
		if (place !== null) goTo(place);
	});
}

function addressNow(): string {
	const parts = new URLSearchParams();
	const seq = timeline().entries[index.value]?.fact.seq;
	if (!isFollowing.value && seq !== undefined) parts.set('seq', String(seq));
	if (chosen.value.generation !== null) parts.set('g', String(chosen.value.generation));
	if (filterText.value !== '') parts.set('q', filterText.value);
	const text = parts.toString();
	return text === '' ? location.pathname : `#${text}`;
}

/** The whole address of the page, with what is selected. */
export function linkNow(): string {
	return new URL(addressNow(), location.href).href;
}

/** Selects what the address names. */
function restore() {
	const parts = new URLSearchParams(location.hash.slice(1));
	const [seq, generation] = [parts.get('seq'), parts.get('g')].map((text) =>
		text !== null && /^\d+$/.test(text) ? Number(text) : null,
	);
	batch(() => {
		filterText.value = parts.get('q') ?? '';
		chosen.value = { generation: generation ?? null, child: null };
		goTo(seq === null || seq === undefined ? null : timeline().placeOf(seq));
	});
}

/** Keeps the address and the selection equal. Called once. */
export function followAddress(): void {
	addEventListener('popstate', restore);
	effect(() => {
		// The moment of an address exists only when the facts are read.
		if (isRestored || connection.value === 'loading' || total.value === 0) return;
		isRestored = true;
		restore();
	});
	effect(() => {
		const address = addressNow();
		if (isRestored) history.replaceState(null, '', address);
	});
}
