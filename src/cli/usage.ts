/** The daemon's help: commands and flags, in 80 columns. */
import { commands } from './commandTable.ts';
import type { Flag } from './goFlags.ts';

/** The width of the text that -h prints, and the column of its second part, in characters. */
const width = 80;
const indent = 20;

/** The text that -h prints. */
export function usageText(flags: Readonly<Record<string, Flag>>): string {
	const flagLines = Object.entries(flags).flatMap(([name, { type, placeholder, text, alone, default: value }]) => {
		const shown =
			type === 'bool' ? `-${name}` : alone === undefined ? `-${name}=${placeholder}` : `-${name}[=${placeholder}]`;
		const preset = value === '' || type === 'bool' ? '' : ` (default ${value})`;
		return entryLines(shown, `${text}${preset}`);
	});
	return [
		'Holds listening sockets, and replaces the program behind them on SIGHUP without',
		'dropping a connection.',
		'',
		'Usage:',
		'  socketmaster [flag]... -command=PATH [--] [argument of the program]...',
		'  socketmaster COMMAND [flag]...          (socketmaster COMMAND -h: its flags)',
		'',
		'Commands:',
		...Object.entries(commands).flatMap(([name, { short }]) => entryLines(name, short)),
		'',
		'Flags:',
		...flagLines,
		...entryLines('-version', 'Print the version'),
		...entryLines('-h', 'Print this'),
		'',
		'Examples:',
		'  socketmaster -listen=tcp://:8080 -command=./server',
		'  socketmaster -listen=unix:///run/app.sock -user=www -command=/usr/bin/app',
		'',
	].join('\n');
}

/** A name and its text, which begins in its own column, and in a line of its own after a long name. */
function entryLines(name: string, text: string): string[] {
	const lines: string[] = [];
	for (const word of text.match(/\(default [^)]*\)|\S+/g) ?? []) {
		const longer = lines.length > 0 ? `${lines.at(-1)} ${word}` : word;
		if (lines.length > 0 && longer.length <= width - indent) lines[lines.length - 1] = longer;
		else lines.push(word);
	}
	const head = `  ${name}`;
	const [first = '', ...rest] = lines;
	const room = ' '.repeat(indent);
	return head.length < indent - 1
		? [`${head.padEnd(indent)}${first}`, ...rest.map((line) => room + line)]
		: [head, ...lines.map((line) => room + line)];
}
