/** Prints to a terminal, or plain text to a pipe or a file. */
import { setTimeout as wait } from 'node:timers/promises';
import { hasColours } from './colours.ts';
import { cut } from './textCells.ts';

export type Colour = 'red' | 'green' | 'yellow' | 'bold' | 'faint';

const codes: Record<Colour, number> = { bold: 1, faint: 2, red: 31, green: 32, yellow: 33 };

export function screen(out: NodeJS.WriteStream = process.stdout, env: NodeJS.ProcessEnv = process.env) {
	const isTerminal = out.isTTY === true && env.TERM !== 'dumb';
	const isColoured = isTerminal && hasColours((out as { fd?: number }).fd ?? 1, env);
	let live = '';

	const width = () => (isTerminal ? out.columns || 80 : 80);
	const clear = () => {
		if (live !== '') out.write('\r\u001b[K');
		live = '';
	};

	return {
		isTerminal,
		width,
		colour: (text: string, ...colours: Colour[]) =>
			isColoured ? `\u001b[${colours.map((each) => codes[each]).join(';')}m${text}\u001b[0m` : text,
		/** Writes all of a text. EPIPE (the reader has exited) is ignored. @throws {Error} if the write fails */
		write: (text: string) =>
			new Promise<void>((resolve, reject) => {
				out.write(text, (error) =>
					error && (error as NodeJS.ErrnoException).code !== 'EPIPE' ? reject(error) : resolve(),
				);
			}),
		print: (text: string) => {
			clear();
			out.write(`${text}\n`);
		},
		/** Prints a line that the next line replaces. Without a terminal, prints nothing. */
		live: (text: string) => {
			if (!isTerminal) return;
			const line = cut(text, width() - 1);
			if (line !== live) out.write(`\r${line}\u001b[K`);
			live = line;
		},
		clear,
	};
}

/**
 * Draws a page again and again on the alternate screen, until `signal` aborts.
 * @param pause milliseconds between two draws; a resize starts the next draw at once
 */
export async function watchPage(
	draw: () => Promise<string[]>,
	{ signal, pause }: { signal: AbortSignal; pause: number },
	out: NodeJS.WriteStream = process.stdout,
): Promise<void> {
	// Alternate screen, hidden cursor, no line wrap.
	out.write('\u001b[?1049h\u001b[?25l\u001b[?7l');
	const restore = () => out.write('\u001b[?7h\u001b[?25h\u001b[?1049l');
	let wake = () => {};
	const resized = () => wake();
	out.on('resize', resized);
	try {
		while (!signal.aborted) {
			const lines = fitting(await draw(), Math.max(2, (out.rows || 24) - 1));
			// One write per page avoids flicker. Each line is cleared before the text: to clear after a line of full width
			// would erase its last cell.
			out.write(`\u001b[H${lines.map((line) => `\u001b[2K${line}\r\n`).join('')}\u001b[J`);
			const woken = new Promise<void>((resolve) => {
				wake = resolve;
			});
			await Promise.race([wait(pause, null, { signal }).catch(() => {}), woken]);
		}
	} finally {
		out.off('resize', resized);
		restore();
	}
}

/** The first lines; where some do not fit, the last one says how many. */
function fitting(lines: string[], rows: number): string[] {
	if (lines.length <= rows) return lines;
	return [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} more`];
}

/** Calls `pressed` with each key. Does nothing if stdin is no terminal. @returns a function that ends it */
export function onKeys(pressed: (key: string) => void, keys: NodeJS.ReadStream = process.stdin): () => void {
	if (!keys.isTTY) return () => {};
	const read = (data: Buffer) => {
		for (const key of data.toString('utf8')) pressed(key);
	};
	keys.setRawMode(true).on('data', read).resume();
	return () => {
		keys.off('data', read).setRawMode(false).pause();
	};
}
