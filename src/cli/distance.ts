/** Which word was meant: the nearest of some words. */

/** The greatest edit distance between a word and the one that is suggested. */
const mostMistakes = 2;

/** The nearest of the words; null if none is near. */
export function nearestOf(word: string, words: readonly string[]): string | null {
	const [nearest] = words
		.map((each) => ({ each, distance: distanceOf(word, each) }))
		.sort((one, two) => one.distance - two.distance);
	return nearest && nearest.distance <= mostMistakes && nearest.distance < word.length / 2 ? nearest.each : null;
}

/** The edit distance: letters changed, added, removed, or swapped with a neighbour (optimal string alignment). */
function distanceOf(one: string, two: string): number {
	const rows = [Array.from({ length: two.length + 1 }, (_, index) => index)];
	for (let at = 1; at <= one.length; at += 1) {
		const row = [at];
		for (let to = 1; to <= two.length; to += 1) {
			const cost = one[at - 1] === two[to - 1] ? 0 : 1;
			const cell = (back: number, left: number) => rows[at - back]?.[to - left] ?? Number.POSITIVE_INFINITY;
			let best = Math.min(cell(1, 0) + 1, (row[to - 1] ?? 0) + 1, cell(1, 1) + cost);
			const isSwapped = at > 1 && to > 1 && one[at - 1] === two[to - 2] && one[at - 2] === two[to - 1];
			if (isSwapped) best = Math.min(best, cell(2, 2) + 1);
			row.push(best);
		}
		rows.push(row);
	}
	return rows[one.length]?.[two.length] ?? 0;
}
