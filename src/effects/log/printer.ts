/** Prints to an fd in large pieces, and waits for whoever reads it. */
import { writeSync } from 'node:fs';
import { errorText } from '../os/errorText.ts';

/** As a shell calls the end by SIGPIPE. */
const nobodyReads = 141;

export function printer(fd: number) {
	let text = '';

	function flush() {
		try {
			for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
			text = '';
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(nobodyReads);
			process.stderr.write(`what was asked for could not be written: ${errorText(error)}\n`);
			process.exit(1);
		}
	}

	function print(more: string) {
		text += more;
		if (text.length > 65536) flush();
	}

	return { print, flush };
}
