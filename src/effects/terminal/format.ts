/** Words for people. */

/** Without what would move a cursor, change a colour, or reverse a line: children may print anything. */
export function harmless(text: string): string {
	// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
	return text.replaceAll('\t', '    ').replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '\u00b7');
}

/** `14:01:02`, by the clock on the wall. */
export function clockTime(at: number): string {
	const date = new Date(at);
	return [date.getHours(), date.getMinutes(), date.getSeconds()].map((each) => String(each).padStart(2, '0')).join(':');
}
