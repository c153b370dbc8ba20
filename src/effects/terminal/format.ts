/** Formats text for terminals. */

/** Replaces the characters that move the cursor, change colours or reverse a line: a child can print any byte. */
export function harmless(text: string): string {
	// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
	return text.replaceAll('\t', '    ').replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '\u00b7');
}

/** `14:01:02`, in local time. @param at milliseconds since the epoch */
export function clockTime(at: number): string {
	const date = new Date(at);
	return [date.getHours(), date.getMinutes(), date.getSeconds()].map((each) => String(each).padStart(2, '0')).join(':');
}
