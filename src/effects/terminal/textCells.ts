/** Truncates and pads text by its width in terminal cells, in any script. */
import { loadBeside } from '../os/installDir.ts';

/** Characters that take one cell each: those of English and of the marks that the commands print. */
const narrow = /^[ -~\u00a1-\u00ac\u00ae-\u024f–…·●■▲✔✘]*$/;

let widthOf: ((text: string) => number) | null = null;

/** The width of text in cells. Tables of all scripts take long to load: they are, when a text needs them. */
function cells(text: string): number {
	if (narrow.test(text)) return text.length;
	widthOf ??= loadWidth();
	return widthOf(text);
}

function loadWidth(): (text: string) => number {
	try {
		return (loadBeside('cells.cjs') as typeof import('string-width')).default;
	} catch {
		// The file is no longer installed.
		return (text) => text.length;
	}
}

/** Truncates text to a width in cells. An ellipsis replaces the rest. */
export function cut(text: string, width: number): string {
	if (cells(text) <= width) return text;
	let kept = '';
	for (const { segment } of new Intl.Segmenter().segment(text)) {
		if (cells(kept + segment) > width - 1) break;
		kept += segment;
	}
	return `${kept}…`;
}

/** Pads or truncates text to a width in cells. */
export function column(text: string, width: number, side: 'left' | 'right' = 'left'): string {
	const fitting = cut(text, width);
	const padding = ' '.repeat(Math.max(0, width - cells(fitting)));
	return side === 'left' ? fitting + padding : padding + fitting;
}
