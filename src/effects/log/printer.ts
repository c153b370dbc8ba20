/** Prints to an fd in large pieces, and waits for whoever reads it. */
import { writeSync } from 'node:fs';

export function printer(fd: number) {
	let text = '';

	function flush() {
		for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
		text = '';
	}

	function print(more: string) {
		text += more;
		if (text.length > 65536) flush();
	}

	return { print, flush };
}
