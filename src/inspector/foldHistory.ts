/** A fold over a growing list whose value after any entry can be read. */

/** Every 256th entry has a copy of the value, so a look back folds at most 255 entries. */
const distance = 256;

interface Fold<Entry, Value> {
	initial: () => Value;
	/** May change the value that is passed in. */
	next: (before: Value, entry: Entry) => Value;
	/** A copy that `next` does not change. */
	copyOf: (value: Value) => Value;
}

export class FoldHistory<Entry, Value> {
	readonly #entries: readonly Entry[];
	readonly #fold: Fold<Entry, Value>;
	readonly #copies: Value[] = [];
	#newest: Value;

	/** @param entries a list that is empty, and that grows */
	constructor(entries: readonly Entry[], fold: Fold<Entry, Value>) {
		this.#entries = entries;
		this.#fold = fold;
		this.#newest = fold.initial();
	}

	/** The value after all entries. */
	get newest(): Value {
		return this.#newest;
	}

	/** Folds the entry that was added to the list last. */
	advance(): void {
		const index = this.#entries.length - 1;
		this.#newest = this.#fold.next(this.#newest, this.#entries[index] as Entry);
		if (index % distance === 0) this.#copies.push(this.#fold.copyOf(this.#newest));
	}

	/** The value after an entry; the initial value before the first entry. */
	at(index: number): Value {
		if (index < 0) return this.#fold.initial();
		if (index === this.#entries.length - 1) return this.#newest;
		const first = Math.floor(index / distance);
		let value = this.#fold.copyOf(this.#copies[first] as Value);
		for (let place = first * distance + 1; place <= index; place += 1) {
			value = this.#fold.next(value, this.#entries[place] as Entry);
		}
		return value;
	}
}
