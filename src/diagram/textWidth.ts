/** Text in a drawing: its width, its line breaks and its escaping. */

export interface Font {
	size: number;
	isBold?: boolean;
}

/**
 * Advance widths of Helvetica (and Arial, Liberation Sans) in thousandths of the font size, for the characters from
 * space to tilde. Source: Adobe's font metrics, Helvetica.afm. A box leaves room for fonts that are
 * somewhat wider.
 */
const widths = [
	278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
	556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
	722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
	556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
	260, 334, 584,
];

/** The width of a text in pixels. */
export function widthOf(text: string, { size, isBold }: Font): number {
	let sum = 0;
	for (const character of text) sum += widths[character.charCodeAt(0) - 32] ?? 556;
	return Math.ceil((sum * size * (isBold ? 1.1 : 1.04)) / 1000);
}

/** Breaks a text at its spaces into lines of at most `most` pixels. A longer word gets a line of its own. */
export function wrap(text: string, font: Font, most: number): string[] {
	const lines: string[] = [];
	for (const word of text.split(' ')) {
		const longer = lines.length > 0 ? `${lines.at(-1)} ${word}` : word;
		if (lines.length > 0 && widthOf(longer, font) <= most) lines[lines.length - 1] = longer;
		else lines.push(word);
	}
	return lines;
}

/** Escapes a string for XML text and attribute values. */
export function escapeXml(text: string): string {
	return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
