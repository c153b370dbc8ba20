/** Splits the output of a child into lines, as it arrives in chunks. */

/** A longer line is logged in pieces of about this many bytes. */
export const longestLine = 64 * 1024;

/** The same with -output=raw, in bytes: a piece of a JSON object is no JSON object. */
export const longestRawLine = 1024 * 1024;

export interface OutputLines {
	/** Adds the first `length` bytes of the chunk. */
	add: (chunk: Buffer, length: number) => void;
	/** Ends the last line, if it has no newline. */
	end: () => void;
	/** The beginning of a line whose newline has not arrived yet; each character is one byte. */
	unfinished: () => string;
}

/** Each call of `log` gets all lines that a chunk completes. */
export function newLines(log: (lines: string) => void, begun: string, longest = longestLine): OutputLines {
	let rest = begun;
	let wasCut = false;

	function add(chunk: Buffer, length: number) {
		const end = chunk.lastIndexOf(10, length - 1);
		if (end < 0) {
			rest += chunk.toString('latin1', 0, length);
			wasCut ||= rest.length >= longest;
			if (rest.length >= longest) cut();
			return;
		}
		const whole = rest + chunk.toString('latin1', 0, end);
		// After a line that was logged in pieces, its newline alone is not an empty line.
		if (!wasCut) log(whole);
		else if (whole !== '') log(whole.startsWith('\n') ? whole.slice(1) : whole);
		wasCut = false;
		rest = chunk.toString('latin1', end + 1, length);
	}

	/** Does not cut inside a UTF-8 character. */
	function cut() {
		const end = rest.length - unfinishedCharacter(rest);
		log(rest.slice(0, end));
		rest = rest.slice(end);
	}

	function flush() {
		if (rest !== '') log(rest);
		rest = '';
	}

	return { add, end: flush, unfinished: () => rest };
}

/** The number of bytes at the end that begin an incomplete UTF-8 character: 0 to 3. */
export function unfinishedCharacter(bytes: string): number {
	for (let count = 1; count <= 3 && count <= bytes.length; count += 1) {
		const byte = bytes.charCodeAt(bytes.length - count);
		if (byte < 0x80) return 0;
		if (byte < 0xc0) continue;
		const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
		return length > count ? count : 0;
	}
	return 0;
}
