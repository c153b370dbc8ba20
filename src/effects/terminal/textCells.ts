/** Truncates and pads text by its width in terminal cells, in any script. */
import stringWidth from 'string-width';

/** Truncates text to a width in cells. An ellipsis replaces the rest. */
export function cut(text: string, width: number): string {
	if (stringWidth(text) <= width) return text;
	let kept = '';
	for (const { segment } of new Intl.Segmenter().segment(text)) {
		if (stringWidth(kept + segment) > width - 1) break;
		kept += segment;
	}
	return `${kept}…`;
}

/** Pads or truncates text to a width in cells. */
export function column(text: string, width: number, side: 'left' | 'right' = 'left'): string {
	const fitting = cut(text, width);
	const padding = ' '.repeat(Math.max(0, width - stringWidth(fitting)));
	return side === 'left' ? fitting + padding : padding + fitting;
}
