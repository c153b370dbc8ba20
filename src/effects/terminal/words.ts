/** Words for people. */

/** Without what would move a cursor, change a colour, or reverse a line: children may print anything. */
export function harmless(text: string): string {
	// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
	return text.replaceAll('\t', '    ').replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '\u00b7');
}

const [second, minute, hour, day] = [1000, 60_000, 3_600_000, 86_400_000];

/** `850 ms`, `2.1 s`, `12 s`, `5 min`, `2 h`, `3 d`. */
export function duration(millis: number): string {
	const span = Math.max(0, millis);
	if (span < second) return `${Math.round(span)} ms`;
	if (span < 10 * second) return `${(span / second).toFixed(1)} s`;
	if (span < 2 * minute) return `${Math.floor(span / second)} s`;
	if (span < 2 * hour) return `${Math.floor(span / minute)} min`;
	if (span < 2 * day) return `${Math.floor(span / hour)} h`;
	return `${Math.floor(span / day)} d`;
}

/** `14:01:02`, by the clock on the wall. */
export function clockTime(at: number): string {
	const date = new Date(at);
	return [date.getHours(), date.getMinutes(), date.getSeconds()].map((each) => String(each).padStart(2, '0')).join(':');
}
