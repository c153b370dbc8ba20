/** What a chatty child (test/fixtures/server.mjs) has left in the log. */
export interface ChildStory {
	pid: string;
	/** The numbers of its lines as they stand in the log. */
	numbers: number[];
	/** How often it was told to leave. */
	told: number;
	/** How many lines it has printed, by its own last word; null when that is missing. */
	printed: number | null;
}

/** Sorts a log by child. */
export function storiesOf(log: string): ChildStory[] {
	const stories = new Map<string, ChildStory>();
	for (const [, pid = '', text = ''] of log.matchAll(/^socketmaster\S+ \S+ \S+ \[(\d+)\] (.*)$/gm)) {
		const timeline = stories.get(pid) ?? { pid, numbers: [], told: 0, printed: null };
		stories.set(pid, timeline);
		const [kind, number] = text.split(' ');
		if (kind === 'line') timeline.numbers.push(Number(number));
		if (kind === 'told') timeline.told += 1;
		if (kind === 'printed') timeline.printed = Number(number);
	}
	return [...stories.values()];
}

/** The numbers from 1 on. */
export function counting(to: number): number[] {
	return Array.from({ length: to }, (_, index) => index + 1);
}

/** A generator of numbers from 0 to 1 that can be repeated: mulberry32. */
export function randomFrom(seed: number): () => number {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
	};
}
