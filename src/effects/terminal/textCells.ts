/** Text cut and padded by its width, in any script. */
import stringWidth from 'string-width';

/** Cut to a width, with an ellipsis where something is left out. */
export function cut(text: string, width: number): string {
	if (stringWidth(text) <= width) return text;
	let kept = '';
	for (const { segment } of new Intl.Segmenter().segment(text)) {
		if (stringWidth(kept + segment) > width - 1) break;
		kept += segment;
	}
	return `${kept}…`;
}

/** Padded, or cut, to a width. */
export function column(text: string, width: number, side: 'left' | 'right' = 'left'): string {
	const fitting = cut(text, width);
	const padding = ' '.repeat(Math.max(0, width - stringWidth(fitting)));
	return side === 'left' ? fitting + padding : padding + fitting;
}
